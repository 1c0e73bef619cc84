/** TrainingMonitor: the loss over its exact floor, or what is left above it, and the hands on the training. */
import { createChart, type Brush, type ChartView } from "../core/chart";
import { colourKey } from "../core/colour_key";
import { segmented, slider } from "../core/controls";
import { createDeck } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { count, format, short, withError } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Schedule } from "../core/schedule";
import type { Scene, SceneState, Store } from "../core/store";
import type { NDArray } from "../core/wire";
import { logTicks } from "./log_ticks";
import { axisEnd, curveOf, excessRange, scatter, smoothed, topOf, type LossCurve } from "./loss_curve";
import "./scenes.css";
import "./training_monitor.css";
import {
  bindTrainKeys,
  stateChip,
  stepButtons,
  trainButtons,
  type Pace,
  type TrainingState,
} from "./training_controls";

export interface State extends SceneState, Pace {
  /** (points, 2): step and loss. */
  curve: NDArray | null;
  floor: number | null;
  floor_error: number | null;
  prediction: string;
  state: TrainingState;
  step: number;
  total_steps: number;
  steps_per_second: number;
  loss: number | null;
  schedule: Schedule;
  /** Trainings are made here, with the seed. */
  own: boolean;
  view: "loss" | "excess";
  smoothing: number;
  recipe: string;
}

const AVERAGED = 8; // points in the number beside the curve, SMOOTH in training_monitor.py
const TARGET: Record<string, string> = { eps: "eps", x0: "x₀", v: "v", score: "the score" };
const ENDS: TrainingState[] = ["finished", "failed", "stopped"];

export const trainingMonitor: Scene<State> = (store, el, _clock, signal) => {
  const panel = createPanel(el, {
    title: "Loss over its floor",
  });
  followMessages(store, panel, signal);
  const waiting = element("p", "difflab-quiet difflab-waiting");
  const chart = createChart(panel.body, { minHeight: store.embedded ? 110 : 240 }, signal);
  panel.body.append(waiting);
  const [floor, loss, recipe] = ["difflab-floor", "difflab-loss-now", "difflab-recipe"].map((c) => element("span", c));
  const row = element("div", "difflab-row difflab-training");
  if (!store.embedded) row.append(stateChip(store, signal));
  const result = element("span", "difflab-result");
  result.append(loss, floor);
  row.append(recipe, result);
  panel.footer.append(row);

  const deck = createDeck(store, panel, signal, { seed: store.get("own") });
  const buttons = trainButtons(store, signal, { primary: true, start: "Run" });
  const { step, slow } = stepButtons(store, signal);
  const view = segmented({
    label: "what is drawn",
    choices: [
      { name: "loss", label: "Loss" },
      { name: "excess", label: "Excess" },
    ],
    value: store.get("view"),
    onChange: (name) => store.set("view", name as State["view"]),
    signal,
  });
  if (!store.embedded) deck.live("run", buttons.main); // in the Lab the header has it, and the chip
  deck.live("step", step);
  deck.live("slow", slow);
  deck.live("stop", buttons.stop);
  deck.live("view", view.root);
  const pace = slider({
    label: "slow is",
    min: 0.5,
    max: 100,
    log: true,
    value: store.get("pace"),
    format: (value) => `${short(value, 2)} /s`,
    onChange: (value) => store.set("pace", value),
    kernel: true,
    signal,
  });
  const smoothing = slider({
    label: "smoothed",
    min: 1,
    max: 49,
    step: 2,
    value: store.get("smoothing"),
    format: (value) => (value < 2 ? "not" : `over ${value}`),
    onInput: (value) => store.set("smoothing", value),
    signal,
  });
  pace.root.hidden = !store.hasKernel;
  deck.drawer("pace", pace.root);
  deck.drawer("smoothing", smoothing.root);
  if (!store.embedded && store.hasKernel) {
    chart.root.tabIndex = 0;
    bindTrainKeys(store, chart.root, signal);
  }

  const draw = panel.guard(() => {
    const empty = (store.get("curve")?.shape[0] ?? 0) === 0;
    const known = hasFloor(store);
    waiting.hidden = !empty;
    waiting.textContent = emptySentence(store);
    floor.hidden = !known;
    floor.textContent = `exact floor ${withError(store.get("floor"), store.get("floor_error"))}`;
    loss.hidden = empty;
    loss.textContent = `loss ${lossNow(store)}`;
    recipe.textContent = store.embedded ? "" : store.get("recipe");
    buttons.main.hidden = !store.hasKernel || (!store.get("own") && ENDS.includes(store.get("state")));
    for (const button of view.root.querySelectorAll("button")) button.disabled = !known;
    view.set(known ? store.get("view") : "loss");
    pace.set(store.get("pace"));
    smoothing.set(store.get("smoothing"));
    panel.setNote(colourKey({ learned: "learned", ...(known && { exact: "exact floor" }) }));
    chart.show(known && store.get("view") === "excess" ? excessView(store) : lossView(store));
  });
  const redraw = onNextFrame(draw, signal);
  store.on(
    [
      "curve", "floor", "floor_error", "prediction", "state", "total_steps", "loss", "own", "view", "pace", "smoothing",
      "recipe",
    ], // prettier-ignore
    redraw,
    signal,
  );
  draw();
};

