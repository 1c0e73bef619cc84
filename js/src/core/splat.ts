/**
 * Points as a density: each point spreads a mass of one over the pixels around it, a colour table turns mass into
 * opacity. Whole numbers in one Int32Array: 100,000 points take a few ms without a GPU, and the picture is the same to
 * the bit on every machine.
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

/**
 * How a point is spread: over 3 x 3 pixels by the quadratic B-spline, over 2 x 2 by the linear one, or all on one pixel.
 * The wider, the smoother one point moves; the more there are, the less one of them is seen.
 */
export type Spread = "smooth" | "linear" | "nearest";

/** Positions are rounded to a 32nd of a pixel: weights are whole numbers, of which 32 x 32 make a mass of one. */
export const SUB = 32;
export const UNIT = SUB * SUB;
/** More points than that, all on one pixel, would not fit into 31 bits. */
export const MOST_POINTS = Math.floor((2 ** 31 - 1) / UNIT) - 1;

/**
 * Weights, in 32nds, of the pixels before and after by the B-spline, for a point u 32nds into its pixel; the one in
 * the middle gets what is left. Their difference is u - 16 exactly, so the centre of mass is where the point is.
 */
export const AFTER = Int32Array.from({ length: SUB }, (_, u) => Math.round((u * u) / (2 * SUB)));
export const BEFORE = AFTER.map((after, u) => after - u + SUB / 2);

export class Splat {
  /** In units of 1 / UNIT. */
  mass = new Int32Array(0);
  private image: ImageData | null = null;
  private pixels = new Uint32Array(0);
  private canvas: HTMLCanvasElement | null = null;
  private table: ColourTable | null = null;

  constructor(
    public width = 0,
    public height = 0,
  ) {
    this.resize(width, height);
  }

  resize(width: number, height: number): void {
    this.width = width;
    this.height = height;
    if (this.mass.length !== width * height) this.mass = new Int32Array(width * height);
  }

  clear(): void {
    this.mass.fill(0);
  }

  /**
   * Add the points a x + b y of two arrays (n, 2), `a = alpha, b = sigma` for x_t = alpha x_0 + sigma eps.
   *
   * Wherever a point lies in a pixel its weights sum to one, so a moving point neither flickers nor jumps. Points
   * outside, or that are not numbers (a diverged sample), are left out.
   */
  addMixed(x: Float32Array, y: Float32Array, a: number, b: number, view: View, spread: Spread = "smooth"): void {
    const n = Math.min(x.length, y.length, 2 * MOST_POINTS);
    if (spread === "nearest") this.addNearest(x, y, n, a * view.scale, b * view.scale, view);
    else if (spread === "linear") this.addLinear(x, y, n, SUB * a * view.scale, SUB * b * view.scale, view);
    else this.addSmooth(x, y, n, SUB * a * view.scale, SUB * b * view.scale, view);
  }

  private addNearest(x: Float32Array, y: Float32Array, n: number, a: number, b: number, { x0, y0 }: View): void {
    const { mass, width, height } = this;
    for (let i = 0; i + 1 < n; i += 2) {
      const px = x0 + (a * x[i] + b * y[i]);
      const py = y0 - (a * x[i + 1] + b * y[i + 1]);
      if (!(px >= 0 && py >= 0 && px < width && py < height)) continue;
      const at = ((py | 0) * width + (px | 0)) | 0;
      mass[at] = (mass[at] + UNIT) | 0;
    }
  }

  private addLinear(x: Float32Array, y: Float32Array, n: number, a: number, b: number, view: View): void {
    const { mass, width, height } = this;
    // half a pixel back: the pixels whose centres are around the point
    const x0 = SUB * (view.x0 - 0.5) + 0.5;
    const y0 = SUB * (view.y0 - 0.5) + 0.5;
    const right = SUB * (width - 1);
    const bottom = SUB * (height - 1);
    for (let i = 0; i + 1 < n; i += 2) {
      const fx = x0 + (a * x[i] + b * y[i]);
      const fy = y0 - (a * x[i + 1] + b * y[i + 1]);
      if (!(fx >= 0 && fy >= 0 && fx < right && fy < bottom)) continue;
      const px = fx | 0;
      const py = fy | 0;
      const u = px & 31;
      const v = py & 31;
      const uv = Math.imul(u, v);
      const at = (Math.imul(py >> 5, width) + (px >> 5)) | 0;
      const below = (at + width) | 0;
      mass[at] = (mass[at] + UNIT - ((u + v) << 5) + uv) | 0;
      mass[at + 1] = (mass[at + 1] + (u << 5) - uv) | 0;
      mass[below] = (mass[below] + (v << 5) - uv) | 0;
      mass[below + 1] = (mass[below + 1] + uv) | 0;
    }
  }

