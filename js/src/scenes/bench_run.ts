/** What the walks of LangevinBench have left: frames and numbers of each method at the same score calls, looked up by call. */
import type { Store } from "../core/store";
import type { NDArray } from "../core/wire";
import type { State } from "./langevin_bench";

/** How a method ended. */
export interface Outcome {
  /** Score calls spent. */
  calls: number;
  acceptance: number | null;
  acceptance_error: number | null;
  /** Why there is no more to see, or "". */
  exploded: string;
}

/** Methods M, frames F (those so far, of a run under way), points n, modes K; all arrays row-major. */
export interface Run {
  methods: readonly string[];
  /** (F,), score calls, rising from 0. */
  positions: ArrayLike<number>;
  /** What the run was given to spend. */
  total: number;
  /** (M, F, n, 2) when it is over. */
  frames: Float32Array | null;
  /** (M, n, 2) while it is under way. */
  live: Float32Array | null;
  points: number;
  modes: number;
  /** (M, F, K). */
  mass: ArrayLike<number>;
  massError: ArrayLike<number>;
  /** (M, F). */
  variance: ArrayLike<number>;
  varianceError: ArrayLike<number>;
  predicted: ArrayLike<number>;
  level: ArrayLike<number>;
  spread: ArrayLike<number>;
  outcomes: readonly Outcome[];
}

/** Null while nothing was sampled, or while the parts of a message have not all arrived. */
export function readRun(store: Store<State>): Run | null {
  const asked = store.get("computed_for");
  const [positions, mass, frames, live] = (["positions", "mass", "frames", "live"] as const).map((n) => store.get(n));
  const tables = (["mass_error", "variance", "variance_error", "variance_predicted", "level", "spread"] as const).map(
    (name) => store.get(name),
  );
  if (!asked || !positions || !mass || !(frames || live) || tables.some((table) => !table)) return null;
  const methods = asked.methods as string[];
  const kept = positions.shape[0];
  const fits = (array: NDArray) => array.shape[0] === methods.length && array.shape[1] === kept;
  if (![mass, ...tables].every((table) => fits(table!)) || (frames && !fits(frames))) return null;
  const data = tables.map((table) => table!.data);
  return {
    methods,
    positions: positions.data,
    total: Math.max(1, asked.calls as number),
    frames: (frames?.data as Float32Array | undefined) ?? null,
    live: (live?.data as Float32Array | undefined) ?? null,
    points: (frames ?? live)!.shape[frames ? 2 : 1],
    modes: mass.shape[2],
    mass: mass.data,
    massError: data[0],
    variance: data[1],
    varianceError: data[2],
    predicted: data[3],
    level: data[4],
    spread: data[5],
    outcomes: store.get("outcomes") ?? [],
  };
}

/** Frame `before` with the weight 1 - u and `after` with u stand for what was at `call`. */
export interface Between {
  before: number;
  after: number;
  u: number;
}

export function between(positions: ArrayLike<number>, call: number): Between {
  const last = positions.length - 1;
  if (!(call > positions[0])) return { before: 0, after: 0, u: 0 };
  if (call >= positions[last]) return { before: last, after: last, u: 0 };
  let low = 0; // positions[low] <= call < positions[high]
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (positions[middle] <= call) low = middle;
    else high = middle;
  }
  return { before: low, after: high, u: (call - positions[low]) / (positions[high] - positions[low]) };
}

/** The kept call after `call`; the last one stays. */
export function nextCall(positions: ArrayLike<number>, call: number): number {
  for (let i = 0; i < positions.length; i++) if (positions[i] > call + 0.5) return positions[i];
  return positions[positions.length - 1] ?? call;
}

/** The points of method `m` in frame `f`, (n, 2), or those of the run under way. */
export function pointsOf(run: Run, m: number, f: number): Float32Array {
  const size = 2 * run.points;
  if (!run.frames) return run.live!.subarray(m * size, (m + 1) * size);
  const at = (m * run.positions.length + f) * size;
  return run.frames.subarray(at, at + size);
}

/** Share of the points that is in a mode where it should not be: the total variation of the masses from the weights. */
export function gap(mass: ArrayLike<number>, weights: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += Math.abs(mass[k] - weights[k]);
  return sum / 2;
}

/**
 * What `gap` is on average of n independent points of the exact law, by counting them: half the sum of E|X_k / n - w_k|, X_k
 * binomial, each by de Moivre's formula 2 v C(n, v) w^v (1 - w)^(n - v + 1) / n, v the whole number above n w.
 */
export function countingGap(weights: ArrayLike<number>, n: number): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) {
    const w = weights[k];
    const v = Math.floor(n * w) + 1;
    if (w <= 0 || w >= 1 || v > n) continue;
    let log = v * Math.log(w) + (n - v + 1) * Math.log1p(-w);
    for (let i = 1; i <= v; i++) log += Math.log((n - v + i) / i);
    sum += (2 * v * Math.exp(log)) / n;
  }
  return sum / 2;
}

/** The masses (K,) of method `m` in frame `f`. */
export function massOf(run: Run, m: number, f: number): ArrayLike<number> {
  const at = (m * run.positions.length + f) * run.modes;
  return Array.prototype.slice.call(run.mass, at, at + run.modes);
}

/** The number that the chart draws and the column writes first: of two modes the first one's mass, of more the gap. */
export function massShown(run: Run, weights: ArrayLike<number>, m: number, f: number): number {
  const mass = massOf(run, m, f);
  return run.modes === 2 ? mass[0] : gap(mass, weights);
}

/** Half-width of what is shown: all modes, and the points as long as they are not farther than `most`. */
export function viewExtent(spread: number, modes: number, most: number): number {
  return Math.min(Math.max(modes, 1.05 * spread), Math.max(modes, most));
}

/** 98 of 100 points lie in a square of this half-width around 0. */
export function spreadOf(points: Float32Array): number {
  const reach = new Float32Array(points.length / 2);
  for (let i = 0; i < reach.length; i++) reach[i] = Math.max(Math.abs(points[2 * i]), Math.abs(points[2 * i + 1]));
  reach.sort();
  return reach[Math.floor(0.98 * (reach.length - 1))] ?? 0;
}

/** A round length of at most `most`, for the bar that says how large the picture is: 1, 2 or 5 times a power of ten. */
export function roundLength(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((m) => m * power).find((length) => length <= most * (1 + 1e-9))!;
}

/** What the variance axis shows: everything of the later three quarters, within [0, 4]. */
export function varianceRange(run: Run): [number, number] {
  const kept = run.positions.length;
  let [low, high] = [0.9, 1.15];
  for (let m = 0; m < run.methods.length; m++)
    for (let f = 0; f < kept; f++) {
      if (run.positions[f] < run.total / 4) continue;
      for (const v of [run.variance[m * kept + f], run.predicted[m * kept + f]]) {
        low = Math.min(low, v);
        high = Math.max(high, v);
      }
    }
  const room = 0.06 * (Math.min(4, high) - Math.max(0, low));
  return [Math.max(0, low - room), Math.min(4, high + room)];
}
