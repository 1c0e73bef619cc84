/** TrainingMonitor: the loss over its exact floor, and the hands on the training. */
import { createChart, type Brush, type ChartView } from "../core/chart";
import { colourKey } from "../core/colour_key";
import { onNextFrame } from "../core/frame";
import { count, format, withError } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Scene, SceneState, Store } from "../core/store";
import type { NDArray } from "../core/wire";
import "./scenes.css";
import { stateChip, trainButtons, type TrainingState } from "./training_controls";

export interface State extends SceneState {
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
}

const TARGET: Record<string, string> = { eps: "eps", x0: "x₀", v: "v", score: "the score" };

export const trainingMonitor: Scene<State> = (store, el, _clock, signal) => {
  const panel = createPanel(el, {
    title: "Loss over its floor",
  });
  followMessages(store, panel, signal);
  const waiting = element("p", "difflab-quiet difflab-waiting");
  const chart = createChart(panel.body, { minHeight: store.embedded ? 110 : 240 }, signal);
  panel.body.append(waiting);
  const floor = element("span", "difflab-floor");
  const row = element("div", "difflab-row difflab-training");
  const buttons = trainButtons(store, signal, { primary: true, start: "Start" });
  // in the Lab the header has the chip and the one filled button
  if (store.embedded) row.append(buttons.stop, floor);
  else row.append(buttons.main, buttons.stop, stateChip(store, signal), floor);
  panel.footer.append(row);

  const draw = panel.guard(() => {
    const empty = (store.get("curve")?.shape[0] ?? 0) === 0;
    waiting.hidden = !empty;
    waiting.textContent = emptySentence(store);
    const exact = store.get("floor");
    floor.hidden = !hasFloor(store);
    panel.setNote(colourKey({ learned: "learned", ...(hasFloor(store) && { exact: "exact floor" }) }));
    floor.textContent = `exact floor ${withError(exact, store.get("floor_error"))}`;
    chart.show(viewOf(store));
  });
  const redraw = onNextFrame(draw, signal);
  store.on(["curve", "floor", "floor_error", "prediction", "state", "total_steps"], redraw, signal);
  draw();
};

const hasFloor = (store: Store<State>): boolean => typeof store.get("floor") === "number";

function emptySentence(store: Store<State>): string {
  const state = store.get("state");
  if (state === "running" || state === "paused") return "Training begins; the first losses are on their way.";
  if (state === "failed") return "Training stopped before its first loss.";
  if (!store.hasKernel) return "Nothing was trained when this page was saved.";
  const towards = hasFloor(store) ? "comes down to its exact floor" : "appears";
  return `Nothing is trained yet. Start, and the loss ${towards} here.`;
}

/** Highest loss that the axis must show: the whole fall, unless it is a spike that would flatten everything else. */
export function topOf(losses: readonly number[], floor: number | null): number {
  const finite = losses.filter(Number.isFinite);
  if (finite.length === 0) return floor === null ? 1 : floor * 2.5;
  const settled = finite.slice(Math.floor(finite.length / 2)).sort((a, b) => a - b);
  const median = settled[Math.floor(settled.length / 2)];
  return 1.06 * Math.max(floor ?? 0, Math.min(Math.max(...finite), 6 * median));
}

function viewOf(store: Store<State>): ChartView {
  const curve = store.get("curve");
  const floor = store.get("floor") ?? null;
  const points = curve?.shape[0] ?? 0;
  const steps = Array.from({ length: points }, (_, i) => curve!.data[2 * i]);
  const losses = Array.from({ length: points }, (_, i) => curve!.data[2 * i + 1]);
  const total = store.get("total_steps") || 1000;
  const top = topOf(losses, floor);
  const last = points ? steps[points - 1] : 0;
  // the axis grows in strides while training runs, so that the curve does not creep at every message
  const running = store.get("state") === "running";
  const right = points === 0 ? total : Math.max(last, running ? Math.min(total, axisEnd(last)) : 0);
  const data = points
    ? [steps, losses.map((v) => (Number.isFinite(v) ? v : null))]
    : [
        [0, right],
        [null, null],
      ];
  const what = TARGET[store.get("prediction")] ?? store.get("prediction");
  return {
    x: { label: "training step", range: [0, right || 1], format: count },
    y: { label: `mean squared error of ${what}`, range: [0, top] },
    curves: [{ colour: "learned", width: 1.6 }],
    data,
    under: (brush) => floor !== null && band(brush, floor),
    over: (brush) => floor !== null && floorLine(brush, floor),
    summary:
      (points ? `Loss ${format(losses[points - 1])} at step ${count(last)}` : "No loss yet") +
      (floor === null ? "." : `; the exact floor is ${format(floor)}.`),
  };
}

/** The next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten, at least 100: where the step axis ends while training runs. */
export function axisEnd(step: number): number {
  for (let power = 100; ; power *= 10)
    for (const m of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]) if (m * power >= step) return m * power;
}

function band(brush: Brush, floor: number): void {
  const { canvas, box } = brush;
  canvas.globalAlpha = 0.1;
  canvas.fillStyle = brush.colors.exact;
  canvas.fillRect(box.left, brush.y(floor), box.right - box.left, box.bottom - brush.y(floor));
  canvas.globalAlpha = 1;
}

function floorLine(brush: Brush, floor: number): void {
  const { canvas, box, pixel } = brush;
  canvas.strokeStyle = brush.colors.exact;
  canvas.lineWidth = 2 * pixel;
  canvas.beginPath();
  canvas.moveTo(box.left, brush.y(floor));
  canvas.lineTo(box.right, brush.y(floor));
  canvas.stroke();
  const room = box.bottom - brush.y(floor) > 20 * pixel;
  const y = room ? brush.y(floor) + 14 * pixel : brush.y(floor) - 6 * pixel;
  brush.text("the floor: no network gets below", box.right - 4 * pixel, y, "mute", "right");
}
