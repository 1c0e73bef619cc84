import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createClock, linkClock } from "../src/core/clock";
import type { Store } from "../src/core/store";

/** Frames by hand: `run(ms)` moves the time on and calls what waits for a frame. */
function frames() {
  let waiting: ((now: number) => void)[] = [];
  let now = 0;
  return {
    frame: (f: (now: number) => void) => waiting.push(f),
    run(ms = 16) {
      now += ms;
      const due = waiting;
      waiting = [];
      due.forEach((f) => f(now));
      return due.length;
    },
  };
}

const forever = () => new AbortController().signal;

describe("clock", () => {
  it("calls a subscriber at once and then once a frame, however often it is moved", () => {
    const { frame, run } = frames();
    const clock = createClock({ t: 0.35, frame });
    const seen: number[] = [];
    clock.subscribe((c) => seen.push(c.t), forever());
    clock.seek(0.1);
    clock.seek(0.2);
    clock.seek(0.3);
    expect(seen).toEqual([0.35]);
    run();
    expect(seen).toEqual([0.35, 0.3]);
    expect(run()).toBe(0); // nothing runs while the clock stands
  });
  it("keeps t between 0 and 1", () => {
    const clock = createClock({ frame: frames().frame });
    clock.seek(1.7);
    expect(clock.t).toBe(1);
    clock.seek(-3);
    expect(clock.t).toBe(0);
    clock.seek(NaN);
    expect(clock.t).toBe(0);
  });
  it("plays one period from end to end by the time that passed, then stops", () => {
    const { frame, run } = frames();
    const clock = createClock({ t: 1, period: 2, frame });
    clock.play(-1);
    run(); // starts the watch
    for (let i = 0; i < 10; i++) run(100);
    expect(clock.t).toBeCloseTo(0.5, 12);
    for (let i = 0; i < 11; i++) run(100);
    expect(clock.t).toBe(0);
    expect(clock.playing).toBe(false);
    expect(run()).toBe(0);
  });
  it("plays as slowly as its pace says", () => {
    const { frame, run } = frames();
    const clock = createClock({ period: 2, frame });
    clock.pace = 0.2;
    clock.play(1);
    run();
    for (let i = 0; i < 10; i++) run(100);
    expect(clock.t).toBeCloseTo(0.1, 12); // a second of two, at a fifth
  });
  it("does not jump after a tab slept", () => {
    const { frame, run } = frames();
    const clock = createClock({ period: 10, frame });
    clock.play(1);
    run();
    run(60_000);
    expect(clock.t).toBeLessThanOrEqual(0.01 + 1e-12);
  });
  it("goes on when one subscriber throws, and says so", () => {
    const { frame, run } = frames();
    const errors: unknown[] = [];
    const clock = createClock({ frame, onError: (e) => errors.push(e) });
    let called = 0;
    clock.subscribe(() => {
      throw new Error("broken");
    }, forever());
    clock.subscribe(() => (called += 1), forever());
    clock.seek(0.5);
    run();
    expect(called).toBe(2);
    expect(errors).toHaveLength(2);
  });
  it("forgets a subscriber whose signal aborts", () => {
    const { frame, run } = frames();
    const clock = createClock({ frame });
    const controller = new AbortController();
    let called = 0;
    clock.subscribe(() => (called += 1), controller.signal);
    controller.abort();
    clock.seek(0.5);
    run();
    expect(called).toBe(1);
  });
});

describe("the link to the kernel", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function storeOfT(t: number) {
    const writes: number[] = [];
    let listener = () => {};
    const state = { t };
    const store = {
      get: () => state.t,
      set: (_: string, value: number) => writes.push((state.t = value)),
      on: (_: string, f: () => void) => (listener = f),
    } as unknown as Store;
    const fromKernel = (value: number) => {
      state.t = value;
      listener();
    };
    return { store, writes, fromKernel };
  }

  it("starts at the kernel's t, writes nothing while a hand scrubs, and the last value once it rests", () => {
    const { frame, run } = frames();
    const clock = createClock({ frame });
    const { store, writes } = storeOfT(0.4);
    linkClock(store, clock, forever());
    expect(clock.t).toBe(0.4);
    for (let i = 1; i <= 60; i++) {
      clock.seek(0.4 + i / 1000);
      run();
      vi.advanceTimersByTime(1000 / 60);
    }
    expect(writes).toEqual([]);
    vi.advanceTimersByTime(1000);
    expect(writes).toEqual([0.46]);
    vi.advanceTimersByTime(10_000);
    expect(writes).toEqual([0.46]);
  });
  it("writes nothing while it plays, and where it stopped", () => {
    const { frame, run } = frames();
    const clock = createClock({ frame, period: 2 });
    const { store, writes } = storeOfT(0);
    linkClock(store, clock, forever());
    clock.play(1);
    run();
    for (let i = 0; i < 60; i++) {
      run(1000 / 60);
      vi.advanceTimersByTime(1000 / 60);
    }
    expect(clock.t).toBeCloseTo(0.5, 12);
    expect(writes).toEqual([]);
    clock.pause();
    run();
    vi.advanceTimersByTime(1000);
    expect(writes).toEqual([clock.t]);
  });
  it("writes nothing after the scene was closed", () => {
    const { frame, run } = frames();
    const clock = createClock({ frame });
    const { store, writes } = storeOfT(0);
    const closing = new AbortController();
    linkClock(store, clock, closing.signal);
    clock.seek(0.3);
    run();
    closing.abort();
    vi.advanceTimersByTime(1000);
    expect(writes).toEqual([]);
  });
  it("follows the kernel, but not while it plays", () => {
    const { frame, run } = frames();
    const clock = createClock({ frame });
    const { store, fromKernel } = storeOfT(0);
    linkClock(store, clock, forever());
    fromKernel(0.7);
    expect(clock.t).toBe(0.7);
    clock.play(1);
    run();
    fromKernel(0.1);
    expect(clock.t).toBe(0.7);
  });
});
