/**
 * Everything about a Gaussian mixture under noise, exactly, in two dimensions and float64:
 * p_t(x) = sum_k w_k N(x; alpha m_k, S_k) with S_k = alpha^2 C_k + sigma^2 I.
 *
 * With r_k = p(k | x_t), the score is sum_k r_k s_k, s_k = -S_k^-1 (x_t - alpha m_k), and the mean of x_0 given x_t is
 * sum_k r_k (m_k + alpha C_k S_k^-1 (x_t - alpha m_k)): nothing divides by sigma or alpha, so t = 0 and alpha = 0 are no
 * exceptions. The r_k come from logarithms, so that they sum to one however far out x_t lies.
 */
import type { Grid, Mixture } from "./density";
import type { AlphaSigma } from "./schedule";

export class Marginal {
  /** How many components there are. */
  readonly count: number;
  /** log of w_k / (2 pi sqrt(det S_k)). */
  private readonly heights: Float64Array;
  /** alpha m_k, (K, 2). */
  private readonly centres: Float64Array;
  /** S_k^-1 as (xx, xy, yy), (K, 3). */
  private readonly precisions: Float64Array;
  /** alpha C_k S_k^-1, (K, 2, 2). */
  private readonly gains: Float64Array;
  private readonly means: Float64Array;
  /** p(k | x) of the point that was asked for last. */
  private readonly shares: Float64Array;

  constructor(mixture: Mixture, { alpha, sigma }: AlphaSigma) {
    const { weights, means, covariances } = mixture;
    const count = weights.length;
    this.count = count;
    this.means = means;
    this.heights = new Float64Array(count);
    this.centres = means.map((m) => alpha * m);
    this.precisions = new Float64Array(3 * count);
    this.gains = new Float64Array(4 * count);
    this.shares = new Float64Array(count);
    for (let k = 0; k < count; k++) {
      const [a, b, , d] = covariances.subarray(4 * k, 4 * k + 4);
      const xx = alpha * alpha * a + sigma * sigma;
      const xy = alpha * alpha * b;
      const yy = alpha * alpha * d + sigma * sigma;
      const det = xx * yy - xy * xy;
      this.heights[k] = Math.log(weights[k]) - Math.log(2 * Math.PI) - Math.log(det) / 2;
      const [pxx, pxy, pyy] = [yy / det, -xy / det, xx / det];
      this.precisions.set([pxx, pxy, pyy], 3 * k);
      this.gains.set(
        [a * pxx + b * pxy, a * pxy + b * pyy, b * pxx + d * pxy, b * pxy + d * pyy].map((g) => alpha * g),
        4 * k,
      );
    }
  }

  /** log p_t(x, y) in nats. */
  logDensity(x: number, y: number): number {
    return this.weigh(x, y);
  }

  /** grad log p_t(x, y). */
  score(x: number, y: number): [number, number] {
    this.weigh(x, y);
    const { shares, centres, precisions } = this;
    let [sx, sy] = [0, 0];
    for (let k = 0; k < this.count; k++) {
      const dx = x - centres[2 * k];
      const dy = y - centres[2 * k + 1];
      sx -= shares[k] * (precisions[3 * k] * dx + precisions[3 * k + 1] * dy);
      sy -= shares[k] * (precisions[3 * k + 1] * dx + precisions[3 * k + 2] * dy);
    }
    return [sx, sy];
  }

  /** p(k | x_t = (x, y)): which component the point came from, (K,). */
  posterior(x: number, y: number): Float64Array {
    this.weigh(x, y);
    return this.shares.slice();
  }

  /** E[x_0 | x_t = (x, y)]: the exact denoiser. */
  posteriorMean(x: number, y: number): [number, number] {
    this.weigh(x, y);
    const { shares, centres, gains, means } = this;
    let [mx, my] = [0, 0];
    for (let k = 0; k < this.count; k++) {
      const dx = x - centres[2 * k];
      const dy = y - centres[2 * k + 1];
      mx += shares[k] * (means[2 * k] + gains[4 * k] * dx + gains[4 * k + 1] * dy);
      my += shares[k] * (means[2 * k + 1] + gains[4 * k + 2] * dx + gains[4 * k + 3] * dy);
    }
    return [mx, my];
  }

  /** log p_t, score and mean of x_0 at once, (log p, s_x, s_y, m_x, m_y) into `out`: what fields on grids are made of. */
  all(x: number, y: number, out: Float64Array): void {
    out[0] = this.weigh(x, y);
    const { shares, centres, precisions, gains, means } = this;
    let [sx, sy, mx, my] = [0, 0, 0, 0];
    for (let k = 0; k < this.count; k++) {
      const share = shares[k];
      if (share === 0) continue;
      const dx = x - centres[2 * k];
      const dy = y - centres[2 * k + 1];
      sx -= share * (precisions[3 * k] * dx + precisions[3 * k + 1] * dy);
      sy -= share * (precisions[3 * k + 1] * dx + precisions[3 * k + 2] * dy);
      mx += share * (means[2 * k] + gains[4 * k] * dx + gains[4 * k + 1] * dy);
      my += share * (means[2 * k + 1] + gains[4 * k + 2] * dx + gains[4 * k + 3] * dy);
    }
    out[1] = sx;
    out[2] = sy;
    out[3] = mx;
    out[4] = my;
  }

  /** Fills `shares` for the point; returns log p_t. */
  private weigh(x: number, y: number): number {
    const { shares, heights, centres, precisions, count } = this;
    let largest = -Infinity;
    for (let k = 0; k < count; k++) {
      const dx = x - centres[2 * k];
      const dy = y - centres[2 * k + 1];
      const square =
        precisions[3 * k] * dx * dx + 2 * precisions[3 * k + 1] * dx * dy + precisions[3 * k + 2] * dy * dy;
      const log = heights[k] - square / 2;
      shares[k] = log;
      if (log > largest) largest = log;
    }
    let total = 0;
    for (let k = 0; k < count; k++) total += shares[k] = Math.exp(shares[k] - largest);
    for (let k = 0; k < count; k++) shares[k] /= total;
    return largest + Math.log(total);
  }
}

/** The score at the cells' centres, row-major from the top, (rows, columns, 2). */
export function scoreOnGrid(marginal: Marginal, grid: Grid): Float32Array {
  return onGrid(grid, (x, y) => marginal.score(x, y));
}

/** E[x_0 | x_t] at the cells' centres, as `scoreOnGrid`. */
export function posteriorMeanOnGrid(marginal: Marginal, grid: Grid): Float32Array {
  return onGrid(grid, (x, y) => marginal.posteriorMean(x, y));
}

/** log p_t at the cells' centres, (rows, columns). */
export function logDensityOnGrid(marginal: Marginal, { left, top, cell, columns, rows }: Grid): Float32Array {
  const out = new Float32Array(rows * columns);
  for (let j = 0, at = 0; j < rows; j++) {
    const y = top - (j + 0.5) * cell;
    for (let i = 0; i < columns; i++) out[at++] = marginal.logDensity(left + (i + 0.5) * cell, y);
  }
  return out;
}

function onGrid({ left, top, cell, columns, rows }: Grid, ask: (x: number, y: number) => [number, number]) {
  const out = new Float32Array(2 * rows * columns);
  for (let j = 0, at = 0; j < rows; j++) {
    const y = top - (j + 0.5) * cell;
    for (let i = 0; i < columns; i++, at += 2) [out[at], out[at + 1]] = ask(left + (i + 0.5) * cell, y);
  }
  return out;
}
