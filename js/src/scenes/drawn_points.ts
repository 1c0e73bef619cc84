/**
 * Points that a hand drew, with a class each: what the pen, the spray and the eraser do to them, and how they travel.
 *
 * `Points` are never changed in place, so that undo keeps them; a stroke grows a `Sketch`. Limits and `fitted` are those
 * of difflab/scenes/drawn.py.
 */

export const MOST_POINTS = 20_000;
export const CLASSES = 10;
/** Half the side of the sheet, in data units. */
export const SHEET = 2.5;
const FIT = 2;
const LEAST = 0.5;

export interface Points {
  /** x and y in turn. */
  readonly xy: Float32Array;
  readonly classes: Uint8Array;
}

/** Base64, as the `drawn` trait has it. */
export interface DrawnPoints {
  xy: string;
  classes: string;
}

export const NO_POINTS: Points = { xy: new Float32Array(0), classes: new Uint8Array(0) };

/** Points that grow and shrink under the hand. */
export class Sketch {
  private values: Float32Array;
  private kinds: Uint8Array;
  /** How many points there are. */
  count: number;
  /** Rises when points go: what was painted is then wrong. */
  erasures = 0;

  constructor(points: Points) {
    this.count = points.classes.length;
    this.values = new Float32Array(Math.max(512, 4 * this.count));
    this.kinds = new Uint8Array(this.values.length / 2);
    this.values.set(points.xy);
    this.kinds.set(points.classes);
  }

  /** False when the drawing is full. */
  add(x: number, y: number, kind: number): boolean {
    if (this.count >= MOST_POINTS) return false;
    if (2 * this.count === this.values.length) this.grow();
    this.values[2 * this.count] = x;
    this.values[2 * this.count + 1] = y;
    this.kinds[this.count] = kind;
    this.count += 1;
    return true;
  }

  /** Take away what lies within `reach` of a place; the others keep their order. */
  erase(x: number, y: number, reach: number): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      const [px, py] = [this.values[2 * i], this.values[2 * i + 1]];
      if (Math.hypot(px - x, py - y) <= reach) continue;
      this.values[2 * kept] = px;
      this.values[2 * kept + 1] = py;
      this.kinds[kept] = this.kinds[i];
      kept += 1;
    }
    if (kept < this.count) this.erasures += 1;
    this.count = kept;
  }

  points(): Points {
    return { xy: this.values.slice(0, 2 * this.count), classes: this.kinds.slice(0, this.count) };
  }

  /** The points as they are now, valid until the next change. */
  peek(): Points {
    return { xy: this.values.subarray(0, 2 * this.count), classes: this.kinds.subarray(0, this.count) };
  }

  private grow(): void {
    const values = new Float32Array(2 * this.values.length);
    const kinds = new Uint8Array(values.length / 2);
    values.set(this.values);
    kinds.set(this.kinds);
    this.values = values;
    this.kinds = kinds;
  }
}

export function encodePoints({ xy, classes }: Points): DrawnPoints {
  return { xy: toBase64(new Uint8Array(xy.buffer, xy.byteOffset, xy.byteLength)), classes: toBase64(classes) };
}

export function decodePoints(drawn: DrawnPoints | null | undefined): Points {
  if (!drawn) return NO_POINTS;
  const bytes = fromBase64(drawn.xy);
  return { xy: new Float32Array(bytes.buffer), classes: fromBase64(drawn.classes) };
}

const CHUNK = 0x8000; // arguments of one call

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHUNK) binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** x -> (x - centre) scale, for every point. */
function mapped({ xy, classes }: Points, [cx, cy]: readonly [number, number], scale: number): Points {
  return { classes, xy: xy.map((v, i) => (v - (i % 2 ? cy : cx)) * scale) };
}

/** Centred and scaled to reach 2, and by how much; as they are, and 1, if they lie well on the sheet already. */
export function fitted(points: Points): { points: Points; scale: number } {
  const { xy } = points;
  const reach = largest(points);
  if (xy.length === 0 || (LEAST <= reach && reach <= SHEET)) return { points, scale: 1 };
  const low = [Infinity, Infinity];
  const high = [-Infinity, -Infinity];
  xy.forEach((v, i) => {
    low[i % 2] = Math.min(low[i % 2], v);
    high[i % 2] = Math.max(high[i % 2], v);
  });
  const half = Math.max(high[0] - low[0], high[1] - low[1]) / 2;
  const scale = half > 0 ? FIT / half : 1;
  if (!Number.isFinite(scale)) throw new Error("These points lie too close together to be drawn.");
  return { points: mapped(points, [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2], scale), scale };
}

/** The largest coordinate without its sign; 0 for no points. */
export function largest({ xy }: Points): number {
  return xy.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
}

/** E x^2 per coordinate and the mean of each coordinate. */
function moments({ xy }: Points): { second: number; mean: [number, number] } {
  const mean: [number, number] = [0, 0];
  let second = 0;
  xy.forEach((v, i) => {
    mean[i % 2] += (2 * v) / xy.length;
    second += (v * v) / xy.length;
  });
  return { second, mean };
}

/** The standard deviation over all coordinates (EDM's sigma_data); nan without points. */
export function sigmaOfPoints(points: Points): number {
  const { second, mean } = moments(points);
  return points.xy.length ? Math.sqrt(Math.max(0, second - ((mean[0] + mean[1]) / 2) ** 2)) : NaN;
}

/** Mean 0 and variance 1 per coordinate on average, by one shift and one number; null if they all lie in one place. */
export function standardPoints(points: Points): { points: Points; scale: number } | null {
  const { second, mean } = moments(points);
  const variance = second - (mean[0] ** 2 + mean[1] ** 2) / 2;
  if (!(variance > 1e-12)) return null;
  const scale = 1 / Math.sqrt(variance);
  return { points: mapped(points, mean, scale), scale };
}

/** How many classes are in use. */
export const classesIn = ({ classes }: Points): number => new Set(classes).size;
