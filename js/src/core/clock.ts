/**
 * The one time that all panels share: moves by `seek` or plays at display rate, and calls each subscriber at most
 * once a frame. A frame in which nothing changed costs nothing: no loop runs while the clock stands.
 */
import { beforePaint } from "./frame";
import type { Clock, Store } from "./store";

export interface ClockOptions {
  t?: number;
  /** Seconds from t = 0 to t = 1 when playing. */
  period?: number;
  /** For tests: how to wait for a frame (the argument of the callback is the time in ms). */
  frame?: (f: (now: number) => void) => unknown;
  /** Called with what a subscriber threw; the other subscribers still run. */
  onError?: (error: unknown) => void;
}

export function createClock({ t = 0, period = 6, frame, onError }: ClockOptions = {}): Clock {
  const nextFrame = frame ?? beforePaint;
  const subscribers = new Set<(clock: Clock) => void>();
  let direction: 1 | -1 | 0 = 0;
  let scheduled = false;
  let last: number | null = null;
  let pace = 1;

  const call = (f: (clock: Clock) => void) => {
    try {
      f(clock);
    } catch (error) {
      if (onError) onError(error);
      else throw error;
    }
  };
  const tick = (now: number) => {
    scheduled = false;
    if (direction !== 0) {
      // The first frame after play() only starts the watch; a tab that slept does not jump ahead.
      const seconds = last === null ? 0 : Math.min(0.1, (now - last) / 1000);
      last = now;
      t = clamp(t + (direction * pace * seconds) / period);
      if (t === (direction > 0 ? 1 : 0)) direction = 0;
      else schedule();
    }
    for (const f of [...subscribers]) call(f);
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    nextFrame(tick);
  };

  const clock: Clock = {
    get t() {
      return t;
    },
    get playing() {
      return direction !== 0;
    },
    get pace() {
      return pace;
    },
    set pace(to) {
      if (to === pace) return;
      pace = to;
      schedule(); // whoever shows it is told
    },
    seek(to) {
      const target = clamp(to);
      if (target === t) return;
      t = target;
      schedule();
    },
    play(towards) {
      direction = towards;
      last = null;
      schedule();
    },
    pause() {
      if (direction === 0) return;
      direction = 0;
      schedule();
    },
    subscribe(f, signal) {
      if (signal.aborted) return;
      subscribers.add(f);
      signal.addEventListener("abort", () => subscribers.delete(f), { once: true });
      call(f);
    },
  };
  return clock;
}

function clamp(t: number): number {
  return Number.isFinite(t) ? Math.min(1, Math.max(0, t)) : 0;
}

/** The kernel hears of `t` once the clock has rested for so long: scrubbing and playing send nothing. */
const REST_MS = 200;

/** Link a clock to the `t` trait of the root store, both ways. */
export function linkClock(store: Store, clock: Clock, signal: AbortSignal): void {
  let known = store.get("t") ?? clock.t;
  let timer: ReturnType<typeof setTimeout> | undefined;
  clock.seek(known);
  const write = () => {
    if (signal.aborted || clock.playing || clock.t === known) return;
    known = clock.t;
    store.set("t", known);
  };
  clock.subscribe(() => {
    clearTimeout(timer); // it moved: it has not rested yet
    if (clock.t !== known && !clock.playing) timer = setTimeout(write, REST_MS);
  }, signal);
  store.on(
    "t",
    () => {
      const t = store.get("t");
      // Our own value coming back, or a hand on the clock: the hand wins.
      if (t === known || clock.playing) return;
      known = t;
      clock.seek(t);
    },
    signal,
  );
  const end = () => {
    clearTimeout(timer);
    clock.pause(); // nobody looks any more: no frame is asked for
  };
  signal.addEventListener("abort", end, { once: true });
}
