/** The clock seen along another axis than t: a chart over log-SNR scrubs, and is scrubbed, like one over t. */
import type { Clock } from "../core/store";

export interface AxisClock extends Clock {
  /** The axis has changed: whoever follows looks again. */
  moved(): void;
}

/** `place` says where on the axis a t is, `timeAt` which t is at a place. */
export function axisClock(clock: Clock, place: (t: number) => number, timeAt: (x: number) => number): AxisClock {
  const followers = new Set<() => void>();
  const seen: AxisClock = {
    get t() {
      return place(clock.t);
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
    seek: (x) => clock.seek(timeAt(x)),
    play: (direction) => clock.play(direction),
    pause: () => clock.pause(),
    subscribe(f, signal) {
      const follow = () => f(seen);
      followers.add(follow);
      signal.addEventListener("abort", () => followers.delete(follow), { once: true });
      clock.subscribe(follow, signal);
    },
    moved: () => followers.forEach((follow) => follow()),
  };
  return seen;
}