  private addSmooth(x: Float32Array, y: Float32Array, n: number, a: number, b: number, view: View): void {
    const { mass, width, height } = this;
    const x0 = SUB * view.x0 + 0.5;
    const y0 = SUB * view.y0 + 0.5;
    const right = SUB * (width - 1);
    const bottom = SUB * (height - 1);
    for (let i = 0; i + 1 < n; i += 2) {
      const fx = x0 + (a * x[i] + b * y[i]);
      const fy = y0 - (a * x[i + 1] + b * y[i + 1]);
      if (!(fx >= SUB && fy >= SUB && fx < right && fy < bottom)) continue;
      const px = fx | 0;
      const py = fy | 0;
      const left = BEFORE[px & 31];
      const after = AFTER[px & 31];
      const middle = (SUB - left - after) | 0;
      const above = BEFORE[py & 31];
      const below = AFTER[py & 31];
      const level = (SUB - above - below) | 0;
      let at = (Math.imul((py >> 5) - 1, width) + (px >> 5)) | 0;
      mass[at - 1] += Math.imul(above, left);
      mass[at] += Math.imul(above, middle);
      mass[at + 1] += Math.imul(above, after);
      at = (at + width) | 0;
      mass[at - 1] += Math.imul(level, left);
      mass[at] += Math.imul(level, middle);
      mass[at + 1] += Math.imul(level, after);
      at = (at + width) | 0;
      mass[at - 1] += Math.imul(below, left);
      mass[at] += Math.imul(below, middle);
      mass[at + 1] += Math.imul(below, after);
    }
  }

  add(points: Float32Array, view: View): void {
    this.addMixed(points, points, 1, 0, view);
  }

  /** Draw the mass in one colour; `ink` is the opacity that a mass of one gets. `over`: over what is there, else instead. */
  draw(context: CanvasRenderingContext2D, colour: Rgb, ink: number, over = true): void {
    const { width, height, mass } = this;
    if (width === 0 || height === 0) return;
    const image = this.blank(width, height);
    if (!this.table || !isFor(this.table, colour, ink)) this.table = colourTable(colour, ink);
    const { words, shift } = this.table;
    colourAll(this.pixels, mass, words, shift);
    // putImageData replaces what is under it; by way of a second canvas the picture behind stays visible.
    if (!over) return context.putImageData(image, 0, 0);
    this.canvas!.getContext("2d")!.putImageData(image, 0, 0);
    context.drawImage(this.canvas!, 0, 0);
  }

  private blank(width: number, height: number): ImageData {
    if (!this.image || this.image.width !== width || this.image.height !== height) {
      this.image = new ImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
      this.canvas = document.createElement("canvas");
      this.canvas.width = width;
      this.canvas.height = height;
    }
    return this.image;
  }
}

/** A function of its own: it runs for every pixel, and is compiled once for all scenes. */
function colourAll(pixels: Uint32Array, mass: Int32Array, words: Uint32Array, shift: number): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = words[Math.min(mass[i] >> shift, LAST)];
}

export type Rgb = readonly [number, number, number];

const ENTRIES = 2048;
const LAST = ENTRIES - 1;
/** As opaque as many points ever get: what is behind them shines through. */
const MOST_OPAQUE = 0.95;

/** Words of a colour, RGBA little-endian, by the mass above them: `mass >> shift`, the last one for all that is more. */
export interface ColourTable {
  words: Uint32Array;
  shift: number;
  colour: Rgb;
  ink: number;
}

/** Opacity 0.95 (1 - (1 - ink)^mass), as that many thin layers of ink would give. */
export function colourTable(colour: Rgb, ink: number): ColourTable {
  const [r, g, b] = colour;
  const words = new Uint32Array(ENTRIES);
  const shift = shiftFor(ink);
  for (let i = 0; i < ENTRIES; i++) {
    const opacity = Math.round(255 * MOST_OPAQUE * (1 - (1 - ink) ** ((i << shift) / UNIT)));
    words[i] = ((opacity << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return { words, shift, colour, ink };
}

/** As fine as 2048 entries allow: at the last one the opacity is within 1 / 255 of where it ends. */
function shiftFor(ink: number): number {
  const enough = Math.log(256) / -Math.log(1 - ink); // mass
  return Math.max(0, Math.ceil(Math.log2((enough * UNIT) / LAST)));
}

function isFor(table: ColourTable, [r, g, b]: Rgb, ink: number): boolean {
  const [knownR, knownG, knownB] = table.colour;
  return table.ink === ink && knownR === r && knownG === g && knownB === b;
}

/** The mass that has this opacity under `ink`, in units: what lets a density stand behind points of its colour. */
export function massOf(opacity: number, ink: number): number {
  return (UNIT * Math.log(1 - Math.min(opacity / MOST_OPAQUE, 0.999))) / Math.log(1 - ink);
}
