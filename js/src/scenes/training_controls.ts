/** The hands on the training, shared by TrainingMonitor and the Lab's header: the state in a chip, and the buttons. */
import { button, chip, toggle } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { count, format } from "../core/numbers";
import { element } from "../core/panel";
import { pressedIn } from "../core/pressed";
import type { Store } from "../core/store";

export type TrainingState = "idle" | "running" | "paused" | "finished" | "failed" | "stopped";

const WORDS: Record<TrainingState, string> = {
  idle: "not trained yet",
  running: "training",
  paused: "paused",
  finished: "trained",
  failed: "training failed",
  stopped: "stopped",
};
const DOTS: Partial<Record<TrainingState, string>> = {
  running: "var(--difflab-learned)",
  paused: "var(--difflab-noise)",
  finished: "var(--difflab-exact)",
  failed: "var(--difflab-danger)",
  stopped: "var(--difflab-noise)",
};

/** "training · step 4,210 · 241 steps/s". */
export function stateWords(state: TrainingState, step: number, speed: number): string {
  if (state === "idle") return WORDS.idle;
  if (state === "finished") return `${WORDS.finished} · ${count(step)} steps`;
  const parts = [WORDS[state] ?? state, `step ${count(step)}`];
  if (state === "running" && speed > 0) parts.push(`${format(speed)} steps/s`);
  return parts.join(" · ");
}

/** What the hands on a training read: part of TrainingMonitor's State. */
export interface TrainingStatus {
  state: TrainingState;
  step: number;
  steps_per_second: number;
}

export function stateChip(store: Store<TrainingStatus>, signal: AbortSignal): HTMLElement {
  const shown = chip();
  shown.root.setAttribute("role", "status");
  shown.root.setAttribute("aria-live", "off"); // twenty changes a second are not to be read aloud
  const show = () => {
    const state = store.get("state") ?? "idle";
    const number = (name: "step" | "steps_per_second") => store.get(name) ?? 0;
    const words = stateWords(state, number("step"), number("steps_per_second"));
    shown.set(words, DOTS[state] ?? null);
    // the Lab's header leaves out how fast where it is narrow: else it would break into two lines when training begins
    const [, brief, speed] = /^(.*?)( · [^·]*steps\/s)$/.exec(words) ?? [];
    if (!speed) return;
    const rate = element("span", "difflab-rate");
    rate.textContent = speed;
    shown.root.lastChild!.replaceWith(brief, rate);
  };
  const redraw = onNextFrame(show, signal);
  store.on(["state", "step", "steps_per_second"], redraw, signal);
  show();
  return shown.root;
}

/** What the main button does in each state. `start` names the beginning. */
export function mainAction(state: TrainingState, start = "Start"): { label: string; request: string } {
  if (state === "running") return { label: "Pause", request: "pause" };
  if (state === "paused") return { label: "Resume", request: "resume" };
  return { label: state === "idle" ? start : `${start} again`, request: "start" };
}

/** Start, Pause or Resume in one button, and Stop while there is something to stop. Both hidden where there is no kernel. */
export function trainButtons(
  store: Store<TrainingStatus>,
  signal: AbortSignal,
  { primary, start }: { primary: boolean; start: string },
) {
  const state = () => store.get("state") ?? "idle";
  const act = () => store.request(mainAction(state(), start).request);
  const main = button({ label: start, primary, kernel: true, onClick: act, signal });
  const stop = button({ label: "Stop", kernel: true, onClick: () => store.request("stop"), signal });
  const show = () => {
    main.textContent = mainAction(state(), start).label;
    main.hidden = !store.hasKernel;
    // its place is kept: a panel must not change its height when training starts
    stop.style.visibility = state() === "running" || state() === "paused" ? "" : "hidden";
    stop.hidden = !store.hasKernel;
  };
  store.on("state", show, signal);
  show();
  return { main, stop };
}

/** One update and a pause; and a pace slow enough to watch single ones. Hidden where there is no kernel. */
export function stepButtons(store: Store<TrainingStatus & Pace>, signal: AbortSignal) {
  const ended = () => ["finished", "failed", "stopped"].includes(store.get("state") ?? "idle");
  const step = button({
    label: "Step",
    title: "One update of the weights, then a pause",
    kernel: true,
    onClick: () => store.request("step"),
    signal,
  });
  const slow = toggle({
    label: "Slow",
    on: store.get("slow"),
    kernel: true,
    onChange: (on) => store.set("slow", on),
    signal,
  });
  const show = () => {
    step.disabled = ended();
    slow.set(store.get("slow"));
    slow.root.title = `At most ${format(store.get("pace"), 2)} updates a second`;
    step.hidden = slow.root.hidden = !store.hasKernel;
  };
  store.on(["state", "slow", "pace"], show, signal);
  show();
  return { step, slow: slow.root };
}

/** How slow "Slow" is: part of TrainingMonitor's State. */
export interface Pace {
  slow: boolean;
  /** Updates a second. */
  pace: number;
}

/**
 * Space runs and pauses, the right arrow does a step, while the focus is on `el`. Listens on the window before anyone else,
 * as the time bar does: JupyterLab would take these keys for the notebook.
 */
export function bindTrainKeys(store: Store<TrainingStatus>, el: HTMLElement, signal: AbortSignal): void {
  const onKey = (event: KeyboardEvent) => {
    if (pressedIn(event) !== el || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") store.request(mainAction(store.get("state") ?? "idle").request);
    else if (event.key === "ArrowRight") store.request("step");
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}
