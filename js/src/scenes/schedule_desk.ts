/**
 * ScheduleDesk: the curves of a schedule, the sliders or the hand that shapes them, and whether it reaches noise.
 *
 * Every movement redraws here, from the formula or, where there is none, from the table that Python answers with; the kernel
 * hears of formulas afterwards.
 */
import { createChart } from "../core/chart";
import { segmented, slider } from "../core/controls";
import { createDeck, named } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { count, format, withError } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import { complaint, drawable, logSnr, timeOfLogSnr, type Schedule } from "../core/schedule";
import { remember } from "../core/schedule_tables";
import type { Clock, Scene, SceneState } from "../core/store";
import { throttle } from "../core/throttle";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";
import "./desk.css";
import { adviceBox, pinBox, type Advice } from "./desk_drawer";
import { endOf, gaugeOfTheEnd, type Terminal } from "./desk_gauge";
import { deskHand } from "./desk_hand";
import {
  beyond,
  beyondSliders,
  formulaChooser,
  nameOf,
  parameterSliders,
  type ScheduleChoice,
} from "./desk_parameters";
import { betasOf, curvesOf, drawingOf, mmseOf, placeOf, type Known, type Pin } from "./desk_views";
import { mmseAt, type About } from "./optimal_terms";
import "./scenes.css";
import { tableRequest, type TableAnswer } from "./table_request";

export { beyondSliders, type ScheduleChoice };

export interface State extends SceneState {
  schedule: Schedule;
  steps: number;
  view: string;
  pinned: Schedule[];
  choices: ScheduleChoice[];
  step_range: [number, number];
  terminal: Terminal | null;
  ends: Terminal[];
  advice: Advice | null;
  mmse: NDArray<Float32Array> | null;
  about: (About & { of: string }) | null;
  table: TableAnswer | null;
}

const SEND_EVERY_MS = 100;
const VIEWS = [
  { name: "t", label: "over t" },
  { name: "mmse", label: "mmse" },
  { name: "beta", label: "beta" },
];
/** As Python knows a schedule: it makes tables itself. */
const bare = ({ name, params }: Schedule): Schedule => ({ name, params });

