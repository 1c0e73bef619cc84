/**
 * LossFloor: the training loss at each noise level over its exact floor, and the excess on an axis of its own.
 *
 * Python measures floor and excess of x_0; which face or weighting is shown, and over which axis, is decided here.
 */
import { createChart } from "../core/chart";
import { colourKey } from "../core/colour_key";
import { readout, segmented, select, toggle } from "../core/controls";
import { createDeck, named } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { withError } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Schedule } from "../core/schedule";
import type { Scene, SceneState, Store } from "../core/store";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";
import { axisClock } from "./axis_clock";
import "./loss_floor.css";
import { at, excessView, lossView, type Picture } from "./loss_floor_view";
import {
  along,
  finiteLogSnr,
  firstTimes,
  gainSquared,
  gaussianFloor,
  meanOver,
  measured,
  nearest,
  shareOf,
  sum,
  type Face,
} from "./loss_profile";
import { current, type Question } from "./staleness";

export interface State extends SceneState {
  schedule: Schedule;
  prediction: Face;
  weighting: string;
  over: "t" | "log-SNR";
  errors: boolean;
  spread: number;
  times: NDArray | null;
  log_snr: NDArray | null;
  factors: NDArray | null;
  measures: string[];
  floor: NDArray | null;
  excess: NDArray | null;
  oracle: string;
  note: string;
  computed_for: Question | null;
}

const FACES: { name: Face; label: string }[] = [
  { name: "eps", label: "eps" },
  { name: "x0", label: "x₀" },
  { name: "v", label: "v" },
  { name: "score", label: "score" },
];
const WEIGHTINGS = [
  { name: "uniform", label: "not weighted" },
  { name: "elbo", label: "ELBO" },
  { name: "min-snr", label: "min-SNR" },
  { name: "p2", label: "P2" },
  { name: "edm", label: "EDM" },
  { name: "sigmoid", label: "sigmoid" },
  { name: "truncated-snr", label: "truncated SNR" },
  { name: "snr", label: "SNR" },
];
const WORDS: Record<Face, string> = { eps: "eps", x0: "x₀", v: "v", score: "the score" };

export const lossFloor: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, {
    title: "Loss by noise level",
    note: colourKey({ exact: "exact floor", learned: "learned" }),
  });
  followMessages(store, panel, signal);
  let picture = pictureOf(store);
  const positions = () => levelsOf(store);
  const onAxis = axisClock(
    clock,
    (t) => (store.get("over") === "t" ? t : along(positions().times, positions().x, t)),
    (x) => (store.get("over") === "t" ? x : along(positions().x, positions().times, x)),
  );
  const charts = element("div", "difflab-loss-floor");
  panel.body.append(charts);
  const small = store.embedded;
  const loss = createChart(charts, { clock: onAxis, minHeight: small ? 90 : 190 }, signal);
  const excess = createChart(charts, { clock: onAxis, minHeight: small ? 80 : 130 }, signal);

  const sentence = element("p", "difflab-quiet difflab-said");
  const [floorHere, learnedHere, excessHere] = ["floor", "learned", "excess"].map(readout);
  const numbers = element("div", "difflab-numbers difflab-loss-floor-numbers");
  numbers.append(floorHere.root, learnedHere.root, excessHere.root);
  panel.footer.append(sentence, numbers);

  const deck = createDeck(store, panel, signal);
  const face = segmented({
    label: "the loss is the squared error of",
    choices: FACES,
    value: store.get("prediction"),
    onChange: (name) => store.set("prediction", name as Face),
    signal,
  });
  const weighting = select({
    label: "weighting of the levels",
    choices: WEIGHTINGS,
    value: store.get("weighting"),
    onChange: (name) => store.set("weighting", name),
    signal,
  });
  weighting.root.title = "Weighted, the loss is the same in every face";
  const over = segmented({
    label: "horizontal axis",
    choices: [
      { name: "t", label: "t" },
      { name: "log-SNR", label: "log-SNR" },
    ],
    value: store.get("over"),
    onChange: (name) => store.set("over", name as State["over"]),
    signal,
  });
  const errors = toggle({
    label: "Standard errors",
    title: "One standard error to either side of what was measured",
    on: store.get("errors"),
    onChange: (on) => store.set("errors", on),
    signal,
  });
  deck.live("prediction", face.root);
  deck.live("weighting", weighting.root);
  deck.live("over", over.root);
  deck.drawer("errors", errors.root);
  if (!store.embedded) {
    loss.root.tabIndex = 0;
    const bar = timeBar(clock, () => store.get("schedule"), signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }

  const drawMoment = () => {
    const level = nearest(levelsOf(store).times, clock.t);
    const t = levelsOf(store).times[level];
    const show = (r: typeof floorHere, label: string, part: Picture["floor"], exact: boolean, why: string) => {
      r.setLabel(label);
      r.set(at(part, level), { exact, why });
    };
    show(floorHere, `floor at t = ${t.toFixed(3)}`, picture.floor, true, "being computed");
    show(learnedHere, "learned loss", picture.learned, false, "not measured yet");
    show(excessHere, "above the floor", picture.excess, false, "not measured yet");
  };
  const draw = panel.guard(() => {
    picture = pictureOf(store);
    const fresh = current(store, store.get("computed_for"));
    panel.root.classList.toggle("difflab-stale", !fresh);
    const old = store.hasKernel ? "The floor of this schedule is being computed." : "A new floor needs Python.";
    panel.body.dataset.stale = fresh ? "" : old;
    face.set(store.get("prediction"));
    weighting.set(store.get("weighting"));
    over.set(store.get("over"));
    errors.set(store.get("errors"));
    for (const b of face.root.querySelectorAll("button")) b.disabled = store.get("weighting") !== "uniform";
    loss.show(lossView(picture));
    excess.show(excessView(picture));
    queueMicrotask(onAxis.moved); // after the chart's own, which takes up its new range
    sentence.textContent = store.get("note") || (fresh ? moral(store, picture) : "");
    drawMoment();
  });
  const redraw = onNextFrame(draw, signal);
  store.on(
    [
      "schedule", "prediction", "weighting", "over", "errors", "spread", "times", "log_snr", "factors", "floor", "excess",
      "note", "computed_for",
    ], // prettier-ignore
    redraw,
    signal,
  );
  draw();
  clock.subscribe(panel.guard(drawMoment), signal);
};

