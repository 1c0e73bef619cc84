/**
 * WhereTheBitsGo: the variational bound split along the chain, a bar for each stretch of steps.
 *
 * Green is what the exact denoiser pays, hatched what of it only the variance costs, vermilion what the network pays above
 * it. Where the network's estimate lies below the optimum, which only the noise of sampling can do, a mark shows it and no
 * bar is invented. The green follows the schedule as it is dragged, from the mmse curve (optimal_terms.ts); over log-SNR that
 * curve stands still, and the bars slosh under it.
 */
import { createChart, niceTicks, type Brush, type ChartView } from "../core/chart";
import { colourKey } from "../core/colour_key";
import type { Choice } from "../core/controls";
import { named } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { count, format, short } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Schedule } from "../core/schedule";
import type { Scene, SceneState } from "../core/store";
import { reducedMotion } from "../core/theme";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";
import { axisClock } from "./axis_clock";
import { axisOf, extent, placeOfTime, timeOfPlace } from "./bit_axis";
import {
  barRange,
  heightsOf,
  nameEnds,
  paintBars,
  writeNumbers,
  type Bits,
  type EndTerm,
  type Heights,
} from "./bit_bars";
import { bitControls, BY_HAND } from "./bit_controls";
import { barAt, readBits, stays } from "./bit_state";
import type { About, Variance } from "./optimal_terms";
import type { Question } from "./staleness";
import { totalsStrip, type Totals } from "./totals_strip";
import "./where_the_bits_go.css";

export interface State extends SceneState {
  schedule: Schedule;
  steps: number;
  choices: any[];
  step_range: [number, number];
  variance: Variance;
  variances: Choice[];
  axis: "step" | "log_snr";
  view: "learned" | "optimal" | "gap";
  bins: number;
  /** (3, L): log-SNR, mmse, error. */
  mmse: NDArray | null;
  about: About;
  edges: NDArray | null;
  optimal: NDArray | null;
  optimal_error: NDArray | null;
  learned: NDArray | null;
  learned_error: NDArray | null;
  gap: NDArray | null;
  gap_error: NDArray | null;
  L_0: EndTerm | null;
  L_T: number | null;
  unit: string;
  totals: Totals;
  oracle: string;
  computed_for: Question | null;
  computed_as: Question | null;
}

const CURVE = "line: ½ SNR · mmse, which no schedule moves";
const TRANSITION_MS = 150;
const BY_PYTHON = [
  "mmse", "about", "edges", "optimal", "optimal_error", "learned", "learned_error", "gap", "gap_error", "L_0", "L_T",
  "unit", "totals", "computed_for", "computed_as",
] as const; // prettier-ignore