/** The mean of the last points and its standard error, from the scatter of neighbours. */
function lossNow(store: Store<State>): string {
  const { losses } = curveOf(store.get("curve")?.data);
  return withError(store.get("loss"), scatter(losses, 1) / Math.sqrt(Math.min(AVERAGED, losses.length)));
}

const hasFloor = (store: Store<State>): boolean => typeof store.get("floor") === "number";

function emptySentence(store: Store<State>): string {
  const state = store.get("state");
  const anew = store.get("step") > 0 && "Losses under another schedule do not compare: ";
  if (anew && state === "paused") return `${anew}the curve begins anew when training goes on.`;
  if (anew && (state === "finished" || state === "stopped")) return `${anew}train again to see them under this one.`;
  if (state === "running" || state === "paused") return "Training begins; the first losses are on their way.";
  if (state === "failed") return "Training stopped before its first loss.";
  if (!store.hasKernel) return "Nothing was trained when this page was saved.";
  const ask = hasFloor(store) ? "how close to its exact floor will the loss come, and how soon?" : "where will it end?";
  return `Nothing is trained yet. Predict first: ${ask}`;
}

/** The step axis, the curve, and its mean over neighbours. */
function stepsOf(store: Store<State>) {
  const curve = curveOf(store.get("curve")?.data);
  const points = curve.steps.length;
  const last = points ? curve.steps[points - 1] : 0;
  const total = store.get("total_steps") || 1000;
  // the axis grows in strides while training runs, so that the curve does not creep at every message
  const moves = store.get("state") === "running" || store.get("state") === "paused";
  const right = points === 0 ? total : Math.max(last, moves ? Math.min(Math.max(total, 1), axisEnd(last)) : 0);
  return {
    curve,
    last,
    mean: smoothed(curve.losses, store.get("smoothing") ?? 1),
    x: { label: "training step", range: [0, right || 1] as const, format: count },
  };
}

const drawn = (steps: readonly number[], values: readonly number[], right: number): (number | null)[][] =>
  steps.length
    ? [[...steps], values.map((v) => (Number.isFinite(v) ? v : null))]
    : [
        [0, right],
        [null, null],
      ];

