/** The hands on a clock: play, step, slow and a slider over its way, whatever the clock counts. */
import { button } from "./controls";
import { element, watched } from "./panel";
import type { Clock } from "./store";

/** Share of the usual speed at which "Slow" plays. */
const SLOW = 0.2;
const POSITIONS = 1000;

export interface TransportOptions {
  /** What the slider moves, for those who do not see it. */
  label: string;
  /** Where play leads: to the end (1, the default) or to the beginning (-1). */
  direction?: 1 | -1;
  /** The place after one step from `t`. */
  step: (t: number) => number;
  stepTitle: string;
  playLabel: string;
  /** Where the clock stands, in words. */
  say: () => string;
  /** The same for those who do not see the ends, where that takes more words. */
  spoken?: () => string;
}

export interface Transport {
  root: HTMLElement;
  /** What stands under the two ends of the slider. */
  first: HTMLElement;
  last: HTMLElement;
  /** Say again where the clock stands, after what `say` reads has changed. */
  refresh(): void;
}

export function transport(clock: Clock, options: TransportOptions, signal: AbortSignal): Transport {
  const { label, direction = 1, step, stepTitle, playLabel, say, spoken = say } = options;
  const root = element("div", "difflab-time");
  const play = button({ label: "▶", onClick: () => togglePlay(clock, direction), signal });
  play.classList.add("difflab-play");
  const advance = button({ label: "Step", title: stepTitle, onClick: () => scrub(clock, step(clock.t)), signal });
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
  input.setAttribute("aria-label", label);
  const ends = element("div", "difflab-ends");
  const [first, middle, last] = [element("span", ""), element("span", ""), element("span", "")];
  ends.append(first, middle, last);
  track.append(input, ends);
  const hint = element("span", "difflab-chip difflab-hint");
  hint.textContent = "← → scrub · space plays";
  root.append(play, advance, slow, track, hint);

  input.addEventListener("input", () => scrub(clock, Number(input.value) / POSITIONS), { signal });
  let shown = "";
  const refresh = watched(root, () => {
    input.value = String(Math.round(clock.t * POSITIONS));
    middle.textContent = say();
    input.setAttribute("aria-valuetext", spoken());
    const state = `${clock.playing} ${clock.pace}`;
    if (state === shown) return; // the page would be laid out anew in every frame of a play
    shown = state;
    slow.setAttribute("aria-pressed", String(clock.pace !== 1));
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", clock.playing ? "Pause" : playLabel);
  });
  clock.subscribe(refresh, signal);
  return { root, first, last, refresh };
}

/** Play from the far end when the clock already stands at the end that play leads to. */
export function togglePlay(clock: Clock, direction: 1 | -1): void {
  if (clock.playing) return clock.pause();
  if (clock.t === (direction > 0 ? 1 : 0)) clock.seek(direction > 0 ? 0 : 1);
  clock.play(direction);
}

export function scrub(clock: Clock, t: number): void {
  clock.pause();
  clock.seek(t);
}
