/** The clock of a walk: step, slow, run and a slider from its first score call to its last. */
import { count } from "../core/numbers";
import type { Clock } from "../core/store";
import { transport } from "../core/transport";

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
  const say = () => `score call ${count(clock.t * total())}`;
  const bar = transport(
    clock,
    {
      label: "score calls spent",
      step: (t) => next(t * total()) / total(),
      stepTitle: "To the next picture that was kept",
      playLabel: "Play to the last call",
      say,
      spoken: () => `${say()} of ${count(total())}`,
    },
    signal,
  );
  bar.first.textContent = "start";
  const refresh = () => {
    bar.last.textContent = count(total());
    bar.refresh();
  };
  refresh();
  return { root: bar.root, refresh };
}
