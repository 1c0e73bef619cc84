/**
 * The exact denoiser's terms of any chain, read from the mmse curve of the data: the twin of difflab/scenes/optimal_terms.py.
 *
 *   L_{k-1} = D/2 (r - 1 - log r) + c_0^2 / (2 var_k) mmse(log-SNR_k),     r = beta-tilde_k / var_k
 *
 * No schedule changes the curve. So the bars follow a slider without asking anybody: a thousand terms take less than a frame.
 * tests/scenes/test_optimal_terms.py holds them to Python's.
 */
import { chainTable, logSnr, reachesData, timeOfLogSnr, type Schedule } from "../core/schedule";

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

/** Reads the curve at any log-SNR: after `seek`, mmse is the sum of `weights[i] * mse[first + i]`. */
class Reader {
  readonly weights: Float64Array;
  first = 0;
  /** 1 / (what a level's weight has in its denominator), by first level and place in the polynomial. */
  private readonly shares: Float64Array;

  constructor(
    private readonly curve: Curve,
    private readonly about: About,
  ) {
    const { logSnr } = curve;
    const order = Math.min(POINTS, logSnr.length);
    this.weights = new Float64Array(order);
    this.shares = new Float64Array(order * (logSnr.length - order + 1));
    for (let first = 0; first + order <= logSnr.length; first++)
      for (let i = 0; i < order; i++) {
        let product = gaussian(about, logSnr[first + i]);
        for (let j = 0; j < order; j++) if (j !== i) product *= logSnr[first + i] - logSnr[first + j];
        this.shares[first * order + i] = 1 / product;
      }
  }

  /** A polynomial through the nearest levels for the ratio to the mmse of a Gaussian as wide as the data: smooth at both ends. */
  seek(wanted: number): number {
    const { logSnr, mse } = this.curve;
    const [n, order] = [logSnr.length, this.weights.length];
    const place = Math.min(logSnr[n - 1], Math.max(logSnr[0], wanted));
    let [low, high] = [0, n];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (logSnr[middle] < place) low = middle + 1;
      else high = middle;
    }
    const first = Math.min(n - order, Math.max(0, low - (order >> 1)));
    const scale = gaussian(this.about, wanted);
    let value = 0;
    for (let i = 0; i < order; i++) {
      let lagrange = scale * this.shares[first * order + i];
      for (let j = 0; j < order; j++) if (j !== i) lagrange *= place - logSnr[first + j];
      this.weights[i] = lagrange;
      value += lagrange * mse[first + i];
    }
    this.first = first;
    return value;
  }
}

const gaussian = ({ dim, variance }: About, logSnr: number) => (dim * variance) / (1 + variance * Math.exp(logSnr));

/** E|x_0 - E[x_0 | x_t]|^2 summed over coordinates, at each of the levels. */
export function mmseAt(curve: Curve, about: About, levels: ArrayLike<number>): Float64Array {
  const reader = new Reader(curve, about);
  return Float64Array.from(levels, (level) => reader.seek(level));
}

/** What one nat of a sample is per dimension, in the data's unit. */
const scaleOf = ({ dim, half_range }: About) => (half_range === null ? 1 / dim : 1 / dim / Math.LN2);

/** SNR mmse / 2 at each of the levels: what a bound pays there in continuous time, per unit of log-SNR and per dimension. */
export function density(curve: Curve, about: About, levels: ArrayLike<number>): Float64Array {
  const scale = scaleOf(about) / 2;
  return mmseAt(curve, about, levels).map((mmse, i) => scale * Math.exp(levels[i]) * mmse);
}

/** ratio - 1 - log ratio. */
const divergence = (logRatio: number) => Math.expm1(logRatio) - logRatio;

/** Half to even, as torch rounds the ends of bins. */
function round(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

/** The last steps of the bins, from k = 1, which is L_0's, to T. */
export function binEnds(steps: number, bins: number): number[] {
  const count = Math.min(bins, steps - 1);
  return Array.from({ length: count + 1 }, (_, i) => round(1 + ((steps - 1) * i) / Math.max(1, count)));
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

  const ends = binEnds(steps, bins);
  const count = ends.length - 1;
  const [optimal, error, least] = [0, 0, 0].map(() => new Float64Array(count));
  const read = new Float64Array(curve.logSnr.length); // how much each level of the curve counts in the bin at hand
  const inAll = new Float64Array(curve.logSnr.length);
  const errorOf = (counts: Float64Array) => Math.sqrt(counts.reduce((s, w, i) => s + (w * curve.error[i]) ** 2, 0));
  const reader = new Reader(curve, about);
  const term = (k: number) => {
    const mse = reader.seek(level[k]);
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
    for (let i = 0; i < reader.weights.length; i++) read[reader.first + i] += weight * reader.weights[i];
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
    edges: Float64Array.from(ends, (k) => timeOf(schedule, steps, k, level[k])),
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

/** Where the schedule has the level of step k: at k / T, or, where the chain's betas are clipped, somewhat before. */
function timeOf(schedule: Schedule, steps: number, k: number, level: number): number {
  const usual = reachesData(schedule) ? k / steps : steps === 1 ? 1 : (k - 1) / (steps - 1);
  return Math.abs(logSnr(schedule, usual) - level) < 1e-11 ? usual : timeOfLogSnr(schedule, level);
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
