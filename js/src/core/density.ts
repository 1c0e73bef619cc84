/**
 * The exact marginal density of a Gaussian mixture at noise level (alpha, sigma), in two dimensions:
 * p_t(x) = sum_k w_k N(x; alpha m_k, alpha^2 C_k + sigma^2 I), evaluated on a coarse grid and scaled up smoothly.
 */
import type { Rgb, View } from "./splat";
import { flatNumbers } from "./wire";

export interface Mixture {
  /** (K,), (K, 2) and (K, 2, 2), row-major. */
  weights: Float64Array;
  means: Float64Array;
  covariances: Float64Array;
}

/** The `mixture` trait, or null when there is none or it is not two-dimensional. */
export function readMixture(trait: unknown): Mixture | null {
  if (trait === null || typeof trait !== "object") return null;
  const raw = trait as Record<string, unknown>;
  const weights = flatNumbers(raw.weights);
  const means = flatNumbers(raw.means);
  const covariances = flatNumbers(raw.covariances);
  if (means.length !== 2 * weights.length || covariances.length !== 4 * weights.length) return null;
  return { weights, means, covariances };
}

/** A rectangle of `columns` x `rows` cells with its upper left corner at (left, top), y upwards, cells of side `cell`. */
export interface Grid {
  left: number;
  top: number;
  cell: number;
  columns: number;
  rows: number;
}

/** The grid that covers a canvas of the view, with `rows` rows. */
export function gridOver(width: number, height: number, view: View, rows: number): Grid {
  const cell = height / view.scale / rows;
  const columns = Math.ceil(width / view.scale / cell);
  const left = -view.x0 / view.scale - (columns * cell - width / view.scale) / 2;
  return { left, top: view.y0 / view.scale, cell, columns, rows };
}

/** Below e^-18 of a component's height nothing is left to see. */
const GONE = Math.exp(-18);

/**
 * Density at the cells' centres, row-major from the top, in 1 / (data unit)^2.
 *
 * A component narrower than a cell would fall between the centres; the variance of a cell, cell^2 / 12 per axis, is
 * added to each: to second order that is the mean over the cell, and the integral stays one.
 *
 * Along a row a Gaussian is e_{i+1} = e_i r_i with r_{i+1} = r_i q: two products a cell, from its highest cell outwards,
 * where an exponential would cost ten times that. After i cells the rounding is below i^2 2^-53, here 1e-12.
 */
export function marginalDensity(
  mixture: Mixture,
  alpha: number,
  sigma: number,
  grid: Grid,
  out: Float64Array = new Float64Array(grid.columns * grid.rows),
): Float64Array {
  const { weights, means, covariances } = mixture;
  const { left, top, cell, columns, rows } = grid;
  out.fill(0);
  const noise = sigma * sigma + (cell * cell) / 12;
  for (let k = 0; k < weights.length; k++) {
    const xx = alpha * alpha * covariances[4 * k] + noise;
    const xy = alpha * alpha * covariances[4 * k + 1];
    const yy = alpha * alpha * covariances[4 * k + 3] + noise;
    const det = xx * yy - xy * xy;
    const height = weights[k] / (2 * Math.PI * Math.sqrt(det));
    const [pxx, pxy, pyy] = [-yy / (2 * det), xy / det, -xx / (2 * det)];
    const first = left + 0.5 * cell - alpha * means[2 * k];
    const bend = Math.exp(2 * pxx * cell * cell);
    for (let j = 0; j < rows; j++) {
      const dy = top - (j + 0.5) * cell - alpha * means[2 * k + 1];
      if (dy * dy > 36 * yy) continue;
      const peak = Math.round(((-pxy * dy) / (2 * pxx) - first) / cell);
      const start = Math.min(columns - 1, Math.max(0, peak));
      const dx = first + start * cell;
      const peakValue = Math.exp(pxx * dx * dx + pxy * dx * dy + pyy * dy * dy);
      const slope = (2 * pxx * dx + pxy * dy) * cell;
      const half = pxx * cell * cell;
      const row = j * columns;
      let e = peakValue;
      let ratio = Math.exp(half + slope);
      for (let i = start; i < columns && e > GONE; i++) {
        out[row + i] += height * e;
        e *= ratio;
        ratio *= bend;
      }
      ratio = Math.exp(half - slope);
      e = peakValue * ratio;
      for (let i = start - 1; i >= 0 && e > GONE; i--) {
        ratio *= bend;
        out[row + i] += height * e;
        e *= ratio;
      }
    }
  }
  return out;
}

/** Draws a density in one colour behind the points; keeps its small canvas between frames. */
export class DensityPainter {
  private canvas = document.createElement("canvas");

  /** Opacity is `strength` sqrt(p / max p): the tails stay visible. */
  draw(
    context: CanvasRenderingContext2D,
    density: Float64Array,
    grid: Grid,
    view: View,
    [r, g, b]: Rgb,
    strength: number,
  ): void {
    const { columns, rows } = grid;
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
    }
    const image = new ImageData(columns, rows);
    const pixels = new Uint32Array(image.data.buffer);
    const colour = (b << 16) | (g << 8) | r;
    let max = 0;
    for (let i = 0; i < density.length; i++) if (density[i] > max) max = density[i];
    if (max === 0) return;
    for (let i = 0; i < density.length; i++) {
      const opacity = Math.round(255 * strength * Math.sqrt(density[i] / max));
      pixels[i] = ((opacity << 24) | colour) >>> 0;
    }
    this.canvas.getContext("2d")!.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    const side = grid.cell * view.scale;
    const x = view.x0 + grid.left * view.scale;
    const y = view.y0 - grid.top * view.scale;
    context.drawImage(this.canvas, x, y, columns * side, rows * side);
  }
}
