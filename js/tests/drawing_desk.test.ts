import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Store } from "../src/core/store";
import type { State } from "../src/scenes/draw_data";
import { DrawingDesk } from "../src/scenes/drawing_desk";
import { added } from "../src/scenes/drawn_ellipses";
import { encodePoints, type Points } from "../src/scenes/drawn_points";
import { FakeStore } from "./fake_store";

const points = (...xy: number[]): Points => ({
  xy: Float32Array.from(xy),
  classes: new Uint8Array(xy.length / 2),
});
const ring = added([], [1, 0]);

const frames: (() => void)[] = [];
const nextFrame = () => frames.splice(0).forEach((f) => f());

function desk(mode = "points") {
  const values = { mode, drawn: encodePoints(points(0, 0)), ellipses: ring, preset: "ring", scaled: 0.5 };
  const store = new FakeStore(values);
  const changes: boolean[] = [];
  const made = new DrawingDesk(
    store as Store as Store<State>,
    (fresh) => changes.push(fresh),
    new AbortController().signal,
  );
  const sent = () => store.sent.splice(0).map(([name]) => name);
  return { desk: made, store, changes, sent };
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("requestAnimationFrame", (f: () => void) => frames.push(f));
});
afterEach(() => {
  while (frames.length) nextFrame(); // the frame is one for all tests
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("the desk", () => {
  it("tells the kernel of a stroke once, and of nothing that did not change", () => {
    const { desk: drawn, sent } = desk();
    drawn.commit({ points: points(0, 0, 1, 1) });
    expect(sent()).toEqual(["drawn", "preset"]); // no preset any more
    drawn.commit({ points: points(0, 0, 1, 1, 2, 2) });
    expect(sent()).toEqual(["drawn"]);
    drawn.commit({ mode: "mixture" });
    expect(sent()).toEqual(["mode"]);
  });

  it("tells of a moving ellipse a few times a second, and always of the last place", () => {
    const { desk: drawn, store, sent } = desk("mixture");
    for (let i = 0; i < 60; i++) {
      drawn.show({ ellipses: [{ ...ring[0], mean: [i / 60, 0] }] });
      vi.advanceTimersByTime(1000 / 60);
    }
    // every 150 ms of one second
    expect(sent().filter((name) => name === "ellipses").length).toBeLessThanOrEqual(8);
    drawn.commit({ ellipses: drawn.now.ellipses });
    vi.advanceTimersByTime(200);
    expect((store.get("ellipses") as typeof ring)[0].mean[0]).toBe(59 / 60);
    drawn.undo();
    expect(drawn.now.ellipses).toBe(ring); // the whole drag is one step
  });

  it("undoes keys that follow each other as one, others one by one", () => {
    const { desk: drawn } = desk("mixture");
    const at = (x: number) => ({ ellipses: [{ ...ring[0], mean: [x, 0] as [number, number] }] });
    drawn.commit(at(1), "right");
    drawn.commit(at(2), "right");
    drawn.commit(at(3), "up");
    expect(drawn.now.ellipses[0].mean[0]).toBe(3);
    drawn.undo();
    expect(drawn.now.ellipses[0].mean[0]).toBe(2);
    drawn.undo();
    expect(drawn.now.ellipses).toBe(ring);
    expect(drawn.canUndo).toBe(false);
  });

  it("takes over what Python draws, which can be undone, and not its own words", () => {
    const { desk: drawn, store, changes, sent } = desk();
    drawn.commit({ points: points(1, 1) });
    nextFrame();
    expect(changes).toEqual([false]); // what it sent itself is no news
    sent();
    store.setLocal("drawn", encodePoints(points(2, 2, 3, 3)));
    store.setLocal("scaled", 2);
    nextFrame();
    expect(changes).toEqual([false, true]);
    expect(Array.from(drawn.now.points.xy)).toEqual([2, 2, 3, 3]);
    expect(drawn.now.scaled).toBe(2);
    expect(sent()).toEqual([]); // Python has it already
    drawn.undo();
    expect(Array.from(drawn.now.points.xy)).toEqual([1, 1]);
    expect(sent()).toEqual(["drawn", "scaled"]);
  });

  it("forgets a stroke that was none", () => {
    const { desk: drawn, store } = desk("mixture");
    drawn.show({ ellipses: [] });
    drawn.cancel();
    vi.advanceTimersByTime(200);
    expect(drawn.now.ellipses).toBe(ring);
    expect(store.get("ellipses")).toEqual(ring);
    expect(drawn.canUndo).toBe(false);
  });
});
