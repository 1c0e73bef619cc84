/**
 * WhereTheBitsGo: the variational bound split along the chain, a bar for each stretch of steps.
 *
 * Green is what the exact denoiser pays, vermilion what the network pays above it. Where the network's estimate lies
 * below the optimum, which only the noise of sampling can do, a mark shows it and no bar is invented. L_0 and L_T
 * stand at the two ends; a bar that would dwarf the others is cut, and its number is written on it.
 */
import { createChart, niceTicks, type Brush, type ChartView } from "../core/chart";
import { colourKey } from "../core/colour_key";
import { onNextFrame } from "../core/frame";
import { count, format } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Schedule } from "../core/schedule";
import type { Scene, SceneState, Store } from "../core/store";
import { reducedMotion } from "../core/theme";
import type { NDArray } from "../core/wire";
import {
  barRange,
  END_ROOM,
  nameEnds,
  paintBars,
  writeNumbers,
  type Bits,
  type EndTerm,
  type Heights,
} from "./bit_bars";
import type { Question } from "./staleness";
import { totalsStrip, type Totals } from "./totals_strip";

export interface State extends SceneState {
  schedule: Schedule;
  steps: number;
  edges: NDArray | null;
  optimal: NDArray | null;
  learned: NDArray | null;
  learned_error: NDArray | null;
  L_0: EndTerm | null;
  L_T: number | null;
  unit: string;
  totals: Totals;
  oracle: string;
  computed_for: Question | null;
}

const TRANSITION_MS = 150;

export function readBits(store: Store<State>): Bits | null {
  const edges = store.get("edges");
  const optimal = store.get("optimal");
  if (!edges || !optimal || optimal.data.length === 0) return null;
  return {
    edges: edges.data,
    optimal: optimal.data,
    learned: store.get("learned")?.data ?? null,
    learnedError: store.get("learned_error")?.data ?? null,
    L_0: store.get("L_0") ?? null,
    L_T: store.get("L_T") ?? null,
    unit: store.get("unit"),
    steps: store.get("steps"),
    totals: store.get("totals") ?? {},
  };
}

/** Index of the bar that holds t. */
export function barAt(edges: ArrayLike<number>, t: number): number {
  for (let i = 0; i < edges.length - 2; i++) if (t < edges[i + 1]) return i;
  return edges.length - 2;
}

export const whereTheBitsGo: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, {
    title: "Where the bits go",
    note: colourKey({ exact: "optimal", learned: "learned above it" }),
  });
  followMessages(store, panel, signal);
  const waiting = element("p", "difflab-quiet difflab-waiting");
  waiting.textContent = "The exact terms of the bound are being computed.";
  panel.body.append(waiting);
  const chart = createChart(panel.body, { clock, minHeight: store.embedded ? 110 : 260 }, signal);
  const strip = totalsStrip();
  panel.footer.append(strip.root);

  let target: Bits | null = null;
  let shown: Heights | null = null;
  let from: Heights | null = null;
  let started = 0;
  let lit = -1;

  const paint = (bits: Bits) => (brush: Brush) => {
    if (shown) paintBars(brush, bits, shown, lit);
  };
  const view = (bits: Bits): ChartView => {
    const range = barRange(bits);
    const each = bits.steps / bits.optimal.length;
    const bar = each === 1 ? "a step" : `${format(each, 2)} steps`;
    return {
      x: { label: `t  (each bar: ${bar} of the chain)`, range: [-END_ROOM, 1 + END_ROOM], ticks: [], format: String },
      y: { label: bits.unit, range, ticks: niceTicks(Math.min(0, range[0] / 2), range[1], 3) },
      curves: [],
      data: [[-END_ROOM, 1 + END_ROOM]],
      under: paint(bits),
      over: (brush) => {
        nameEnds(brush, bits);
        if (shown) writeNumbers(brush, bits, shown);
      },
      summary: summaryOf(bits),
    };
  };
  /** One frame of the way from the old bars to the new ones. */
  const step = () => {
    if (!target || signal.aborted) return;
    const share = from && !reducedMotion() ? Math.min(1, (performance.now() - started) / TRANSITION_MS) : 1;
    const eased = 1 - (1 - share) ** 3;
    const goal: Heights = heightsOf(target);
    shown = from ? { optimal: mix(from.optimal, goal.optimal, eased), learned: mix2(from, goal, eased) } : goal;
    chart.repaint();
    if (share < 1) requestAnimationFrame(step);
    else from = null;
  };
  const draw = panel.guard(() => {
    const next = readBits(store);
    waiting.hidden = next !== null;
    chart.root.hidden = next === null;
    strip.root.hidden = next === null;
    target = next;
    if (!next) return;
    from = shown && shown.optimal.length === next.optimal.length ? shown : null;
    shown ??= heightsOf(next);
    if (!from) shown = heightsOf(next);
    started = performance.now();
    lit = barAt(next.edges, clock.t);
    chart.show(view(next));
    strip.show(next.totals);
    step();
  });
  const redraw = onNextFrame(draw, signal);
  store.on(["edges", "optimal", "learned", "learned_error", "L_0", "L_T", "unit", "steps", "totals"], redraw, signal);
  draw();
  clock.subscribe(() => {
    if (!target) return;
    const now = barAt(target.edges, clock.t);
    if (now === lit) return;
    lit = now;
    chart.repaint();
  }, signal);
};

function heightsOf(bits: Bits): Heights {
  return { optimal: Float64Array.from(bits.optimal), learned: bits.learned && Float64Array.from(bits.learned) };
}

const mix = (a: Float64Array, b: Float64Array, u: number) => a.map((v, i) => v + u * (b[i] - v));

function mix2(from: Heights, goal: Heights, u: number): Float64Array | null {
  // the first learned bars grow out of the optimal ones
  return goal.learned && mix(from.learned ?? from.optimal, goal.learned, u);
}

function summaryOf({ totals, unit, steps, optimal }: Bits): string {
  const learned =
    totals.learned == null ? "no network was trained yet" : `the network pays ${format(totals.learned)} ${unit}`;
  const most = optimal.length && Array.from(optimal).indexOf(Math.max(...Array.from(optimal)));
  return (
    `The bound of a chain of ${count(steps)} steps in ${optimal.length} bars: the exact denoiser pays ` +
    `${format(totals.optimal)} ${unit}, most of it in bar ${most + 1} from the data; ${learned}.`
  );
}
