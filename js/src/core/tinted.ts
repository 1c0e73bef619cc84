/**
 * Points of several colours as a density: each pixel keeps the mass of its points and the sum of their colours, and shows
 * their mean. Nothing is in front of anything else, so no category hides another.
 */
import { AFTER, BEFORE, colourTable, SUB, type ColourTable, type Rgb, type Spread, type View } from "./splat";

export class TintedSplat {
  /** Mass, red, green, blue of each pixel. */
  private sums = new Float32Array(0);
  private image: ImageData | null = null;
  private canvas: HTMLCanvasElement | null = null;
  private table: ColourTable | null = null;
  private width = 0;
  private height = 0;

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    if (this.sums.length !== 4 * width * height) this.sums = new Float32Array(4 * width * height);
  }

  clear(): void {
    this.sums.fill(0);
  }

  /** Add the points a x + b y, (n, 2) each; point i has the colour `palette[categories[i]]`. See Splat.addMixed. */
  addMixed(
    [x, y]: readonly [Float32Array, Float32Array],
    [a, b]: readonly [number, number],
    view: View,
    categories: ArrayLike<number>,
    palette: readonly Rgb[],
    spread: Spread,
  ): void {
    const { sums, width, height } = this;
    const n = Math.min(x.length, y.length, 2 * categories.length);
    const { before, after, size, corner, offset } = KERNELS[spread];
    for (let i = 0; i + 1 < n; i += 2) {
      const fx = SUB * (view.x0 + view.scale * (a * x[i] + b * y[i])) + corner;
      const fy = SUB * (view.y0 - view.scale * (a * x[i + 1] + b * y[i + 1])) + corner;
      if (!(fx >= SUB && fy >= SUB && fx < SUB * (width - 1) && fy < SUB * (height - 1))) continue;
      const [px, py] = [fx | 0, fy | 0];
      const [r, g, bl] = palette[categories[i >> 1] % palette.length];
      const [u, v] = [px & 31, py & 31];
      for (let row = 0; row < size; row++) {
        const vertical = row === 0 ? before[v] : row === size - 1 ? after[v] : SUB - before[v] - after[v];
        let at = 4 * (((py >> 5) - offset + row) * width + (px >> 5) - offset);
        for (let column = 0; column < size; column++) {
          const across = column === 0 ? before[u] : column === size - 1 ? after[u] : SUB - before[u] - after[u];
          const weight = vertical * across;
          sums[at] += weight;
          sums[at + 1] += weight * r;
          sums[at + 2] += weight * g;
          sums[at + 3] += weight * bl;
          at += 4;
        }
      }
    }
  }

  /** Draw the points over what is there; `ink` is the opacity that a mass of one gets. */
  draw(context: CanvasRenderingContext2D, ink: number): void {
    const { sums, width, height } = this;
    if (width === 0 || height === 0) return;
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.canvas = document.createElement("canvas");
      this.canvas.width = width;
      this.canvas.height = height;
    }
    if (this.table?.ink !== ink) this.table = colourTable([0, 0, 0], ink);
    const { words, shift } = this.table;
    const pixels = new Uint32Array(this.image.data.buffer);
    const last = words.length - 1;
    for (let i = 0, at = 0; i < pixels.length; i++, at += 4) {
      const mass = sums[at];
      if (mass === 0) {
        pixels[i] = 0;
        continue;
      }
      const opacity = words[Math.min(last, (mass / (1 << shift)) | 0)];
      const part = 1 / mass;
      const red = (sums[at + 1] * part + 0.5) | 0;
      const green = (sums[at + 2] * part + 0.5) | 0;
      const blue = (sums[at + 3] * part + 0.5) | 0;
      pixels[i] = (opacity | (blue << 16) | (green << 8) | red) >>> 0;
    }
    this.canvas!.getContext("2d")!.putImageData(this.image, 0, 0);
    context.drawImage(this.canvas!, 0, 0);
  }
}

interface Kernel {
  /** Weights, in 32nds, of the first and the last of `size` pixels along an axis. */
  before: Int32Array;
  after: Int32Array;
  size: number;
  /** Added to a position in 32nds: half a 32nd to round, half a pixel back for the linear spread. */
  corner: number;
  /** Pixels from the first one to that of the position. */
  offset: number;
}

const TOWARDS = Int32Array.from({ length: SUB }, (_, u) => u);
const KERNELS: Record<Spread, Kernel> = {
  smooth: { before: BEFORE, after: AFTER, size: 3, corner: 0.5, offset: 1 },
  linear: { before: TOWARDS.map((u) => SUB - u), after: TOWARDS, size: 2, corner: 0.5 - SUB / 2, offset: 0 },
  nearest: { before: new Int32Array(SUB).fill(SUB), after: TOWARDS, size: 1, corner: 0, offset: 0 },
};
