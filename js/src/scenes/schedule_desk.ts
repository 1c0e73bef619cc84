/**
 * ScheduleDesk: the curves of alpha, sigma, log-SNR and beta, and the sliders that shape them.
 *
 * Every movement redraws here from the formula; the kernel hears of it afterwards and answers with the gauge of the
 * end: how many nats (or bits) x_T still tells of the data.
 */
import { createChart, type ChartView, type Curve } from "../core/chart";
import { select, slider, type Slider } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { count, DASH, format, short } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import { alphaSigma, chainTable, complaint, logSnr, type Schedule } from "../core/schedule";
import type { Scene, SceneState, Store } from "../core/store";
import { throttle } from "../core/throttle";
import "./scenes.css";
import { current } from "./staleness";

export interface Param {
  name: string;
  label: string;
  min: number;
  max: number;
  default: number;
  log?: boolean;
}

export interface ScheduleChoice {
  name: string;
  label: string;
  params: Param[];
}

export interface Terminal {
  L_T: number;
  unit: string;
  alpha_bar_T: number;
  reaches_noise: boolean;
  sentence: string;
  schedule: Schedule;
  steps: number;
}

export interface State extends SceneState {
  schedule: Schedule;
  steps: number;
  choices: ScheduleChoice[];
  step_range: [number, number];
  terminal: Terminal | null;
}

const POINTS = 401;
const SEND_EVERY_MS = 100;
const Y_TOP = 1.06; // room above alpha = 1

/** A sentence for each value that its slider cannot reach. It stands all the same: a script may know why. */
export function beyondSliders(schedule: Schedule, choices: readonly ScheduleChoice[]): string[] {
  const params = choices.find((c) => c.name === schedule.name)?.params ?? [];
  return params.flatMap(({ name, label, min, max }) => beyond(label, schedule.params[name], min, max));
}

function beyond(
  label: string,
  value: number | undefined,
  min: number,
  max: number,
  show: (x: number) => string = format,
): string[] {
  if (value === undefined || (min <= value && value <= max)) return [];
  const end = value > max ? `ends at ${show(max)}` : `begins at ${show(min)}`;
  return [`${label} = ${show(value)} lies beyond its slider, which ${end}.`];
}

export const scheduleDesk: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Schedule" });
  followMessages(store, panel, signal);
  const chart = createChart(panel.body, { clock, minHeight: store.embedded ? 110 : 260 }, signal);
  const choices = store.get("choices") ?? [];
  const remembered = new Map<string, Schedule>();

  const said = element("p", "difflab-quiet difflab-said");
  said.setAttribute("role", "status");
  const sliders = element("div", "");
  const gauge = gaugeOfTheEnd(store);
  const chooser = select({
    label: "formula of the schedule",
    choices,
    value: store.get("schedule").name,
    onChange(name) {
      const choice = choices.find((c) => c.name === name)!;
      const usual = Object.fromEntries(choice.params.map((p) => [p.name, p.default]));
      propose(remembered.get(name) ?? { name, params: usual });
    },
    signal,
  });

  chooser.root.classList.add("difflab-in-note");
  const chainLength = element("span", "");
  const note = element("span", "");
  note.append(chooser.root, chainLength);
  panel.setNote(note);
  const sendSchedule = throttle<Schedule>((value) => store.set("schedule", value), SEND_EVERY_MS, signal);
  const sendSteps = throttle<number>((value) => store.set("steps", value), SEND_EVERY_MS, signal);
  let inputs = new Map<string, Slider>();
  let slidersOf = "";
  let slidersAbort = new AbortController();
  const tell = (...sentences: string[]) => {
    said.textContent = sentences.join(" ");
    said.hidden = sentences.length === 0;
  };
  /** A hand moved a control: a schedule that cannot be used is named in a sentence and goes nowhere. */
  const propose = (schedule: Schedule) => {
    const wrong = complaint(schedule);
    if (wrong) return tell(wrong);
    store.setLocal("schedule", schedule); // every panel follows in this frame
    sendSchedule.send(schedule);
  };
  const [fewest, most] = store.get("step_range") ?? [1, 1000];
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
  const buildSliders = (schedule: Schedule) => {
    slidersOf = schedule.name;
    slidersAbort.abort();
    slidersAbort = new AbortController();
    const choice = choices.find((c) => c.name === schedule.name);
    inputs = new Map(
      (choice?.params ?? []).map((p) => [
        p.name,
        slider({
          ...p,
          value: schedule.params[p.name] ?? p.default,
          format: short,
          onInput: (value) => {
            const now = store.get("schedule");
            propose({ name: now.name, params: { ...now.params, [p.name]: value } });
          },
          onChange: () => sendSchedule.flush(),
          signal: slidersAbort.signal,
        }),
      ]),
    );
    sliders.replaceChildren(...[...inputs.values()].map((s) => s.root));
  };
  signal.addEventListener("abort", () => slidersAbort.abort());

  const draw = panel.guard(() => {
    const schedule = store.get("schedule");
    const T = store.get("steps");
    remembered.set(schedule.name, schedule);
    chainLength.textContent = `, T = ${count(T)}`;
    chart.show(curvesOf(schedule, T));
    gauge.show(schedule, T);
  });
  const redraw = onNextFrame(draw, signal);

  /** The traits changed, from here or from a script: controls follow. */
  const follow = panel.guard(() => {
    const wanted = store.get("schedule");
    const T = store.get("steps");
    tell(...beyondSliders(wanted, choices), ...beyond("T", T, fewest, most, count));
    chooser.set(wanted.name);
    if (slidersOf !== wanted.name) buildSliders(wanted);
    for (const [name, input] of inputs) if (input.value !== wanted.params[name]) input.set(wanted.params[name]);
    if (steps.value !== T) steps.set(T);
    redraw();
  });
  store.on("schedule", follow, signal);
  store.on("steps", follow, signal);
  store.on("terminal", redraw, signal);

  panel.footer.classList.add("difflab-desk");
  panel.footer.append(sliders, steps.root, said, gauge.root);
  follow();
  draw();
};