function lossView(store: Store<State>): ChartView {
  const { curve, last, mean, x } = stepsOf(store);
  const floor = store.get("floor") ?? null;
  const what = TARGET[store.get("prediction")] ?? store.get("prediction");
  return {
    x,
    y: { label: `mean squared error of ${what}`, range: [0, topOf(curve.losses, floor)] },
    curves: [{ colour: "learned", width: 1.6 }],
    data: drawn(curve.steps, mean, x.range[1]),
    under: (brush) => {
      if (floor !== null) band(brush, floor);
      if (store.get("smoothing") > 1) faint(brush, curve, (loss) => loss);
    },
    over: (brush) => floor !== null && floorLine(brush, floor),
    summary:
      (mean.length ? `Loss ${lossNow(store)} at step ${count(last)}` : "No loss yet") +
      (floor === null ? "." : `; the exact floor is ${format(floor)}.`),
  };
}

/** The loss less its floor; what lies in the scatter of the batches, or below zero, is not told from it. */
function excessView(store: Store<State>): ChartView {
  const { curve, last, mean, x } = stepsOf(store);
  const floor = store.get("floor")!;
  const excess = mean.map((loss) => loss - floor);
  const least = Math.hypot(scatter(curve.losses, store.get("smoothing") ?? 1), store.get("floor_error") ?? 0);
  const [low, high] = excessRange(excess, least);
  const y = (value: number) => (value >= low ? Math.log10(value) : NaN);
  return {
    x,
    y: {
      label: "loss above its floor",
      range: [Math.log10(low), Math.log10(high)],
      ticks: logTicks(low, high).map(Math.log10),
      format: (value) => short(10 ** value),
    },
    curves: [{ colour: "learned", width: 1.6 }],
    data: drawn(curve.steps, excess.map(y), x.range[1]),
    under: (brush) => store.get("smoothing") > 1 && faint(brush, curve, (loss) => y(loss - floor)),
    over: (brush) => least >= low && least <= high && scatterLine(brush, Math.log10(least)),
    summary: excess.length
      ? `The loss is ${withError(excess[excess.length - 1], least)} above its floor at step ${count(last)}.`
      : "No loss yet.",
  };
}

/** The curve as it came, behind its mean. */
function faint({ canvas, colors, pixel, x, y }: Brush, curve: LossCurve, height: (loss: number) => number): void {
  canvas.globalAlpha = 0.3;
  canvas.strokeStyle = colors.learned;
  canvas.lineWidth = pixel;
  canvas.beginPath();
  let pen = false;
  curve.steps.forEach((step, i) => {
    const at = height(curve.losses[i]);
    if (Number.isFinite(at)) canvas[pen ? "lineTo" : "moveTo"](x(step), y(at));
    pen = Number.isFinite(at);
  });
  canvas.stroke();
  canvas.globalAlpha = 1;
}

function band(brush: Brush, floor: number): void {
  const { canvas, box } = brush;
  canvas.globalAlpha = 0.1;
  canvas.fillStyle = brush.colors.exact;
  canvas.fillRect(box.left, brush.y(floor), box.right - box.left, box.bottom - brush.y(floor));
  canvas.globalAlpha = 1;
}

function floorLine(brush: Brush, floor: number): void {
  const { box, pixel } = brush;
  level(brush, floor, "exact", 2);
  const room = box.bottom - brush.y(floor) > 20 * pixel;
  const y = room ? brush.y(floor) + 14 * pixel : brush.y(floor) - 6 * pixel;
  brush.text("the floor: no network gets below", box.right - 4 * pixel, y, "mute", "right");
}

function scatterLine(brush: Brush, at: number): void {
  const { canvas, box, pixel } = brush;
  canvas.setLineDash([5 * pixel, 4 * pixel]);
  level(brush, at, "noise", 1.2);
  canvas.setLineDash([]);
  brush.text("scatter of the batches", box.left + 6 * pixel, brush.y(at) - 5 * pixel, "mute");
}

function level(brush: Brush, at: number, colour: "exact" | "noise", width: number): void {
  const { canvas, box, pixel } = brush;
  canvas.strokeStyle = brush.colors[colour];
  canvas.lineWidth = width * pixel;
  canvas.beginPath();
  canvas.moveTo(box.left, brush.y(at));
  canvas.lineTo(box.right, brush.y(at));
  canvas.stroke();
}
