import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { beforePaint, onNextFrame, paintSoon, unpainted } from "../src/core/frame";

describe("a frame", () => {
  let waiting: ((now: number) => void)[] = [];
  const run = (now = 0) => {
    const due = waiting;
    waiting = [];
    due.forEach((f) => f(now));
    return due.length;
  };
  beforeEach(() => {
    waiting = [];
    vi.stubGlobal("requestAnimationFrame", (f: (now: number) => void) => waiting.push(f));
  });
  afterEach(() => void vi.unstubAllGlobals());

  it("paints what changed in it, once, and asks for no other", () => {
    const done: string[] = [];
    const paint = () => done.push("paint");
    beforePaint((now) => {
      done.push(`t = ${now}`);
      paintSoon(paint);
      paintSoon(paint);
    });
    expect(run(16)).toBe(1);
    expect(done).toEqual(["t = 16", "paint"]);
    expect(run()).toBe(0);
  });
  it("leaves what asks again, while it changes or paints, to the next", () => {
    let count = 0;
    const again = () => {
      count += 1;
      if (count < 3) beforePaint(again);
    };
    beforePaint(again);
    expect([run(), run(), run(), run()]).toEqual([1, 1, 1, 0]);
    const paint = () => {
      count += 1;
      if (count < 5) paintSoon(paint);
    };
    paintSoon(paint);
    expect([run(), run(), run()]).toEqual([1, 1, 0]);
  });
  it("forgets a painting that nobody wants any more", () => {
    let painted = 0;
    const paint = () => (painted += 1);
    paintSoon(paint);
    unpainted(paint);
    run();
    expect(painted).toBe(0);
  });
  it("goes on when one throws, and says so", () => {
    const errors: unknown[] = [];
    vi.stubGlobal("reportError", (e: unknown) => errors.push(e));
    let painted = false;
    beforePaint(() => {
      throw new Error("broken");
    });
    paintSoon(() => (painted = true));
    run();
    expect(painted).toBe(true);
    expect(errors).toHaveLength(1);
  });
  it("draws once however many traits changed, and not after the end", () => {
    let drawn = 0;
    const end = new AbortController();
    const redraw = onNextFrame(() => (drawn += 1), end.signal);
    redraw();
    redraw();
    run();
    expect(drawn).toBe(1);
    redraw();
    end.abort();
    run();
    expect(drawn).toBe(1);
  });
});
