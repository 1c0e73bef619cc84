/** A batch of grey images as one sheet on one canvas: crisp pixels, an equal gap, as many as stay readable. */

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

export class SheetPainter {
  private canvas = document.createElement("canvas");

  /**
   * Draw a x + b y of two arrays (n, h * w) in grey, `range` from black to white, values outside clipped.
   * `border` is the CSS colour of the thin frame around each image.
   */
  draw(
    context: CanvasRenderingContext2D,
    x: Float32Array,
    y: Float32Array,
    [a, b]: readonly [number, number],
    [h, w]: readonly [number, number],
    at: Sheet,
    [low, high]: readonly [number, number],
    border: string,
  ): void {
    // All shown images in one strip, then one scaled copy each.
    if (this.canvas.width !== w || this.canvas.height !== h * at.count) {
      this.canvas.width = w;
      this.canvas.height = Math.max(1, h * at.count);
    }
    const image = new ImageData(w, Math.max(1, h * at.count));
    const pixels = new Uint32Array(image.data.buffer);
    const gain = 255 / (high - low);
    for (let i = 0; i < at.count * h * w; i++) {
      const value = (a * x[i] + b * y[i] - low) * gain;
      const grey = value >= 255 ? 255 : value > 0 ? Math.round(value) : 0;
      pixels[i] = ((255 << 24) | (grey << 16) | (grey << 8) | grey) >>> 0;
    }
    this.canvas.getContext("2d")!.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.strokeStyle = border;
    context.lineWidth = 1;
    for (let k = 0; k < at.count; k++) {
      const left = at.x + (k % at.columns) * (w * at.scale + at.gap);
      const top = at.y + Math.floor(k / at.columns) * (h * at.scale + at.gap);
      context.drawImage(this.canvas, 0, k * h, w, h, left, top, w * at.scale, h * at.scale);
      context.strokeRect(left - 0.5, top - 0.5, w * at.scale + 1, h * at.scale + 1);
    }
  }
}
