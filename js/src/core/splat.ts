/**
 * Points as a density: each point spreads a mass of one over the pixels around it, a colour table turns mass into
 * opacity. Plain arithmetic on one Float32Array: 100,000 points take a few ms without a GPU, and the picture is the
 * same to the pixel on every machine.
 */

/** Where data units land on the canvas, in device pixels: px = x0 + scale x, py = y0 - scale y. */
export interface View {
  x0: number;
  y0: number;
  scale: number;
}

/** `extent` is the half-width, in data units, that fits into the shorter side. */
export function centredView(width: number, height: number, extent: number): View {
  return { x0: width / 2, y0: height / 2, scale: Math.min(width, height) / 2 / extent };
}

export class Splat {
  mass = new Float32Array(0);
  private image: ImageData | null = null;
  private canvas: HTMLCanvasElement | null = null;

  constructor(
    public width = 0,
    public height = 0,
  ) {
    this.resize(width, height);
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    if (this.mass.length !== width * height) this.mass = new Float32Array(width * height);
  }

  clear(): void {
    this.mass.fill(0);
  }

  /**
   * Add the points a x + b y of two arrays (n, 2), `a = alpha, b = sigma` for x_t = alpha x_0 + sigma eps.
   *
   * The mass of a point goes to the 3 x 3 pixels around it by the quadratic B-spline: its nine weights sum to one
   * wherever the point lies in a pixel, so a moving point neither flickers nor jumps. Points outside are left out.
   */
  addMixed(x: Float32Array, y: Float32Array, a: number, b: number, view: View): void {
    const { mass, width, height } = this;
    const n = Math.min(x.length, y.length);
    for (let i = 0; i + 1 < n; i += 2) {
      const px = view.x0 + view.scale * (a * x[i] + b * y[i]);
      const py = view.y0 - view.scale * (a * x[i + 1] + b * y[i + 1]);
      const column = Math.floor(px);
      const row = Math.floor(py);
      // (also false for NaN: a diverged sample is not drawn)
      if (!(column >= 1 && row >= 1 && column < width - 1 && row < height - 1)) continue;
      const u = px - column - 0.5;
      const v = py - row - 0.5;
      const left = 0.5 * (0.5 - u) * (0.5 - u);
      const right = 0.5 * (0.5 + u) * (0.5 + u);
      const middle = 1 - left - right;
      const above = 0.5 * (0.5 - v) * (0.5 - v);
      const below = 0.5 * (0.5 + v) * (0.5 + v);
      const level = 1 - above - below;
      let at = (row - 1) * width + column;
      mass[at - 1] += above * left;
      mass[at] += above * middle;
      mass[at + 1] += above * right;
      at += width;
      mass[at - 1] += level * left;
      mass[at] += level * middle;
      mass[at + 1] += level * right;
      at += width;
      mass[at - 1] += below * left;
      mass[at] += below * middle;
      mass[at + 1] += below * right;
    }
  }

  add(points: Float32Array, view: View): void {
    this.addMixed(points, points, 1, 0, view);
  }

  /** Draw the mass in one colour; `ink` is the opacity that a mass of one gets, more mass saturates towards 0.95. */
  draw(context: CanvasRenderingContext2D, [r, g, b]: [number, number, number], ink: number): void {
    const { width, height, mass } = this;
    if (width === 0 || height === 0) return;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.canvas = document.createElement("canvas");
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const table = colourTable([r, g, b], ink);
    const pixels = new Uint32Array(this.image.data.buffer);
    const last = table.length - 1;
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[Math.min(last, (mass[i] * PER_MASS) | 0)];
    // putImageData replaces what is under it; by way of a second canvas the density behind stays visible.
    this.canvas!.getContext("2d")!.putImageData(this.image, 0, 0);
    context.drawImage(this.canvas!, 0, 0);
  }
}

/** Entries of the colour table per unit of mass; above MAX_MASS the colour is the same. */
const PER_MASS = 64;
const MAX_MASS = 32;

/** Little-endian RGBA words: opacity 0.95 (1 - (1 - ink)^mass), as that many thin layers of ink would give. */
export function colourTable([r, g, b]: [number, number, number], ink: number): Uint32Array {
  const table = new Uint32Array(PER_MASS * MAX_MASS);
  for (let i = 0; i < table.length; i++) {
    const opacity = Math.round(255 * 0.95 * (1 - (1 - ink) ** (i / PER_MASS)));
    table[i] = ((opacity << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return table;
}
