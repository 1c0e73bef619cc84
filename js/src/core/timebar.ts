/** The one time bar: play, step, a slider from 0 data to 1 noise, and the log-SNR along it. */
import { button, threeDigits } from "./controls";
import { element } from "./panel";
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
      clock.pause();
      clock.seek(step(clock.t));
    },
    signal,
  });
  const track = element("div", "difflab-track");
  const input = element("input", "difflab-range");
  input.type = "range";
  input.max = String(POSITIONS);
  input.setAttribute("aria-label", "time t, 0 is data, 1 is noise");
  const ends = element("div", "difflab-ends");
  const [data, middle, noise] = [element("span", ""), element("span", ""), element("span", "")];
  data.textContent = "t = 0 · data";
  noise.textContent = "noise · t = 1";
  ends.append(data, middle, noise);
  track.append(input, ends);
  const hint = element("span", "difflab-chip difflab-hint");
  hint.textContent = "← → scrub · space plays";
  root.append(play, advance, track, hint);

  input.addEventListener(
    "input",
    () => {
      clock.pause();
      clock.seek(Number(input.value) / POSITIONS);
    },
    { signal },
  );
  const refresh = () => {
    input.value = String(Math.round(clock.t * POSITIONS));
    const now = schedule();
    const level = now ? ` · log-SNR ${threeDigits(logSnr(now, clock.t))}` : "";
    middle.textContent = `t = ${clock.t.toFixed(3)}${level}`;
    input.setAttribute("aria-valuetext", middle.textContent);
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", clock.playing ? "Pause" : direction > 0 ? "Play to noise" : "Play to data");
  };
  clock.subscribe(refresh, signal);
  return { root, refresh };
}

/** Play from the far end when the clock already stands at the end that play leads to. */
export function togglePlay(clock: Clock, direction: 1 | -1): void {
  if (clock.playing) return clock.pause();
  if (clock.t === (direction > 0 ? 1 : 0)) clock.seek(direction > 0 ? 0 : 1);
  clock.play(direction);
}

/** Arrows scrub (with shift ten times as far), Home and End jump, space plays, while the focus is inside `el`. */
export function bindTimeKeys(el: HTMLElement, clock: Clock, signal: AbortSignal, direction: 1 | -1 = 1): void {
  el.addEventListener(
    "keydown",
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      // A control with a use of its own for the key keeps it; the time slider takes arrows natively.
      if (target.closest("input, select, textarea, [role=tab]") && event.key !== " ") return;
      if (target.closest("button, select, textarea") && event.key === " ") return;
      const stride = event.shiftKey ? 0.1 : 0.01;
      if (event.key === "ArrowLeft") clock.seek(clock.t - stride);
      else if (event.key === "ArrowRight") clock.seek(clock.t + stride);
      else if (event.key === "Home") clock.seek(0);
      else if (event.key === "End") clock.seek(1);
      else if (event.key === " ") togglePlay(clock, direction);
      else return;
      if (event.key !== " ") clock.pause();
      // JupyterLab would take the key for the notebook (arrows change cells).
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
}
