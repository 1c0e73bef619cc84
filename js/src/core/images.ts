/** A batch of grey or coloured images as one sheet on one canvas: crisp pixels, an equal gap, as many as stay readable. */

export interface Sheet {
  columns: number;
  rows: number;
  /** Device pixels per image pixel, a whole number so that all pixels are alike. */
  scale: number;
  gap: number;
  /** Upper left corner of the sheet, centred. */
  x: number;
  y: number;
  /** Images shown: columns * rows. */
  count: number;
}

/** The full sheet of at most `n` images of h x w pixels that covers most of a canvas, each at least `smallest` high. */
export function sheet(
  n: number,
  [h, w]: readonly [number, number],
  width: number,
  height: number,
  smallest: number,
): Sheet {
  const atLeast = Math.max(1, Math.ceil(smallest / h));
  let best: Sheet | null = null;
  for (let columns = 1; columns <= n; columns++) {
    const gap = Math.max(1, Math.round(smallest / 9));
    const fit = Math.floor((width - gap * (columns - 1)) / (columns * w));
    if (fit < 1) break;
    // Whole rows only: either all of them, as large as they fit, or as many as fit at the smallest readable size.
    const all = Math.floor(n / columns);
    let scale = Math.min(fit, Math.floor((height - gap * (all - 1)) / (all * h)));
    let rows = all;
    if (scale < atLeast) {
      if (fit < atLeast && best) break;
      scale = Math.min(fit, atLeast);
      rows = Math.max(1, Math.min(all, Math.floor((height + gap) / (scale * h + gap))));
    }
    const count = rows * columns;
    const used = count * scale * scale;
    if (!best || used > best.count * best.scale * best.scale) {
      const x = Math.floor((width - columns * scale * w - gap * (columns - 1)) / 2);
      const y = Math.floor((height - rows * scale * h - gap * (rows - 1)) / 2);
      best = { columns, rows, scale, gap, x: Math.max(0, x), y: Math.max(0, y), count };
    }
  }
  return best ?? { columns: 1, rows: 1, scale: 1, gap: 1, x: 0, y: 0, count: Math.min(1, n) };
}

/** What a sheet is drawn of. */
export interface Pixels {
  shape: readonly [number, number];
  channels: number;
  /** Values shown black and white, or as no and full colour; beyond them they are clipped. */
  range: readonly [number, number];
}

export interface Frames {
  /** CSS colour of the thin frame around each image. */
  border: string;
  /** Frames by category instead: `palette[categories[k]]` for image k. */
  tint?: { categories: ArrayLike<number>; palette: readonly string[] } | null;
}

/** The images a x + b y of two arrays (n, channels * h * w), one below the other, as RGBA words. */
export function stripOf(
  x: Float32Array,
  y: Float32Array,
  [a, b]: readonly [number, number],
  { shape: [h, w], channels, range: [low, high] }: Pixels,
  count: number,
  into: Uint32Array,
): void {
  const gain = 255 / (high - low);
  const area = h * w;
  const byte = (i: number) => {
    const value = (a * x[i] + b * y[i] - low) * gain;
    return value >= 255 ? 255 : value > 0 ? Math.round(value) : 0;
  };
  const [green, blue] = channels === 3 ? [area, 2 * area] : [0, 0];
  for (let k = 0, at = 0; k < count; k++) {
    const first = k * area * channels;
    for (let i = first; i < first + area; i++, at++)
      into[at] = ((255 << 24) | (byte(i + blue) << 16) | (byte(i + green) << 8) | byte(i)) >>> 0;
  }
}

export class SheetPainter {
  private canvas = document.createElement("canvas");
  private image: ImageData | null = null;

  /** Draw a x + b y of two arrays (n, channels * h * w), as many as `at` has places for. */
  draw(
    context: CanvasRenderingContext2D,
    x: Float32Array,
    y: Float32Array,
    mixed: readonly [number, number],
    pixels: Pixels,
    at: Sheet,
    { border, tint }: Frames,
  ): void {
    const [h, w] = pixels.shape;
    const height = Math.max(1, h * at.count);
    // All shown images in one strip, then one scaled copy each.
    if (!this.image || this.image.width !== w || this.image.height !== height) {
      this.image = new ImageData(w, height);
      this.canvas.width = w;
      this.canvas.height = height;
    }
    stripOf(x, y, mixed, pixels, at.count, new Uint32Array(this.image.data.buffer));
    this.canvas.getContext("2d")!.putImageData(this.image, 0, 0);
    context.imageSmoothingEnabled = false;
    const thick = tint ? Math.min(3, Math.max(1, at.gap / 3)) : 1;
    context.lineWidth = thick;
    for (let k = 0; k < at.count; k++) {
      const left = at.x + (k % at.columns) * (w * at.scale + at.gap);
      const top = at.y + Math.floor(k / at.columns) * (h * at.scale + at.gap);
      context.drawImage(this.canvas, 0, k * h, w, h, left, top, w * at.scale, h * at.scale);
      context.strokeStyle = tint ? tint.palette[tint.categories[k] % tint.palette.length] : border;
      context.strokeRect(left - thick / 2, top - thick / 2, w * at.scale + thick, h * at.scale + thick);
    }
  }
}

/** Which image of a sheet lies under a place of the canvas, or -1. */
export function imageAt(
  { columns, scale, gap, x, y, count }: Sheet,
  [h, w]: readonly [number, number],
  px: number,
  py: number,
): number {
  const column = Math.floor((px - x) / (w * scale + gap));
  const row = Math.floor((py - y) / (h * scale + gap));
  const k = row * columns + column;
  return column >= 0 && column < columns && row >= 0 && k < count ? k : -1;
}