export const whereTheBitsGo: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Where the bits go" });
  followMessages(store, panel, signal);
  const waiting = element("p", "difflab-quiet difflab-waiting");
  panel.body.append(waiting);
  const axis = () => axisOf(store.get("axis"));
  const schedule = () => store.get("schedule");
  const onAxis = axisClock(
    clock,
    (t) => placeOfTime(axis(), schedule(), t),
    (x) => timeOfPlace(axis(), schedule(), x),
  );
  const chart = createChart(panel.body, { clock: onAxis, minHeight: store.embedded ? 110 : 260 }, signal);
  const strip = totalsStrip();
  const said = element("p", "difflab-quiet difflab-said");
  said.setAttribute("role", "status");
  panel.footer.append(strip.root, said);
  const say = (sentence: string) => {
    said.textContent = sentence;
    said.hidden = sentence === "";
  };
  say("");
  bitControls(store, panel, say, signal);
  if (!store.embedded) {
    chart.root.tabIndex = 0;
    const bar = timeBar(clock, schedule, signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }

  let target: Bits | null = null;
  let shown: Heights | null = null;
  let from: Heights | null = null;
  let started = 0;
  let lit = -1;
  let noted = "";

  const view = (bits: Bits): ChartView => {
    const range = barRange(bits);
    const each = (bits.steps - 1) / Math.max(1, bits.optimal.length);
    const bar = each <= 1 ? "a step" : `${short(each, 2)} steps`;
    const overSnr = bits.axis.name === "log_snr";
    const curve = overSnr && bits.view !== "gap" ? stays(store) : null;
    const ends = extent(bits.axis);
    return {
      x: {
        label: `${overSnr ? "log-SNR" : "t"}  (each bar: ${bar} of the chain)`,
        range: ends,
        ticks: [],
        format: String,
      },
      y: {
        label:
          (bits.view === "gap" ? "learned − optimal, " : "") +
          bits.unit +
          (overSnr ? " per unit of log-SNR" : Number.isInteger(each) ? "" : ` per ${bar}`),
        range,
        ticks: niceTicks(Math.min(0, range[0] / 2), range[1], 3),
      },
      curves: curve ? [{ colour: "ink", width: 1.5 }] : [],
      data: curve ? [curve.x, curve.y] : [ends],
      under: (brush: Brush) => shown && paintBars(brush, bits, shown, lit),
      over: (brush) => {
        nameEnds(brush, bits);
        if (shown) writeNumbers(brush, bits, shown);
        // where no data pays anything: over the last of the noise
        if (curve) brush.text(CURVE, brush.box.right, brush.box.top + 11 * brush.pixel, "ink", "right");
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
  let byHand = false;
  const draw = panel.guard(() => {
    const next = readBits(store);
    const gapless = next !== null && next.view === "gap" && !next.gap;
    waiting.textContent = gapless
      ? "No network was measured yet: the gap is what it pays above the optimum."
      : "The exact terms of the bound are being computed.";
    waiting.hidden = next !== null && !gapless;
    chart.root.hidden = next === null || gapless;
    strip.root.hidden = next === null;
    const same = target?.axis === next?.axis && target?.view === next?.view;
    target = next;
    if (!next) return;
    // a hand is followed at once; what Python tells glides
    from = !byHand && same && shown?.optimal.length === next.optimal.length ? shown : null;
    byHand = false;
    if (!from) shown = heightsOf(next);
    started = performance.now();
    lit = barAt(next.edges, placeOfTime(next.axis, schedule(), clock.t));
    const key = keyOf(next);
    if (JSON.stringify(key) !== noted) panel.setNote(colourKey(key));
    noted = JSON.stringify(key);
    chart.show(view(next));
    strip.show(next.totals, next.carried);
    if (!store.hasKernel) say(next.L_0 === null ? "L₀ of discrete data needs Python, and with it the sum." : "");
    onAxis.moved();
    step();
  });
  const redraw = onNextFrame(draw, signal);
  store.on(BY_PYTHON, redraw, signal);
  store.on(
    BY_HAND,
    () => {
      byHand = true;
      redraw();
    },
    signal,
  );
  draw();
  clock.subscribe(() => {
    if (!target) return;
    const now = barAt(target.edges, placeOfTime(target.axis, schedule(), clock.t));
    if (now === lit) return;
    lit = now;
    chart.repaint();
  }, signal);
};

/** What the colours mean, as far as they are there to be seen. */
function keyOf(bits: Bits): Record<string, string> {
  const { view, learned, carried, least, optimal } = bits;
  if (view === "gap") return { learned: `what the network pays above the optimum${carried ? ", estimated" : ""}` };
  const seen = 0.04 * barRange(bits)[1];
  const extra = least && Array.from(optimal).some((v, i) => v - least[i] > seen);
  const exact = extra ? "optimal, hatched: variance" : "optimal";
  if (view === "optimal" || !learned) return { exact };
  return { exact, learned: carried ? "learned, estimated" : "learned above it" };
}

const mix = (a: Float64Array, b: Float64Array, u: number) => a.map((v, i) => v + u * (b[i] - v));

function mix2(from: Heights, goal: Heights, u: number): Float64Array | null {
  // the first learned bars grow out of the optimal ones
  return goal.learned && mix(from.learned ?? from.optimal, goal.learned, u);
}

function summaryOf({ totals, unit, steps, optimal, axis, view }: Bits): string {
  const learned =
    totals.learned == null ? "no network was trained yet" : `the network pays ${format(totals.learned)} ${unit}`;
  const most = optimal.length && Array.from(optimal).indexOf(Math.max(...Array.from(optimal)));
  const over = axis.name === "log_snr" ? "over log-SNR " : "";
  const gap = view === "gap" ? "The gap of the bound" : "The bound";
  return (
    `${gap} of a chain of ${count(steps)} steps in ${optimal.length} bars ${over}: the exact denoiser pays ` +
    `${format(totals.optimal)} ${unit}, most of it in bar ${most + 1} from the data; ${learned}.`
  ).replace(" :", ":");
}
