/**
 * The closed forms of noise schedules, in float64: twins of the classes in difflab/schedules, by their names.
 *
 * Each gives alpha and sigma for 0 < t <= 1 to full relative precision, and says of parameters that Python would refuse
 * what is wrong with them. tests/scenes/test_schedule_parity.py holds both sides to the same numbers.
 */
import { logAlphaBarLinear, logAlphaBarSquares } from "./arithmetic_product";
import { hermite, monotoneSpline, type Spline } from "./monotone_cubic";

export interface AlphaSigma {
  readonly alpha: number;
  readonly sigma: number;
}

/** Numbers, or, of a drawn curve, lists of numbers. */
export type Params = Readonly<Record<string, any>>;

export interface Formula {
  /** Parameters left out have these values, as in Python. */
  defaults: Readonly<Record<string, number>>;
  at(p: Params, t: number): AlphaSigma;
  /** The condition that parameters break, or "" if they are sound. */
  wrong(p: Params): string;
  /** Whether sigma falls to 0 as t does; true when left out. */
  reachesData?(p: Params): boolean;
}

const COSINE_MIN_LOG_SNR = -20; // alpha would reach 0 at t = 1, and eps-prediction cannot divide by it

const byLogAlphaBar = (log: number): AlphaSigma => ({ alpha: Math.exp(log / 2), sigma: Math.sqrt(-Math.expm1(log)) });

/** alpha^2 = sigmoid(lambda), sigma^2 = sigmoid(-lambda), without losing the digits of the smaller one. */
export function byLogSnr(logSnr: number): AlphaSigma {
  return { alpha: Math.exp(logSigmoid(logSnr) / 2), sigma: Math.exp(logSigmoid(-logSnr) / 2) };
}

function logSigmoid(x: number): number {
  return x >= 0 ? -Math.log1p(Math.exp(-x)) : x - Math.log1p(Math.exp(x));
}

const integrated = (p: Params, t: number) => t * (p.beta_min + t * ((p.beta_max - p.beta_min) / 2));
const unless = (sound: boolean, needs: string) => (sound ? "" : needs);
const betas = (p: Params) =>
  unless(1e-8 <= p.beta_min && p.beta_min < p.beta_max && p.beta_max <= 0.5, "0 < beta_min < beta_max ≤ 0.5");
const rates = (p: Params) =>
  unless(1e-5 <= p.beta_min && p.beta_min <= p.beta_max && p.beta_max <= 1000, "1e-5 ≤ beta_min ≤ beta_max ≤ 1000");
const levels = (p: Params) =>
  unless(1e-6 <= p.sigma_min && 1.001 * p.sigma_min <= p.sigma_max && p.sigma_max <= 1e6, "0 < sigma_min < sigma_max");
const never = () => false;

const squares: Omit<Formula, "defaults"> = {
  at: (p, t) => byLogAlphaBar(logAlphaBarSquares(p.beta_min, p.beta_max, t)),
  wrong: (p) => betas(p) || unless(p.beta_min >= 1e-6 * p.beta_max, "beta_min of at least a millionth of beta_max"),
};

