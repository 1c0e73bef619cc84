/**
 * The noise schedules, evaluated in the browser in float64: the twin of difflab/schedules.py and difflab/chain.py.
 *
 * x_t = alpha x_0 + sigma eps with t in [0, 1], 0 data, 1 noise. Moving a slider asks the kernel for nothing:
 * a schedule is a name and two numbers. tests/scenes/test_schedule_parity.py holds both sides to the same tables.
 */
export interface Schedule {
  readonly name: string;
  readonly params: Readonly<Record<string, number>>;
}

export interface AlphaSigma {
  readonly alpha: number;
  readonly sigma: number;
}

/** Tables of length T + 1 indexed by k; index 0 is data. `beta[0]` is NaN: no step leads to the data. */
export interface ChainTable {
  readonly alpha: Float64Array;
  readonly sigma: Float64Array;
  readonly beta: Float64Array;
}

const DDPM_STEPS = 1000;
const FIRST_T = 1e-9; // a noise level never sits at t = 0, for t = 0 is data
const COSINE_MIN_LOG_SNR = -20; // alpha would reach 0 at t = 1, and eps-prediction cannot divide by it
const COSINE_MAX_BETA = 0.999; // Nichol & Dhariwal 2021, section 3.2

/** 1/(12 x) - 1/(360 x^3) + 1/(1260 x^5): what Stirling's formula adds to (x - 1/2) ln x - x + ln(2 pi)/2. */
function stirlingTail(x: number): number {
  const y = 1 / (x * x);
  return (1 / 12 - (1 / 360 - y / 1260) * y) / x;
}

/** -(1 - u) ln(1 - u) - u, without the cancellation that writing it so would suffer at small u. */
function entropyDefect(u: number): number {
  if (u > 0.1) return -(1 - u) * Math.log1p(-u) - u;
  let sum = 0;
  let power = u;
  for (let n = 2; n <= 20; n++) {
    power *= u;
    sum -= power / (n * (n - 1));
  }
  return sum;
}

/**
 * log of prod_{j <= k} (1 - beta_j) for DDPM's betas linspace(beta_min, beta_max, 1000), at any real k in [0, 1000].
 *
 * With d the spacing and x = (1 - beta_min)/d + 1 it is k ln d + lnGamma(x) - lnGamma(x - k). The two lnGammas are of
 * order 5e5 and differ by 10: Stirling's series is subtracted term by term, with u = k/x, before numbers are put in.
 */
export function logAlphaBarLinear(betaMin: number, betaMax: number, t: number): number {
  const k = DDPM_STEPS * t;
  const d = (betaMax - betaMin) / (DDPM_STEPS - 1);
  if (d === 0) return k * Math.log1p(-betaMin);
  const x = (1 - betaMin) / d + 1;
  const u = k / x;
  const log =
    k * Math.log1p(d - betaMin) + x * entropyDefect(u) + 0.5 * Math.log1p(-u) + stirlingTail(x) - stirlingTail(x - k);
  // before the first step the continuation may rise above 1, if betas start lower than they rise
  return Math.min(log, (Math.log1p(-betaMin) * k) / 2);
}

function param(schedule: Schedule, name: string): number {
  const value = schedule.params[name];
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new Error(`The schedule ${schedule.name} needs a number for ${name}.`);
  return value;
}

/** Why this schedule cannot be used, in one sentence; null when it can. The bounds are those of the Python classes. */
export function complaint(schedule: Schedule): string | null {
  const p = schedule.params;
  if (Object.values(p).some((v) => !Number.isFinite(v))) return `${schedule.name} needs finite parameters.`;
  if (schedule.name === "VPLinear" && !(0 < p.beta_min && p.beta_min < p.beta_max && p.beta_max <= 0.5))
    return "The linear schedule needs 0 < beta_min < beta_max ≤ 0.5.";
  if (schedule.name === "VPCosine" && !(0 < p.s && p.s <= 1)) return "The cosine schedule needs 0 < s ≤ 1.";
  if (schedule.name === "Geometric" && !(0 < p.sigma_min && p.sigma_min < p.sigma_max))
    return "The geometric schedule needs 0 < sigma_min < sigma_max.";
  return null;
}