export const scheduleDesk: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Schedule" });
  followMessages(store, panel, signal);
  const plot = element("div", "difflab-desk-plot");
  panel.body.append(plot);
  const choices = store.get("choices") ?? [];
  const [fewest, most] = store.get("step_range") ?? [1, 1000];
  let view = store.get("view") ?? "t";
  const onLogSnr = () => view === "mmse" && !hand.drawing;
  const place = () => (onLogSnr() ? placeOf(logSnr(store.get("schedule"), clock.t)) : clock.t);
  const seek = (x: number) => clock.seek(onLogSnr() ? timeOfLogSnr(store.get("schedule"), -x) : x);

  const said = element("p", "difflab-quiet difflab-said");
  said.setAttribute("role", "status");
  const tell = (...sentences: string[]) => {
    said.textContent = sentences.join(" ");
    said.hidden = sentences.length === 0;
  };
  const gauge = gaugeOfTheEnd(store);
  const atT = element("p", "difflab-quiet difflab-desk-at-t");

  const sendSchedule = throttle<Schedule>((value) => store.set("schedule", value), SEND_EVERY_MS, signal);
  const sendSteps = throttle<number>((value) => store.set("steps", value), SEND_EVERY_MS, signal);
  const use = (schedule: Schedule) => {
    remember(schedule);
    store.setLocal("schedule", schedule); // every panel follows in this frame
    sendSchedule.send(bare(schedule));
  };
  const tables = tableRequest(store, use, signal);
  /** A hand moved a control: a schedule that cannot be used is named in a sentence and goes nowhere. */
  const propose = (schedule: Schedule) => {
    const wrong = complaint(schedule);
    if (wrong) return tell(wrong);
    if (!drawable(schedule)) return tables.ask(schedule);
    tables.forget();
    use(schedule);
  };

  const chooser = formulaChooser(choices, store.hasKernel, propose, signal);
  chooser.root.classList.add("difflab-in-note");
  const chainLength = element("span", "");
  const note = element("span", "");
  note.append(named(store, "formula", chooser.root, signal), chainLength);
  panel.setNote(note);
  const sliders = parameterSliders(
    choices,
    (name, value) => {
      const now = tables.wanted ?? store.get("schedule");
      propose({ name: now.name, params: { ...now.params, [name]: value } });
    },
    sendSchedule.flush,
    signal,
  );
  const steps = slider({
    label: "steps T",
    min: fewest,
    max: most,
    step: 1,
    log: true,
    value: store.get("steps"),
    format: count,
    onInput(value) {
      store.setLocal("steps", value);
      sendSteps.send(value);
    },
    onChange: () => sendSteps.flush(),
    signal,
  });
  const hand = deskHand(
    { schedule: () => store.get("schedule"), propose, redraw: () => redraw(), rest: sendSchedule.flush },
    signal,
  );
  const views = segmented({
    label: "what is drawn",
    choices: VIEWS,
    value: view,
    onChange(name) {
      hand.stop();
      store.set("view", name);
    },
    signal,
  });
  const chart = createChart(
    plot,
    { clock: placedClock(clock, place, seek), minHeight: store.embedded ? 96 : 280 },
    signal,
  );
  plot.append(hand.surface);
  const size = new ResizeObserver(() => requestAnimationFrame(() => hand.place(chart.root)));
  size.observe(plot);
  signal.addEventListener("abort", () => size.disconnect(), { once: true });

  const pins = (): Pin[] => {
    const T = store.get("steps");
    return (store.get("pinned") ?? []).filter(drawable).map((schedule) => {
      const end = endOf(store, schedule, T);
      return { schedule, name: nameOf(schedule, choices) + (end ? ` · L_T ${format(end.L_T, 2)}` : "") };
    });
  };
  const pinning = pinBox(
    {
      pin: () => store.set("pinned", [...store.get("pinned"), store.get("schedule")].map(bare)),
      unpin: (index) =>
        store.set(
          "pinned",
          store.get("pinned").flatMap((schedule, i) => (i === index ? [] : [bare(schedule)])),
        ),
    },
    signal,
  );
  const advising = adviceBox(() => {
    const { sigma_min, sigma_max, levels } = store.get("advice")!;
    store.set("steps", levels);
    propose({ name: "Geometric", params: { sigma_min, sigma_max } });
  }, signal);

  const known = (): Known | null => {
    const [mmse, about] = [store.get("mmse"), store.get("about")];
    if (!mmse || !about) return null;
    const n = mmse.shape[1];
    const [logSnr, mse, error] = [0, 1, 2].map((row) => mmse.data.subarray(row * n, (row + 1) * n));
    return { curve: { logSnr, mse, error }, about };
  };
  const showAtT = () => {
    const data = onLogSnr() ? known() : null;
    atT.hidden = !data;
    if (!data) return;
    const level = logSnr(store.get("schedule"), clock.t);
    const value = Number.isFinite(level)
      ? mmseAt(data.curve, data.about, [level])[0] / data.about.dim
      : level > 0
        ? 0
        : data.about.variance;
    const at = Math.abs(level) < 1e9 ? nearestError(data, level) : 0;
    atT.textContent = `at t = ${clock.t.toFixed(2)}: log-SNR ${format(level)}, mmse ${withError(value, at)} per dim`;
  };
  const draw = panel.guard(() => {
    const schedule = store.get("schedule");
    const T = store.get("steps");
    const beside = pins();
    const data = known();
    chainLength.textContent = `· T = ${count(T)}`;
    if (hand.drawing) chart.show(drawingOf(schedule, T, beside, hand.knots()));
    else if (view === "beta") chart.show(betasOf(schedule, T, beside));
    else if (view === "mmse" && data) chart.show(mmseOf(schedule, T, beside, data));
    else chart.show(curvesOf(schedule, T, beside));
    if (!hand.drawing && view === "mmse" && !data) tell("The mmse of this data is being measured.");
    chart.repaint(); // what is painted under and over the curves may have changed alone
    requestAnimationFrame(() => hand.place(chart.root));
    gauge.show(schedule, T);
    showAtT();
    const mine = JSON.stringify(bare(schedule));
    pinning.show(
      beside,
      (store.get("pinned") ?? []).some((pin) => JSON.stringify(bare(pin)) === mine),
    );
    advising.show(store.get("advice"), store.hasKernel);
  });
  const redraw = onNextFrame(draw, signal);

  /** The traits changed, from here or from a script: controls follow. */
  const follow = panel.guard(() => {
    const wanted = store.get("schedule");
    const T = store.get("steps");
    view = store.get("view") ?? "t";
    remember(wanted);
    tell(...beyondSliders(wanted, choices), ...beyond("T", T, fewest, most, count));
    chooser.show(wanted);
    sliders.show(wanted, tables.wanted !== null); // a slider stays where the hand is, though its table is on the way
    hand.follow(wanted);
    if (steps.value !== T) steps.set(T);
    views.set(view);
    redraw();
  });
  store.on(["schedule", "steps", "view"], follow, signal);
  store.on(["terminal", "ends", "pinned", "advice", "mmse", "about"], redraw, signal);
  store.on(["mmse", "about"], () => offerViews(), signal);
  const offerViews = () => views.setChoices(VIEWS.filter(({ name }) => name !== "mmse" || known() || store.hasKernel));
  offerViews();
  clock.subscribe(showAtT, signal);

  panel.footer.classList.add("difflab-desk");
  panel.footer.append(
    named(store, "parameters", sliders.root, signal),
    named(store, "steps", steps.root, signal),
    said,
    atT,
    gauge.root,
  );
  const deck = createDeck(store, panel, signal);
  deck.live("view", views.root);
  deck.live("draw", hand.root);
  deck.drawer("pin", pinning.root);
  deck.drawer("advice", advising.root);
  if (!store.embedded) {
    const bar = timeBar(clock, () => store.get("schedule"), signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    chart.root.tabIndex = 0;
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }
  follow();
  draw();
};

/** The standard error of the curve near a level. */
function nearestError({ curve, about }: Known, level: number): number {
  const { logSnr, error } = curve;
  let i = 0;
  while (i < logSnr.length - 1 && logSnr[i] < level) i++;
  return error[i] / about.dim;
}

/** The clock as a chart needs it whose x axis is not always t. */
function placedClock(clock: Clock, place: () => number, seek: (x: number) => void): Clock {
  return {
    get t() {
      return place();
    },
    get playing() {
      return clock.playing;
    },
    get pace() {
      return clock.pace;
    },
    set pace(value) {
      clock.pace = value;
    },
    seek,
    play: (direction) => clock.play(direction),
    pause: () => clock.pause(),
    subscribe: (f, signal) => clock.subscribe(f, signal),
  };
}
