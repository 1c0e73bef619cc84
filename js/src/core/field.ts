/**
 * A vector field on a canvas: heat of one number per cell, arrows, contours, and the keys that say how large is large.
 *
 * An arrow's length saturates with the norm, norm / (norm + reference) of a cell, so that small and large ones are both
 * seen; the key draws the arrow of the reference. Heat is linear up to a top; above it the bar says "or more".
 */
import { format } from "./numbers";
import { rgb } from "./theme";

/** Where the square of a field stands on the canvas, in device pixels. */
export interface Place {
  x: number;
  y: number;
  side: number;
}

/** 256 colours of a canvas, from the lowest value to the highest. */
export type ColourTable = Uint32Array;

/** From `low` over `middle` to `high`, linear in sRGB. */
export function colourTable(stops: readonly string[]): ColourTable {
  const colours = stops.map(rgb);
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * (colours.length - 1);
    const k = Math.min(colours.length - 2, Math.floor(at));
    const u = at - k;
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(colours[k][c] + u * (colours[k + 1][c] - colours[k][c])));
    table[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return table;
}

/** Index of a value's colour: 0 at `low` and below, 255 at `high` and above; -1 for what is no number. */
export function colourIndex(value: number, low: number, high: number): number {
  if (Number.isNaN(value)) return -1;
  const at = Math.round(((value - low) / (high - low)) * 255);
  return at < 0 ? 0 : at > 255 ? 255 : at;
}

/** Draws heat; keeps its small canvas between frames. */
export class HeatPainter {
  private readonly canvas = document.createElement("canvas");
  private image: ImageData | null = null;

  /** `values` (n, n), row by row from the top; `range` the values of the table's ends. */
  draw(
    context: CanvasRenderingContext2D,
    values: Float32Array,
    { x, y, side }: Place,
    table: ColourTable,
    [low, high]: readonly [number, number],
  ): void {
    const n = Math.round(Math.sqrt(values.length));
    if (this.image?.width !== n) {
      this.canvas.width = this.canvas.height = n;
      this.image = new ImageData(n, n);
    }
    const pixels = new Uint32Array(this.image.data.buffer);
    for (let i = 0; i < values.length; i++) {
      const at = colourIndex(values[i], low, high);
      pixels[i] = at < 0 ? 0 : table[at];
    }
    this.canvas.getContext("2d")!.putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "medium";
    context.drawImage(this.canvas, x, y, side, side);
  }
}

/** Share of a cell that an arrow takes: half of it at the reference, never all. */
export function arrowLength(norm: number, reference: number): number {
  return reference > 0 ? norm / (norm + reference) : 0;
}

/**
 * Arrows centred in the cells of a field (n, n, 2). `strength`, (n, n) in [0, 1] or null, fades those that count for
 * little.
 */