/** alpha and sigma at t, clamped to [0, 1]; t = 0 is clean data: (1, 0). */
export function alphaSigma(schedule: Schedule, t: number): AlphaSigma {
  if (!(t > 0)) return { alpha: 1, sigma: 0 };
  const time = Math.min(t, 1);
  switch (schedule.name) {
    case "VPLinear": {
      const log = logAlphaBarLinear(param(schedule, "beta_min"), param(schedule, "beta_max"), time);
      return { alpha: Math.exp(log / 2), sigma: Math.sqrt(-Math.expm1(log)) };
    }
    case "VPCosine": {
      const s = param(schedule, "s");
      const start = ((s / (1 + s)) * Math.PI) / 2;
      const angle = (((time + s) / (1 + s)) * Math.PI) / 2;
      const floor = 1 / Math.sqrt(1 + Math.exp(-COSINE_MIN_LOG_SNR));
      const alpha = Math.cos(angle) / Math.cos(start);
      if (alpha <= floor) return { alpha: floor, sigma: 1 / Math.sqrt(1 + Math.exp(COSINE_MIN_LOG_SNR)) };
      // cos^2 a - cos^2 b = sin(b - a) sin(b + a): exact where 1 - alpha^2 would lose every digit
      const variance = Math.sin(angle - start) * Math.sin(angle + start);
      return { alpha, sigma: Math.sqrt(variance) / Math.cos(start) };
    }
    case "Geometric": {
      const low = param(schedule, "sigma_min");
      return { alpha: 1, sigma: low * Math.pow(param(schedule, "sigma_max") / low, time) };
    }
    default:
      throw new Error(`Unknown schedule "${schedule.name}": it is none of VPLinear, VPCosine, Geometric.`);
  }
}

/** lambda = log(alpha^2 / sigma^2) in nats; Infinity at t = 0. */
export function logSnr(schedule: Schedule, t: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  return 2 * Math.log(alpha / sigma);
}

/**
 * The schedule seen at T steps: alpha, sigma and the variance beta_k of q(x_k | x_{k-1}).
 *
 * VPCosine's betas are clipped at 0.999 and its alphas follow from them; a Geometric chain has NCSN's levels, of which
 * the first is sigma_min and the last sigma_max.
 */
export function chainTable(schedule: Schedule, steps: number): ChainTable {
  if (!(Number.isInteger(steps) && steps >= 1)) throw new Error(`A chain has at least one step, not ${steps}.`);
  const alpha = new Float64Array(steps + 1).fill(1);
  const sigma = new Float64Array(steps + 1);
  const beta = new Float64Array(steps + 1).fill(NaN);
  const geometric = schedule.name === "Geometric";
  const clipped = schedule.name === "VPCosine";
  let before: AlphaSigma = { alpha: 1, sigma: 0 }; // the schedule's own level, not the clipped chain's
  let logAlphaBar = 0;
  for (let k = 1; k <= steps; k++) {
    const t = geometric ? (steps === 1 ? 1 : (k - 1) / (steps - 1)) : k / steps;
    const level = alphaSigma(schedule, Math.max(t, FIRST_T));
    const ratio = level.alpha / before.alpha;
    if (clipped) {
      // at k = 1 the variance itself is taken: 1 - alpha^2 would cancel
      beta[k] = Math.min(k === 1 ? level.sigma ** 2 : 1 - ratio ** 2, COSINE_MAX_BETA);
      logAlphaBar += Math.log1p(-beta[k]);
      alpha[k] = Math.exp(logAlphaBar / 2);
      sigma[k] = Math.sqrt(-Math.expm1(logAlphaBar));
    } else {
      beta[k] = level.sigma ** 2 - (ratio * before.sigma) ** 2;
      alpha[k] = level.alpha;
      sigma[k] = level.sigma;
    }
    before = level;
  }
  return { alpha, sigma, beta };
}