export const FORMULAS: Readonly<Record<string, Formula>> = {
  VPLinear: {
    defaults: { beta_min: 1e-4, beta_max: 0.02 },
    at: (p, t) => byLogAlphaBar(logAlphaBarLinear(p.beta_min, p.beta_max, t)),
    wrong: betas,
  },
  VPCosine: {
    defaults: { s: 0.008 },
    at({ s }, t) {
      const start = ((s / (1 + s)) * Math.PI) / 2;
      const angle = (((t + s) / (1 + s)) * Math.PI) / 2;
      const floor = byLogSnr(COSINE_MIN_LOG_SNR);
      const alpha = Math.cos(angle) / Math.cos(start);
      if (alpha <= floor.alpha) return floor;
      // cos^2 a - cos^2 b = sin(b - a) sin(b + a): exact where 1 - alpha^2 would lose every digit
      const variance = Math.sin(angle - start) * Math.sin(angle + start);
      return { alpha, sigma: Math.sqrt(variance) / Math.cos(start) };
    },
    wrong: ({ s }) => unless(0 < s && s <= 1, "0 < s ≤ 1"),
  },
  Geometric: {
    defaults: { sigma_min: 0.01, sigma_max: 50 },
    at: (p, t) => ({ alpha: 1, sigma: p.sigma_min * Math.pow(p.sigma_max / p.sigma_min, t) }),
    wrong: levels,
    reachesData: never,
  },
  VPSong: {
    defaults: { beta_min: 0.1, beta_max: 20 },
    at: (p, t) => byLogAlphaBar(-integrated(p, t)),
    wrong: rates,
  },
  VPScaledLinear: { defaults: { beta_min: 0.00085, beta_max: 0.012 }, ...squares },
  VPQuadratic: { defaults: { beta_min: 1e-4, beta_max: 0.02 }, ...squares },
  VPSigmoid: {
    defaults: { start: -3, end: 3, tau: 1, clip_min: 1e-9 },
    at(p, t) {
      const [s, e] = [p.start / p.tau, p.end / p.tau];
      const half = (e - s) / 2;
      const scale = Math.sinh(half) * Math.cosh((s + 2 * half * t) / 2);
      const left = (Math.sinh((1 - t) * half) * Math.cosh(s / 2)) / scale;
      const gone = (Math.sinh(t * half) * Math.cosh(e / 2)) / scale;
      return { alpha: Math.sqrt(p.clip_min + (1 - p.clip_min) * left), sigma: Math.sqrt((1 - p.clip_min) * gone) };
    },
    wrong(p) {
      const [s, e] = [p.start / p.tau, p.end / p.tau];
      if (!(p.start < p.end && p.tau > 0)) return "start < end and tau above 0";
      if (!(Math.max(Math.abs(s), Math.abs(e)) <= 30 && e - s >= 1e-6)) return "start/tau and end/tau within ±30";
      return unless(0 <= p.clip_min && p.clip_min <= 0.1, "0 ≤ clip_min ≤ 0.1");
    },
  },
  VPLogSNRLinear: {
    defaults: { log_snr_max: 13.3, log_snr_min: -5 },
    at: (p, t) => byLogSnr(p.log_snr_max + t * (p.log_snr_min - p.log_snr_max)),
    wrong: (p) =>
      unless(
        -100 <= p.log_snr_min && p.log_snr_max - p.log_snr_min >= 1e-3 && p.log_snr_max <= 100,
        "-100 ≤ log_snr_min < log_snr_max ≤ 100",
      ),
    reachesData: never,
  },
  EDM: {
    defaults: { sigma_min: 0.002, sigma_max: 80, rho: 7 },
    at(p, t) {
      const [low, high] = [Math.pow(p.sigma_min, 1 / p.rho), Math.pow(p.sigma_max, 1 / p.rho)];
      return { alpha: 1, sigma: Math.pow(low + t * (high - low), p.rho) };
    },
    wrong: (p) => levels(p) || unless(1 <= p.rho && p.rho <= 100, "1 ≤ rho ≤ 100"),
    reachesData: never,
  },
  Flow: { defaults: {}, at: (_, t) => ({ alpha: 1 - t, sigma: t }), wrong: () => "" },
  SubVP: {
    defaults: { beta_min: 0.1, beta_max: 20 },
    at(p, t) {
      const total = integrated(p, t);
      return { alpha: Math.exp(-total / 2), sigma: -Math.expm1(-total) };
    },
    wrong: rates,
  },
  Tabulated: {
    defaults: {},
    at: (p, t) => byLogSnr(drawn(p, t)),
    wrong(p) {
      const { values, t } = knots(p);
      const falls = values.every((v, i) => Number.isFinite(v) && (i === 0 || v < values[i - 1]));
      const rises = t.every((x, i) => x >= 0 && (i === 0 || x > t[i - 1])) && t[t.length - 1] === 1;
      return unless(values.length > 0 && values.length === t.length && falls && rises, "a log-SNR that falls strictly");
    },
    reachesData: (p) => knots(p).t[0] > 0,
  },
};

/** Knots of a drawn curve; by default evenly spaced from 0. */
function knots(p: Params): { values: readonly number[]; t: readonly number[] } {
  const values: readonly number[] = Array.isArray(p.values) ? p.values : [];
  const given: readonly number[] = Array.isArray(p.t) && p.t.length ? p.t : [];
  return { values, t: given.length ? given : values.map((_, i) => i / (values.length - 1)) };
}

const splines = new WeakMap<object, Spline>(); // a curve is asked hundreds of times between two movements

function drawn(p: Params, t: number): number {
  let spline = splines.get(p);
  if (!spline) {
    const { values, t: times } = knots(p);
    splines.set(p, (spline = monotoneSpline(times, values)));
  }
  const first = spline.x[0];
  // before a first knot above 0 noise grows from nothing as a power of t
  if (t < first) return spline.y[0] + first * spline.slope[0] * Math.log(t / first);
  return spline.x.length > 1 ? hermite(spline, t) : spline.y[0];
}