/** The noise levels and where they stand on the axis. */
function levelsOf(store: Store<State>): { times: number[]; x: number[] } {
  const told = store.get("times");
  const times = told ? Array.from(told.data) : firstTimes();
  if (store.get("over") === "t") return { times, x: times };
  return { times, x: finiteLogSnr(store.get("schedule"), times).map((value) => -value) };
}

function pictureOf(store: Store<State>): Picture {
  const { times, x } = levelsOf(store);
  const [schedule, face, weighting] = [store.get("schedule"), store.get("prediction"), store.get("weighting")];
  const plain = weighting === "uniform";
  const row = (store.get("measures") ?? []).indexOf(plain ? face : weighting);
  const all = store.get("factors");
  const factor = all && row >= 0 ? all.data.subarray(row * times.length, (row + 1) * times.length) : null;
  const part = (name: "floor" | "excess") => {
    const pairs = store.get(name);
    return pairs && factor ? measured(pairs.data, factor) : null;
  };
  const [floor, excess] = [part("floor"), part("excess")];
  const gain = plain ? times.map((t) => gainSquared(face, schedule, t)) : factor;
  return {
    x,
    axis: store.get("over"),
    label: plain
      ? `mean squared error of ${WORDS[face]}`
      : weighting === "elbo"
        ? "nats per dimension and unit of t"
        : `squared error, weighted by ${WEIGHTINGS.find((w) => w.name === weighting)?.label}`,
    floor,
    excess: floor && excess,
    learned: floor && excess && sum(floor, excess),
    bound: gain && times.map((t, i) => gain[i] * gaussianFloor(schedule, store.get("spread"), t)),
    errors: store.get("errors"),
  };
}

/** What the picture says, in a sentence. */
function moral(store: Store<State>, { floor, excess }: Picture): string {
  if (!floor) return "Predict first: where will the loss of a network be highest? No floor is above the grey line.";
  if (!excess)
    return "Predict first: where will a network's loss be highest, and where can it lose most above the floor?";
  const { times } = levelsOf(store);
  const [low, above] = [meanOver(times, floor), meanOver(times, excess)];
  const share = shareOf(low, above);
  const percent = `${withError(100 * share.value, 100 * share.error)} %`;
  const left = `${withError(above.value, above.error)} on average over t`;
  if (share.value >= 0.8) return `A flat loss is not a broken one: ${percent} of it is the floor; ${left} is above it.`;
  return `${percent} of the loss is the floor; ${left} can still be learned away.`;
}