/** "✓ reaches noise   L_T = 8.2e-8 nats/dim · ᾱ_T = 2.4e-9": what of the data is left at the end of the chain. */
function gaugeOfTheEnd(store: Store<State>) {
  const root = element("div", "difflab-row difflab-gauge");
  const verdict = element("span", "");
  const numbers = element("span", "difflab-gauge-numbers");
  root.append(verdict, numbers);
  return {
    root,
    show(schedule: Schedule, T: number) {
      const terminal = store.get("terminal");
      const { alpha, sigma } = chainTable(schedule, T);
      // what the formula knows is told at once; L_T depends on the data and is the kernel's
      const end = schedule.name === "Geometric" ? `σ_T = ${format(sigma[T], 2)}` : `ᾱ_T = ${format(alpha[T] ** 2, 2)}`;
      // an answer that is still about an earlier position of the slider does not count
      const known = terminal && current(store, { schedule: terminal.schedule, steps: terminal.steps });
      verdict.className = known ? (terminal.reaches_noise ? "difflab-exact" : "difflab-learned") : "";
      const asking = store.hasKernel ? "measuring the end …" : "L_T needs Python";
      verdict.textContent = known ? (terminal.reaches_noise ? "✓ reaches noise" : `⚠ ${terminal.sentence}`) : asking;
      const warns = known && !terminal.reaches_noise; // its sentence has the numbers
      numbers.textContent = warns
        ? ""
        : `L_T = ${known ? `${format(terminal.L_T, 2)} ${terminal.unit}` : DASH} · ${end}`;
      root.title = known ? terminal.sentence : "";
    },
  };
}

/** The four curves. alpha and sigma share the axis 0..1; log-SNR and beta have scales of their own, told by their ends. */
export function curvesOf(schedule: Schedule, T: number): ChartView {
  const times = Float64Array.from({ length: POINTS }, (_, i) => i / (POINTS - 1));
  const levels = Array.from(times, (t) => alphaSigma(schedule, t));
  const alpha = levels.map((l) => l.alpha);
  const geometric = schedule.name === "Geometric";
  const sigma = levels.map((l, i) => (geometric ? (i === 0 ? null : Math.log(l.sigma)) : l.sigma));
  // at t = 0 the log-SNR is infinite: its curve begins with the chain's first noise level
  const first = 1 / Math.max(T, POINTS - 1);
  const snr = Array.from(times, (t, i) => logSnr(schedule, i === 0 ? first : t));
  const { beta } = chainTable(schedule, T);
  const variance = Array.from(times, (t) => Math.log(beta[Math.max(1, Math.round(t * T))]));
  const betaEnds = ends(variance);
  const sigmaEnds = geometric ? ends(sigma.slice(1) as number[]) : undefined;
  const sigmaRange = sigmaEnds && ([sigmaEnds[0], sigmaEnds[0] + Y_TOP * (sigmaEnds[1] - sigmaEnds[0])] as const);
  const raised = (e: readonly number[]) => e.map((v) => short(Math.exp(v), 2)).join("…");
  const curves: Curve[] = [
    { colour: "alpha", label: geometric ? "alpha = 1" : "alpha" },
    { colour: "sigma", range: sigmaRange, label: geometric ? `sigma ${raised(sigmaEnds!)} (log)` : "sigma" },
    {
      colour: "log-snr",
      range: padded(ends(snr)),
      label: `log-SNR ${format(snr[0], 2)}…${format(snr[POINTS - 1], 2)}`,
    },
    { colour: "beta", range: padded(betaEnds), dash: [5, 4], width: 1.5, label: `beta ${raised(betaEnds)} (log)` },
  ];
  return {
    x: { label: "t", range: [0, 1], ticks: [0, 0.5, 1], format: String },
    y: { label: "", range: [0, Y_TOP], ticks: [0, 0.5, 1], format: String },
    curves,
    data: [times, alpha, sigma, snr, variance],
    summary:
      `Curves over t of a ${schedule.name} schedule with ${T} steps: log-SNR falls from ${format(snr[0])} to ` +
      `${format(snr[POINTS - 1])}, beta runs from ${raised([variance[0], variance[POINTS - 1]])}.`,
  };
}

function ends(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

function padded([low, high]: readonly [number, number]): [number, number] {
  const room = 0.04 * (high - low) || 0.5;
  return [low - room, high + room];
}