export function drawArrows(
  context: CanvasRenderingContext2D,
  field: Float32Array,
  { x, y, side }: Place,
  {
    reference,
    colour,
    strength,
    ratio,
  }: { reference: number; colour: string; strength: Float32Array | null; ratio: number },
): void {
  const n = Math.round(Math.sqrt(field.length / 2));
  const cell = side / n;
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = Math.max(ratio, Math.min(1.4 * ratio, cell / 14));
  context.lineCap = "round";
  // four strengths, each one path: a stroke a cell would take most of the frame
  for (let band = 0; band < 4; band++) {
    context.globalAlpha = strength ? 0.2 + 0.2 * (band + 1) : 0.75;
    context.beginPath();
    for (let k = 0; k < n * n; k++) {
      if (strength ? Math.min(3, Math.floor(4 * strength[k])) !== band : band > 0) continue;
      const [u, v] = [field[2 * k], field[2 * k + 1]];
      const norm = Math.hypot(u, v);
      if (!(norm > 0) || !Number.isFinite(norm)) continue;
      const length = 0.92 * cell * arrowLength(norm, reference);
      const [cx, cy] = [x + ((k % n) + 0.5) * cell, y + (Math.floor(k / n) + 0.5) * cell];
      arrow(context, cx, cy, (u / norm) * length, (-v / norm) * length);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** A line with a head, centred at (cx, cy). */
function arrow(context: CanvasRenderingContext2D, cx: number, cy: number, dx: number, dy: number): void {
  const [ex, ey] = [cx + dx / 2, cy + dy / 2];
  context.moveTo(cx - dx / 2, cy - dy / 2);
  context.lineTo(ex, ey);
  context.moveTo(ex - 0.3 * dx - 0.18 * dy, ey - 0.3 * dy + 0.18 * dx);
  context.lineTo(ex, ey);
  context.lineTo(ex - 0.3 * dx + 0.18 * dy, ey - 0.3 * dy - 0.18 * dx);
}

/** Segments (x0, y0, x1, y1) in cells of the grid on which `values` (n, n) cross `level`: marching squares. */
export function contour(values: Float32Array, level: number): Float32Array {
  const n = Math.round(Math.sqrt(values.length));
  const out: number[] = [];
  const cross = (a: number, b: number) => (level - a) / (b - a);
  for (let j = 0; j + 1 < n; j++) {
    for (let i = 0; i + 1 < n; i++) {
      const [a, b] = [values[j * n + i], values[j * n + i + 1]];
      const [d, c] = [values[(j + 1) * n + i], values[(j + 1) * n + i + 1]];
      const points: number[] = [];
      if (a < level !== b < level) points.push(i + cross(a, b), j);
      if (b < level !== c < level) points.push(i + 1, j + cross(b, c));
      if (d < level !== c < level) points.push(i + cross(d, c), j + 1);
      if (a < level !== d < level) points.push(i, j + cross(a, d));
      for (let k = 0; k + 3 < points.length; k += 4) out.push(...points.slice(k, k + 4)); // a saddle gives two
    }
  }
  return Float32Array.from(out, (v) => v + 0.5); // values stand at the centres of cells
}

export function drawContour(
  context: CanvasRenderingContext2D,
  segments: Float32Array,
  n: number,
  { x, y, side }: Place,
): void {
  const cell = side / n;
  context.beginPath();
  for (let k = 0; k + 3 < segments.length; k += 4) {
    context.moveTo(x + segments[k] * cell, y + segments[k + 1] * cell);
    context.lineTo(x + segments[k + 2] * cell, y + segments[k + 3] * cell);
  }
  context.stroke();
}

/** The value of a field (n, n, c) at (u, v) in [0, 1]^2 from its upper left corner, bilinear between centres, into `out`. */
export function sampleAt(field: Float32Array, n: number, c: number, u: number, v: number, out: Float64Array): void {
  const fx = Math.min(n - 1, Math.max(0, u * n - 0.5));
  const fy = Math.min(n - 1, Math.max(0, v * n - 0.5));
  const i = Math.min(n - 2, Math.floor(fx));
  const j = Math.min(n - 2, Math.floor(fy));
  const [a, b] = [fx - i, fy - j];
  const at = (j * n + i) * c;
  const below = at + n * c;
  for (let k = 0; k < c; k++) {
    const upper = field[at + k] + a * (field[at + c + k] - field[at + k]);
    const lower = field[below + k] + a * (field[below + c + k] - field[below + k]);
    out[k] = upper + b * (lower - upper);
  }
}

/** A colour bar of the table with the numbers of its ends, and an arrow of the reference's length under it. */
export interface Key {
  /** Null when no heat is drawn. */
  table: ColourTable | null;
  range: readonly [number, number];
  /** Of the arrows; null when none are drawn. */
  reference: number | null;
  /** Length in device pixels of an arrow of that norm. */
  length: number;
}

export function drawKey(
  context: CanvasRenderingContext2D,
  key: Key | null,
  { x, y, side }: Place,
  { ink, mute, line, font, ratio }: { ink: string; mute: string; line: string; font: string; ratio: number },
): void {
  context.font = font;
  context.textBaseline = "middle";
  context.textAlign = "left";
  if (!key) return;
  if (key.table)
    drawBar(context, key.table, key.range, { x, y, side }, { mute, line, ratio, foot: key.reference !== null });
  if (key.reference === null) return;
  context.strokeStyle = ink;
  context.fillStyle = mute;
  context.lineWidth = 1.2 * ratio;
  context.beginPath();
  const middle = y + side - 22 * ratio;
  arrow(context, x + key.length / 2, middle, key.length, 0);
  context.stroke();
  context.fillText(format(key.reference, 2), x, middle + 13 * ratio);
}

function drawBar(
  context: CanvasRenderingContext2D,
  table: ColourTable,
  [low, high]: readonly [number, number],
  { x, y, side }: Place,
  { mute, line, ratio, foot: hasFoot }: { mute: string; line: string; ratio: number; foot: boolean },
): void {
  const width = 10 * ratio;
  const foot = hasFoot ? 34 * ratio : 0;
  const [top, height] = [y + 8 * ratio, side - foot - 16 * ratio];
  const steps = 64;
  for (let i = 0; i < steps; i++) {
    const colour = table[Math.round((1 - i / (steps - 1)) * 255)];
    context.fillStyle = `rgb(${colour & 255}, ${(colour >> 8) & 255}, ${(colour >> 16) & 255})`;
    context.fillRect(x, top + (i * height) / steps, width, height / steps + 1);
  }
  context.strokeStyle = line;
  context.lineWidth = ratio;
  context.strokeRect(x, top, width, height);
  context.fillStyle = mute;
  const words = x + width + 4 * ratio;
  context.fillText(`≥ ${format(high, 2)}`, words, top + 4 * ratio);
  if (low < 0) context.fillText("0", words, top + height / 2);
  context.fillText(low < 0 ? `≤ ${format(low, 2)}` : format(low, 2), words, top + height - 4 * ratio);
}
