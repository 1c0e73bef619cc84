/** The clock of a walk: step, slow, run and a slider from its first score call to its last. */
import { button } from "../core/controls";
import { count } from "../core/numbers";
import { element, watched } from "../core/panel";
import type { Clock } from "../core/store";
import { togglePlay } from "../core/timebar";

const SLOW = 0.2;
const POSITIONS = 1000;

export interface CallsBar {
  root: HTMLElement;
  /** Say the call again: another run may have another number of them. */
  refresh(): void;
}

/** `clock.t` is the share of the calls; `total` is how many there are, `next` the call where "Step" leads from `call`. */
export function callsBar(
  clock: Clock,
  total: () => number,
  next: (call: number) => number,
  signal: AbortSignal,
): CallsBar {
  const root = element("div", "difflab-time");
  const play = button({ label: "▶", onClick: () => togglePlay(clock, 1), signal });
  play.classList.add("difflab-play");
  const step = button({
    label: "Step",
    title: "To the next picture that was kept",
    onClick: () => {
      clock.pause();
      clock.seek(next(clock.t * total()) / total());
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
  input.setAttribute("aria-label", "score calls spent");
  const ends = element("div", "difflab-ends");
  const [first, middle, last] = [element("span", ""), element("span", ""), element("span", "")];
  first.textContent = "start";
  ends.append(first, middle, last);
  track.append(input, ends);
  const hint = element("span", "difflab-chip difflab-hint");
  hint.textContent = "← → scrub · space plays";
  root.append(play, step, slow, track, hint);
  input.addEventListener(
    "input",
    () => {
      clock.pause();
      clock.seek(Number(input.value) / POSITIONS);
    },
    { signal },
  );
  const refresh = watched(root, () => {
    input.value = String(Math.round(clock.t * POSITIONS));
    middle.textContent = `score call ${count(clock.t * total())}`;
    last.textContent = count(total());
    input.setAttribute("aria-valuetext", `${middle.textContent} of ${last.textContent}`);
    slow.setAttribute("aria-pressed", String(clock.pace !== 1));
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.setAttribute("aria-label", clock.playing ? "Pause" : "Play to the last call");
  });
  clock.subscribe(refresh, signal);
  return { root, refresh };
}
