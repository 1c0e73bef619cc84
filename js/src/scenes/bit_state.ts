/**
 * From the traits to what is drawn: the exact terms of the schedule of this moment, and the learned ones as long as they belong
 * to it. Terms of Python's are taken where they answer the present question; else the curve tells the exact ones at once, and
 * the learned part is carried over, faint, until the network has been asked again.
 */
import { drawable, logSnr, type Schedule } from "../core/schedule";
import type { Store } from "../core/store";
import { axisOf, extent, type BitAxis } from "./bit_axis";
import type { Bits, EndTerm } from "./bit_bars";
import { binEnds, carried, chainBits, density, type About, type ChainBits, type Curve } from "./optimal_terms";
import { current } from "./staleness";
import type { Totals } from "./totals_strip";
import type { State } from "./where_the_bits_go";

const POINTS = 241;

/** Index of the bar that holds the place `x`. */
export function barAt(edges: ArrayLike<number>, x: number): number {
  for (let i = 0; i < edges.length - 2; i++) if (x < edges[i + 1]) return i;
  return edges.length - 2;
}

function curveOf(store: Store<State>): { curve: Curve; about: About } | null {
  const mmse = store.get("mmse");
  const about = store.get("about");
  if (!mmse || mmse.shape[0] !== 3 || !about?.dim) return null;
  const n = mmse.shape[1];
  const [logSnr, mse, error] = [0, 1, 2].map((i) => mmse.data.subarray(i * n, (i + 1) * n));
  return { curve: { logSnr, mse, error }, about };
}

/** The curve that no schedule moves, over positions of the log-SNR axis. */
export function stays(store: Store<State>): { x: Float64Array; y: Float64Array } | null {
  const known = curveOf(store);
  if (!known) return null;
  const [low, high] = extent(axisOf("log_snr"));
  const x = Float64Array.from({ length: POINTS }, (_, i) => low + ((high - low) * i) / (POINTS - 1));
  return {
    x,
    y: density(
      known.curve,
      known.about,
      x.map((at) => -at),
    ),
  };
}

/** What is to be drawn, or null while nothing is known. */
export function readBits(store: Store<State>): Bits | null {
  const known = curveOf(store);
  const schedule = store.get("schedule");
  const [steps, bins, variance] = [store.get("steps"), store.get("bins"), store.get("variance")];
  const isNow = current(store, store.get("computed_for")) && current(store, store.get("computed_as"));
  const told = store.get("optimal") !== null && store.get("edges") !== null;
  const local =
    known && drawable(schedule) ? chainBits(known.curve, known.about, schedule, steps, variance, bins) : null;
  const bound = told && isNow ? ofPython(store, local) : local ? ofCurve(store, local) : null;
  if (!bound) return null;
  const axis = axisOf(store.get("axis"));
  return placed(bound, axis, store, axis.name === "log_snr" ? (stays(store)?.y ?? null) : null);
}

/** The terms, before they are placed on an axis. */
interface Bound {
  edges: Float64Array;
  levels: Float64Array;
  optimal: ArrayLike<number>;
  least: ArrayLike<number> | null;
  learned: ArrayLike<number> | null;
  learnedError: ArrayLike<number> | null;
  gap: ArrayLike<number> | null;
  gapError: ArrayLike<number> | null;
  carried: boolean;
  L_0: EndTerm | null;
  L_T: number | null;
  totals: Totals;
}

function ofPython(store: Store<State>, local: ChainBits | null): Bound {
  const edges = Float64Array.from(store.get("edges")!.data);
  const optimal = store.get("optimal")!.data;
  const fits = local?.optimal.length === optimal.length;
  const schedule = store.get("schedule");
  return {
    edges,
    levels: fits ? local.levels : levelsOf(schedule, edges),
    optimal,
    least: fits ? local.least : null,
    learned: store.get("learned")?.data ?? null,
    learnedError: store.get("learned_error")?.data ?? null,
    gap: store.get("gap")?.data ?? null,
    gapError: store.get("gap_error")?.data ?? null,
    carried: false,
    L_0: store.get("L_0") ?? null,
    L_T: store.get("L_T") ?? null,
    totals: store.get("totals") ?? {},
  };
}

/** The exact terms as the curve has them; of what Python knew only what no schedule changes, and the gap, carried over. */
function ofCurve(store: Store<State>, local: ChainBits): Bound {
  const { entropy, entropy_error } = store.get("totals") ?? {};
  const gap = carriedGap(store, local.levels);
  const cost = local.optimal.reduce((sum, v, i) => sum + v - local.least[i], 0);
  const whole = local.L_0 !== null; // L_0 of discrete data is Python's, and with it the sum
  const totals: Totals = whole
    ? {
        entropy,
        entropy_error,
        optimal: local.total,
        optimal_error: local.totalError,
        variance_cost: cost + local.L_0! - local.L_0_least!,
      }
    : { entropy, entropy_error };
  return {
    edges: local.edges,
    levels: local.levels,
    optimal: local.optimal,
    least: local.least,
    learned: gap && local.optimal.map((v, i) => v + gap[i]),
    learnedError: null,
    gap,
    gapError: null,
    carried: gap !== null,
    L_0: whole ? { optimal: local.L_0, learned: null } : null,
    L_T: local.L_T,
    totals,
  };
}

function carriedGap(store: Store<State>, levels: Float64Array): Float64Array | null {
  const gap = store.get("gap")?.data;
  const edges = store.get("edges")?.data;
  const asked = store.get("computed_for")?.schedule as Schedule | undefined;
  const sameVariance = (store.get("computed_as")?.variance ?? store.get("variance")) === store.get("variance");
  if (!gap || !edges || !asked || !sameVariance || !drawable(asked)) return null;
  return carried(levelsOf(asked, edges), gap, levels);
}

const levelsOf = (schedule: Schedule, edges: ArrayLike<number>) => Float64Array.from(edges, (t) => logSnr(schedule, t));

/**
 * On the axis a bar's area is its bits: over log-SNR its height compares with the curve's; over t bins of 2 and of 3 steps
 * stand as high as bins of 2.5 would, for what a step costs changes slowly and the grouping is nobody's concern.
 */
function placed(bound: Bound, axis: BitAxis, store: Store<State>, curve: Float64Array | null): Bits {
  const { levels } = bound;
  const ends = binEnds(store.get("steps"), bound.optimal.length);
  const mean = (store.get("steps") - 1) / Math.max(1, bound.optimal.length);
  const heights = (values: ArrayLike<number> | null) => {
    if (!values) return values;
    if (axis.name === "step") return Float64Array.from(values, (v, i) => (v * mean) / (ends[i + 1] - ends[i]));
    return Float64Array.from(values, (v, i) => {
      const width = levels[i] - levels[i + 1];
      return Number.isFinite(width) && width > 0 ? v / width : 0;
    });
  };
  const [low, high] = extent(axis);
  const inside = (x: number) => Math.min(high, Math.max(low, x));
  return {
    axis,
    view: store.get("view"),
    edges: Float64Array.from(bound.edges, (t, i) => inside(axis.place(t, levels[i]))),
    optimal: heights(bound.optimal)!,
    least: heights(bound.least),
    learned: heights(bound.learned),
    learnedError: heights(bound.learnedError),
    gap: heights(bound.gap),
    gapError: heights(bound.gapError),
    carried: bound.carried,
    curveTop: curve && store.get("view") !== "gap" ? Math.max(...curve) : 0,
    L_0: bound.L_0,
    L_T: bound.L_T,
    unit: store.get("unit"),
    steps: store.get("steps"),
    totals: bound.totals,
  };
}
