/** RunComparison: the losses of several runs on one chart, and a table of how they are doing. */
import { createChart, type ChartView } from "../core/chart";
import { segmented } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { count, format, short } from "../core/numbers";
import { createDeck } from "../core/deck";
import { createPanel, element, followMessages } from "../core/panel";
import type { Scene, SceneState, Store } from "../core/store";
import type { NDArray } from "../core/wire";
import { logTicks } from "./log_ticks";
import { lowest, runTable, strokeOf, type RunRow } from "./run_table";
import { topOf } from "./loss_curve";
import "./scenes.css";

export type Scale = "log" | "linear";

/** A run's losses: steps increase. */
export interface RunCurve {
  steps: number[];
  losses: number[];
}

export interface State extends SceneState {
  runs: RunRow[];
  curves: NDArray | null;
  scale: Scale;
  /** More runs may come: a sweep, a folder that is watched. */
  open_ended: boolean;
}

export const runComparison: Scene<State> = (store, el, _clock, signal) => {
  const panel = createPanel(el, { title: "Losses of several runs" });
  followMessages(store, panel, signal);
  const waiting = element("p", "difflab-quiet difflab-waiting");
  panel.body.append(waiting);
  const chart = createChart(panel.body, { minHeight: 260 }, signal);
  let chosen = -1;
  const table = runTable((run) => {
    chosen = run === chosen ? -1 : run;
    draw();
  }, signal);
  const scale = segmented({
    label: "scale of the loss",
    choices: [
      { name: "log", label: "log" },
      { name: "linear", label: "linear" },
    ],
    value: store.get("scale") ?? "log",
    onChange: (name) => store.set("scale", name as Scale),
    signal,
  });
  const deck = createDeck(store, panel, signal, { seed: false });
  deck.live("scale", scale.root);
  panel.footer.append(table.root);

  const draw = panel.guard(() => {
    const rows = store.get("runs") ?? [];
    const curves = curvesOf(store.get("curves"), rows.length);
    if (chosen >= rows.length) chosen = -1;
    const empty = curves.every((curve) => curve.steps.length === 0);
    waiting.hidden = !empty;
    chart.root.hidden = empty;
    waiting.textContent = emptySentence(store, rows);
    scale.set(store.get("scale") ?? "log");
    deck.root.hidden = rows.length === 0;
    table.root.hidden = rows.length === 0;
    panel.setNote(rows.length ? `${count(rows.length)} ${rows.length === 1 ? "run" : "runs"}` : "");
    chart.show(viewOf(rows, curves, store.get("scale") ?? "log", chosen));
    table.show(rows, chosen);
  });
  const redraw = onNextFrame(draw, signal);
  store.on(["runs", "curves", "scale"], redraw, signal);
  draw();
};

function emptySentence(store: Store<State>, rows: readonly RunRow[]): string {
  if (rows.length) return "The first losses are on their way.";
  if (!store.hasKernel) return "No run was there when this page was saved.";
  return "No training yet. Start a Trainer, and its loss appears here.";
}

/** The curves of `count` runs from rows (run, step, loss). */
export function curvesOf(array: NDArray | null | undefined, count: number): RunCurve[] {
  const curves: RunCurve[] = Array.from({ length: count }, () => ({ steps: [], losses: [] }));
  for (let i = 0; array && i < array.shape[0]; i++) {
    const curve = curves[array.data[3 * i]];
    curve?.steps.push(array.data[3 * i + 1]);
    curve?.losses.push(array.data[3 * i + 2]);
  }
  return curves;
}

/** What the chart draws: all steps once, in order, and for each run its loss there or null. */
export function aligned(curves: readonly RunCurve[]): [number[], ...(number | null)[][]] {
  const steps = [...new Set(curves.flatMap((curve) => curve.steps))].sort((a, b) => a - b);
  const place = new Map(steps.map((step, i) => [step, i]));
  const columns = curves.map((curve) => {
    const column: (number | null)[] = steps.map(() => null);
    curve.steps.forEach((step, i) => (column[place.get(step)!] = curve.losses[i]));
    return between(column, steps);
  });
  return [steps, ...columns];
}

/** Fills the gaps inside a curve along straight lines: other runs' steps lie between its own. */
function between(column: (number | null)[], steps: number[]): (number | null)[] {
  let last = -1;
  return column.reduce<(number | null)[]>((filled, value, i) => {
    filled.push(value);
    if (value === null) return filled;
    if (last >= 0)
      for (let j = last + 1; j < i; j++) {
        const share = (steps[j] - steps[last]) / (steps[i] - steps[last]);
        filled[j] = (1 - share) * column[last]! + share * value;
      }
    last = i;
    return filled;
  }, []);
}

/** The losses that the axis must show; [low, high] > 0 for a logarithmic one. */
export function lossRange(curves: readonly RunCurve[], scale: Scale): [number, number] {
  const losses = curves.flatMap((curve) => curve.losses).filter(Number.isFinite);
  if (scale === "linear") {
    const low = Math.min(0, ...losses);
    return [low, Math.max(...curves.map((curve) => topOf(curve.losses, null)), low + 1e-9)];
  }
  const positive = losses.filter((loss) => loss > 0);
  if (positive.length === 0) return [0.1, 1];
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  return [low / 1.1, Math.max(high, low * 1.2) * 1.05];
}

function viewOf(rows: readonly RunRow[], curves: readonly RunCurve[], scale: Scale, chosen: number): ChartView {
  const log = scale === "log";
  const [low, high] = lossRange(curves, scale);
  const [steps, ...columns] = aligned(curves);
  const axis = (loss: number | null) =>
    loss === null || !Number.isFinite(loss) || (log && loss <= 0) ? null : log ? Math.log10(loss) : loss;
  const end = Math.max(1, ...steps);
  const best = lowest(rows);
  const data = [steps, ...columns.map((column) => column.map(axis))];
  return {
    x: { label: "training step", range: [0, end], format: count },
    y: log
      ? {
          label: "loss",
          range: [Math.log10(low), Math.log10(high)],
          ticks: logTicks(low, high).map(Math.log10),
          format: (value) => short(10 ** value),
        }
      : { label: "loss", range: [low, high] },
    curves: rows.map((row, i) => ({
      ...strokeOf(i),
      width: i === chosen ? 3 : chosen < 0 ? 1.6 : 0.8,
      ...(rows.length <= 6 && { label: row.name }),
    })),
    data,
    summary: rows.length
      ? rows
          .map((row) => `${row.name}: ${row.state || "step"} ${count(row.step)}, loss ${format(row.loss)}`)
          .join("; ") + (best >= 0 && rows.length > 1 ? `; the lowest is that of ${rows[best].name}.` : ".")
      : "No runs yet.",
  };
}
