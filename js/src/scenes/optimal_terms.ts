/**
 * The exact denoiser's terms of any chain, read from the mmse curve of the data: the twin of difflab/scenes/optimal_terms.py.
 *
 *   L_{k-1} = D/2 (r - 1 - log r) + c_0^2 / (2 var_k) mmse(log-SNR_k),     r = beta-tilde_k / var_k
 *
 * No schedule changes the curve. So the bars follow a slider without asking anybody: a thousand terms are a millisecond.
 * tests/scenes/test_optimal_terms.py holds them to Python's.
 */
import { chainTable, timeOfLogSnr, type Schedule } from "../core/schedule";

/** log-SNR (increasing), E|x_0 - E[x_0 | x_t]|^2 summed over coordinates, its standard error. */
export interface Curve {
  readonly logSnr: ArrayLike<number>;
  readonly mse: ArrayLike<number>;
  readonly error: ArrayLike<number>;
}

/** What else the terms need of the data, per coordinate; `half_range` is that of discrete data. */
export interface About {
  readonly dim: number;
  readonly variance: number;
  readonly second_moment: number;
  readonly half_range: number | null;
}

export type Variance = "large" | "small" | "ddpm_large" | "ddpm_small" | "optimal";

/** The terms in bins of neighbouring steps, per dimension, in nats or (discrete data) bits. */
export interface ChainBits {
  /** Times and log-SNRs between the bins, from k = 1 to T. */
  readonly edges: Float64Array;
  readonly levels: Float64Array;
  readonly optimal: Float64Array;
  readonly error: Float64Array;
  /** The same terms with the best variance. */
  readonly least: Float64Array;
  /** Null for discrete data, whose L_0 is no mean square and is Python's. */
  readonly L_0: number | null;
  readonly L_0_least: number | null;
  readonly L_T: number;
  /** L_T and the L_{k-1} together, and L_0 where it is known; and the standard error. */
  readonly total: number;
  readonly totalError: number;
}

const POINTS = 6;
const LEAST_VARIANCE = 1e-8; // of sigma_1^2: a Gaussian needs some width

/** mmse at any log-SNR: `first` is the first of the levels that count, `weights` what each counts. */
function weightsAt(curve: Curve, about: About, wanted: number): { first: number; weights: Float64Array } {
  const { logSnr } = curve;
  const n = logSnr.length;
  const order = Math.min(POINTS, n);
  const place = Math.min(logSnr[n - 1], Math.max(logSnr[0], wanted));
  let [low, high] = [0, n];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (logSnr[middle] < place) low = middle + 1;
    else high = middle;
  }
  const first = Math.min(n - order, Math.max(0, low - (order >> 1)));
  const weights = new Float64Array(order);
  for (let i = 0; i < order; i++) {
    let lagrange = 1;
    for (let j = 0; j < order; j++)
      if (j !== i) lagrange *= (place - logSnr[first + j]) / (logSnr[first + i] - logSnr[first + j]);
    // a polynomial for the ratio to the mmse of a Gaussian as wide as the data, which is smooth at both ends
    weights[i] = (lagrange * gaussian(about, wanted)) / gaussian(about, logSnr[first + i]);
  }
  return { first, weights };
}

const gaussian = ({ dim, variance }: About, logSnr: number) => (dim * variance) / (1 + variance * Math.exp(logSnr));

const dot = (at: { first: number; weights: Float64Array }, values: ArrayLike<number>) =>
  at.weights.reduce((sum, w, i) => sum + w * values[at.first + i], 0);

/** E|x_0 - E[x_0 | x_t]|^2 summed over coordinates. */
export const mmseAt = (curve: Curve, about: About, logSnr: number): number =>
  dot(weightsAt(curve, about, logSnr), curve.mse);

/** What one nat of a sample is per dimension, in the data's unit. */
const scaleOf = ({ dim, half_range }: About) => (half_range === null ? 1 / dim : 1 / dim / Math.LN2);

/** SNR mmse / 2 per unit of log-SNR: what a bound pays there in continuous time, in nats or bits per dimension. */
export function density(curve: Curve, about: About, logSnr: number): number {
  return (scaleOf(about) * Math.exp(logSnr) * mmseAt(curve, about, logSnr)) / 2;
}

/** ratio - 1 - log ratio. */
const divergence = (logRatio: number) => Math.expm1(logRatio) - logRatio;

