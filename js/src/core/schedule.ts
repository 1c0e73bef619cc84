/**
 * Any noise schedule in the browser: the twin of difflab/schedules and difflab/chain.py.
 *
 * x_t = alpha x_0 + sigma eps with t in [0, 1], 0 data, 1 noise. Moving a slider asks the kernel for nothing where the
 * schedule is a formula (schedule_formulas.ts); any other one brings its table (schedule_tables.ts).
 */
import { FORMULAS, type AlphaSigma, type Formula, type Params } from "./schedule_formulas";
import { tableAt, tableOf, tableReachesData, type Table } from "./schedule_tables";

export type { AlphaSigma, Params };

export interface Schedule {
  readonly name: string;
  readonly params: Params;
  /** Of a schedule that the browser has no formula for. */
  readonly table?: Table;
}

/** Tables of length T + 1 indexed by k; index 0 is data. `beta[0]` is NaN: no step leads to the data. */
export interface ChainTable {
  readonly alpha: Float64Array;
  readonly sigma: Float64Array;
  readonly beta: Float64Array;
}

const FIRST_T = 1e-9; // a noise level never sits at t = 0, for t = 0 is data
const COSINE_MAX_BETA = 0.999; // Nichol & Dhariwal 2021, section 3.2
const BISECTIONS = 60;

/** A schedule of somebody's own class says "table" among its parameters: its name may be that of a formula. */
export function formulaOf(schedule: Schedule): Formula | undefined {
  if (schedule.table || "table" in schedule.params) return undefined;
  return Object.hasOwn(FORMULAS, schedule.name) ? FORMULAS[schedule.name] : undefined;
}

/** Whether alpha and sigma can be told here, without asking Python. */
export const drawable = (schedule: Schedule): boolean => !!formulaOf(schedule) || !!tableOf(schedule);

const completed = new WeakMap<Params, { formula: Formula; params: Params }>();

/** The parameters with the defaults of those left out. Throws for one that is missing or no number. */
function complete(schedule: Schedule, formula: Formula): Params {
  const known = completed.get(schedule.params);
  if (known?.formula === formula) return known.params;
  const params = { ...formula.defaults, ...schedule.params };
  for (const name of Object.keys(formula.defaults))
    if (typeof params[name] !== "number" || !Number.isFinite(params[name]))
      throw new Error(`The schedule ${schedule.name} needs a number for ${name}.`);
  completed.set(schedule.params, { formula, params });
  return params;
}

/** Why this schedule cannot be used, in one sentence; null when it can. The bounds are those of the Python classes. */
export function complaint(schedule: Schedule): string | null {
  const formula = formulaOf(schedule);
  if (!formula) return null; // Python says so, in the scene's error line
  if (Object.values(schedule.params).some((v) => typeof v === "number" && !Number.isFinite(v)))
    return `${schedule.name} needs finite parameters.`;
  const needs = formula.wrong(complete(schedule, formula));
  return needs ? `${schedule.name} needs ${needs}.` : null;
}

/** alpha and sigma at t, clamped to [0, 1]; t = 0 is clean data: (1, 0). */
export function alphaSigma(schedule: Schedule, t: number): AlphaSigma {
  if (!(t > 0)) return { alpha: 1, sigma: 0 };
  const time = Math.min(t, 1);
  const formula = formulaOf(schedule);
  if (formula) return formula.at(complete(schedule, formula), time);
  const table = tableOf(schedule);
  if (!table) throw new Error(`The schedule ${schedule.name} is not in this page: it needs Python.`);
  return tableAt(table, time);
}

/** lambda = log(alpha^2 / sigma^2) in nats; Infinity at t = 0, -Infinity where nothing of the data is left. */
export function logSnr(schedule: Schedule, t: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  return 2 * Math.log(alpha / sigma);
}

/** The time with this log-SNR, by bisection of log t; beyond the schedule's ends it is the end's. */
export function timeOfLogSnr(schedule: Schedule, wanted: number): number {
  let [low, high] = [Math.log(FIRST_T), 0];
  for (let i = 0; i < BISECTIONS; i++) {
    const middle = (low + high) / 2;
    if (logSnr(schedule, Math.exp(middle)) < wanted) high = middle;
    else low = middle;
  }
  return Math.exp(high);
}

/** Whether sigma falls to 0 as t does; else the schedule has a lowest level above the data. */
export function reachesData(schedule: Schedule): boolean {
  const formula = formulaOf(schedule);
  if (formula) return formula.reachesData?.(complete(schedule, formula)) ?? true;
  const table = tableOf(schedule);
  return !table || tableReachesData(table);
}

/**
 * The schedule seen at T steps: alpha, sigma and the variance beta_k of q(x_k | x_{k-1}).
 *
 * VPCosine's betas are clipped at 0.999 and its alphas follow from them; a schedule with a lowest level above the data has
 * that level at k = 1.
 */
export function chainTable(schedule: Schedule, steps: number): ChainTable {
  if (!(Number.isInteger(steps) && steps >= 1)) throw new Error(`A chain has at least one step, not ${steps}.`);
  const alpha = new Float64Array(steps + 1).fill(1);
  const sigma = new Float64Array(steps + 1);
  const beta = new Float64Array(steps + 1).fill(NaN);
  const fromData = reachesData(schedule);
  const clipped = schedule.name === "VPCosine" && !!formulaOf(schedule);
  let before: AlphaSigma = { alpha: 1, sigma: 0 }; // the schedule's own level, not the clipped chain's
  let logAlphaBar = 0;
  for (let k = 1; k <= steps; k++) {
    const t = fromData ? k / steps : steps === 1 ? 1 : (k - 1) / (steps - 1);
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
