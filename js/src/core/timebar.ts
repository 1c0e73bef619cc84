/** The one time bar: step, slow, run, a slider from 0 data to 1 noise, and the log-SNR along it. */
import { button } from "./controls";
import { format } from "./numbers";
import { element, watched } from "./panel";
import { pressedIn } from "./pressed";
import { logSnr, type Schedule } from "./schedule";
import type { Clock } from "./store";

export interface TimeBar {
  root: HTMLElement;
  /** Show the log-SNR of a changed schedule. */
  refresh(): void;
}

export interface TimeBarOptions {
  /** Where play and step lead: to noise (1, the default) or to data (-1). */
  direction?: 1 | -1;
  /** The time after one step from `t`; 0.02 further when left out. */
  step?: (t: number) => number;
}

const STEP = 0.02;
/** Share of the usual speed at which "Slow" plays. */
const SLOW = 0.2;
const POSITIONS = 1000;

/** `schedule` gives the schedule of the moment, or null when there is none. */
export function timeBar(
  clock: Clock,
  schedule: () => Schedule | null,
  signal: AbortSignal,
  { direction = 1, step = (t) => t + direction * STEP }: TimeBarOptions = {},
): TimeBar {
  const root = element("div", "difflab-time");
  const play = button({ label: "▶", onClick: () => togglePlay(clock, direction), signal });
  play.classList.add("difflab-play");
  const advance = button({
    label: "Step",
    title: direction > 0 ? "One step towards noise" : "One step towards data",
    onClick: () => {
      scrub(clock, step(clock.t));
    },
    signal,
  });
  const slow = button({
    label: "Slow",
    title: "Play at a fifth of the speed",
    onClick: () => (clock.pace = clock.pace === 1 ? SLOW : 1),
    signal,
  });
  slow.classList.add("difflab-slow");
  const track = element("div", "difflab-track");
  const input = element("input", "difflab-range difflab-scrub");
  input.type = "range";
  input.max = String(POSITIONS);
  input.setAttribute("aria-label", "time t, 0 is data, 1 is noise");
  const ends = element("div", "difflab-ends");
  const [data, middle, noise] = [element("span", ""), element("span", ""), element("span", "")];
  // On a narrow bar the words stay and the numbers go.
  const end = (text: string) => {
    const part = element("span", "difflab-end-time");
    part.textContent = text;
    return part;
  };
  data.append(end("t = 0 · "), "data");
  noise.append("noise", end(" · t = 1"));
  ends.append(data, middle, noise);
  track.append(input, ends);
  const hint = element("span", "difflab-chip difflab-hint");
  hint.textContent = "← → scrub · space plays";
  root.append(play, advance, slow, track, hint);

  input.addEventListener(
    "input",
    () => {
      scrub(clock, Number(input.value) / POSITIONS);
    },
    { signal },
  );
  let shown = "";
  const refresh = watched(root, () => {
    input.value = String(Math.round(clock.t * POSITIONS));
    const now = schedule();
    const level = now ? ` · log-SNR ${format(logSnr(now, clock.t))}` : "";
    middle.textContent = `t = ${clock.t.toFixed(3)}${level}`;
    input.setAttribute("aria-valuetext", middle.textContent);
    const state = `${clock.playing} ${clock.pace}`;
    if (state === shown) return; // the page would be laid out anew in every frame of a play
    shown = state;
    slow.setAttribute("aria-pressed", String(clock.pace !== 1));
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", clock.playing ? "Pause" : direction > 0 ? "Play to noise" : "Play to data");
  });
  clock.subscribe(refresh, signal);
  return { root, refresh };
}

/** Play from the far end when the clock already stands at the end that play leads to. */
export function togglePlay(clock: Clock, direction: 1 | -1): void {
  if (clock.playing) return clock.pause();
  if (clock.t === (direction > 0 ? 1 : 0)) clock.seek(direction > 0 ? 0 : 1);
  clock.play(direction);
}

/**
 * Arrows scrub (with shift ten times as far), Home and End jump, space plays, while the focus is inside `el`.
 *
 * Listens on the window before anyone else: JupyterLab listens on the document and would take arrows and space for the
 * notebook (change the cell, scroll).
 */
export function bindTimeKeys(el: HTMLElement, clock: Clock, signal: AbortSignal, direction: 1 | -1 = 1): void {
  const onKey = (event: KeyboardEvent) => {
    const target = pressedIn(event);
    if (!el.contains(target) || event.ctrlKey || event.metaKey || event.altKey || hasOwnUse(target, event.key)) return;
    const stride = event.shiftKey ? 0.1 : 0.01;
    if (event.key === " ") togglePlay(clock, direction);
    else if (event.key === "ArrowLeft") scrub(clock, clock.t - stride);
    else if (event.key === "ArrowRight") scrub(clock, clock.t + stride);
    else if (event.key === "Home") scrub(clock, 0);
    else if (event.key === "End") scrub(clock, 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}

function scrub(clock: Clock, t: number): void {
  clock.pause();
  clock.seek(t);
}

/** A control keeps the keys that it understands; the time slider itself scrubs like the rest. */
function hasOwnUse(target: HTMLElement, key: string): boolean {
  if (target.closest("[data-own-keys]")) return true; // a drawing surface: see bindKeys in drawing.ts
  if (key === " ") return target.closest("button, select, textarea, input:not([type=range])") !== null;
  return target.closest("input:not(.difflab-scrub), select, textarea, [role=tab]") !== null;
}