/** Half to even, as torch rounds the ends of bins. */
function round(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

/** L_T per dimension in nats: KL(N(alpha x_0, sigma^2) || prior), averaged over data of this second moment. */
export function terminalKl(alpha: number, sigma: number, secondMoment: number): number {
  // a schedule that does not preserve variance ends on a prior as wide as its last level
  const std = Math.abs(alpha * alpha + sigma * sigma - 1) < 1e-6 ? 1 : sigma;
  const excess = ((sigma - std) * (sigma + std)) / std ** 2;
  return ((alpha / std) ** 2 * secondMoment) / 2 + (excess - Math.log1p(excess)) / 2;
}

export function chainBits(
  curve: Curve,
  about: About,
  schedule: Schedule,
  steps: number,
  variance: Variance,
  bins: number,
): ChainBits {
  if (variance.startsWith("ddpm") && steps < 2)
    throw new Error("DDPM's rule takes the variance of step 2 for step 1, but this chain has one step.");
  const { alpha, sigma } = chainTable(schedule, steps);
  const level = Float64Array.from(alpha, (a, k) => 2 * (Math.log(a) - Math.log(sigma[k])));
  const share = level.map((l, k) => (k === 0 ? NaN : k === 1 ? 1 : -Math.expm1(l - level[k - 1]))); // of sigma_k^2: beta_k
  const { dim } = about;
  const scale = scaleOf(about);
  const logSmall = (k: number) => 2 * Math.log(sigma[k - 1]) + Math.log(share[k]);
  const logLarge = (k: number) => 2 * Math.log(sigma[k]) + Math.log(share[k]);
  const logVar = (k: number, best: number) => {
    if (variance === "optimal") return best;
    if (k === 1) return variance.startsWith("ddpm") ? logSmall(2) : logLarge(1);
    return variance.endsWith("small") ? logSmall(k) : logLarge(k);
  };

  const count = Math.min(bins, steps - 1);
  const ends = Array.from({ length: count + 1 }, (_, i) => round(1 + ((steps - 1) * i) / Math.max(1, count)));
  const [optimal, error, least] = [0, 0, 0].map(() => new Float64Array(count));
  const read = new Float64Array(curve.logSnr.length); // how much each level of the curve counts in the bin at hand
  const inAll = new Float64Array(curve.logSnr.length);
  const errorOf = (counts: Float64Array) => Math.sqrt(counts.reduce((s, w, i) => s + (w * curve.error[i]) ** 2, 0));
  const term = (k: number) => {
    const at = weightsAt(curve, about, level[k]);
    const mse = dot(at, curve.mse);
    const c0 = alpha[k - 1] * share[k];
    const small = k === 1 ? -Infinity : logSmall(k);
    const most = Math.min((sigma[k] / alpha[k]) ** 2, about.half_range === null ? Infinity : about.half_range ** 2);
    const v = Math.min(most, Math.max(0, mse / dim));
    const best = Math.max(
      Math.log((k === 1 ? 0 : Math.exp(small)) + c0 * c0 * v),
      k === 1 ? Math.log(LEAST_VARIANCE * sigma[1] ** 2) : -Infinity,
    );
    const value = (log: number) => {
      const constant = (dim / 2) * (k === 1 ? Math.log(2 * Math.PI) + log : divergence(small - log));
      return scale * (constant + (c0 * c0 * mse) / (2 * Math.exp(log)));
    };
    const log = logVar(k, best);
    const weight = (scale * c0 * c0) / (2 * Math.exp(log));
    at.weights.forEach((w, i) => (read[at.first + i] += weight * w));
    return { value: value(log), least: value(best) };
  };
  const first = about.half_range === null ? term(1) : null;
  inAll.set(read);
  for (let bin = 0; bin < count; bin++) {
    read.fill(0);
    for (let k = ends[bin] + 1; k <= ends[bin + 1]; k++) {
      const found = term(k);
      optimal[bin] += found.value;
      least[bin] += found.least;
    }
    error[bin] = errorOf(read);
    read.forEach((w, i) => (inAll[i] += w));
  }
  const L_T = scale * dim * terminalKl(alpha[steps], sigma[steps], about.second_moment);
  return {
    edges: Float64Array.from(ends, (k) => timeOfLogSnr(schedule, level[k])),
    levels: Float64Array.from(ends, (k) => level[k]),
    optimal,
    error,
    least,
    L_0: first?.value ?? null,
    L_0_least: first?.least ?? null,
    L_T,
    total: L_T + optimal.reduce((s, v) => s + v, 0) + (first?.value ?? 0),
    totalError: errorOf(inAll),
  };
}

/**
 * What was measured in bins between the log-SNRs `from` (falling), spread over other bins: in fine chains a stretch of
 * log-SNR costs what it costs, whatever the schedule. An estimate, to be drawn until the new chain itself is measured.
 */
export function carried(from: ArrayLike<number>, values: ArrayLike<number>, to: ArrayLike<number>): Float64Array {
  const out = new Float64Array(Math.max(0, to.length - 1));
  for (let j = 0; j < out.length; j++)
    for (let i = 0; i < values.length; i++) {
      const shared = Math.min(from[i], to[j]) - Math.max(from[i + 1], to[j + 1]);
      const width = from[i] - from[i + 1];
      if (shared > 0 && Number.isFinite(width)) out[j] += (values[i] * shared) / width;
    }
  return out;
}
