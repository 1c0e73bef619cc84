/** ScoreMap's picture for images: x_t, what the oracle and the network read from it, and their difference, row by row. */
import { colourIndex, colourTable } from "../core/field";
import type { AlphaSigma } from "../core/schedule";
import type { Surface } from "../core/stage";
import type { Colors } from "../core/theme";

export interface Examples {
  /** (n, D). */
  x0: Float32Array;
  eps: Float32Array;
  shape: readonly [number, number];
  range: readonly [number, number];
}

const HEAD = 20; // CSS pixels for the words over a column
/** Half of the range of a pixel, black to white, is full colour in the difference. */
const FULL = 0.5;

export class ImagePainter {
  private readonly canvas = document.createElement("canvas");

  /** `exact` and `difference`, (n, D), of the mean of x_0; null where not known. */
  draw(
    { context, width, height, ratio }: Surface,
    { x0, eps, shape: [h, w], range }: Examples,
    { alpha, sigma }: AlphaSigma,
    exact: Float32Array | null,
    difference: Float32Array | null,
    color: Colors,
    font: string,
  ): void {
    const pixels = h * w;
    const scale = Math.max(1, Math.hypot(alpha, sigma));
    const columns: { words: string; colour: string; values: ((i: number) => number) | null }[] = [
      { words: "x_t", colour: color.mute, values: (i) => (alpha * x0[i] + sigma * eps[i]) / scale },
      { words: "x0, exact", colour: color.exact, values: exact && ((i) => exact[i]) },
      {
        words: "x0, learned",
        colour: color.learned,
        values: exact && difference && ((i) => exact[i] + difference[i]),
      },
      { words: "difference", colour: color.ink, values: difference && ((i) => difference[i]) },
    ];
    const gap = 8 * ratio;
    const room = height - HEAD * ratio;
    const n = x0.length / pixels;
    const wide = (width - 3 * gap) / 4;
    const rows = Math.max(1, Math.min(n, Math.floor((room + gap) / (Math.min(wide, 90 * ratio) * (h / w) + gap))));
    const side = Math.min(wide, ((room - (rows - 1) * gap) / rows) * (w / h));
    const left = (width - 4 * side - 3 * gap) / 2;
    const diverging = colourTable([color.data, color.panel, color.learned]);
    const grey = colourTable(["#000", "#fff"]);
    const full = FULL * (range[1] - range[0]);
    context.imageSmoothingEnabled = false;
    context.font = font;
    context.textAlign = "center";
    context.textBaseline = "middle";
    columns.forEach(({ words, colour, values }, c) => {
      const x = left + c * (side + gap);
      context.fillStyle = colour;
      context.fillText(words, x + side / 2, (HEAD / 2) * ratio);
      context.strokeStyle = color.line;
      context.lineWidth = ratio;
      for (let r = 0; r < rows; r++) {
        const y = HEAD * ratio + r * (side * (h / w) + gap);
        if (values) {
          const [table, low, high] = c === 3 ? ([diverging, -full, full] as const) : ([grey, ...range] as const);
          this.fill((i) => table[Math.max(0, colourIndex(values(r * pixels + i), low, high))], h, w);
          context.drawImage(this.canvas, x, y, side, side * (h / w));
        }
        context.strokeRect(x, y, side, side * (h / w));
      }
    });
  }

  private fill(colour: (i: number) => number, h: number, w: number): void {
    this.canvas.width = w;
    this.canvas.height = h;
    const image = new ImageData(w, h);
    const out = new Uint32Array(image.data.buffer);
    for (let i = 0; i < out.length; i++) out[i] = colour(i);
    this.canvas.getContext("2d")!.putImageData(image, 0, 0);
  }
}
