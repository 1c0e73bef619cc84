import { describe, expect, it } from "vitest";
import { arrow, DataPlace, History, OneHand, Stepper } from "../src/core/drawing";

describe("one hand draws at a time", () => {
  it("lets the first pointer draw and ignores a second one", () => {
    const one = new OneHand();
    expect(one.down(1, "touch", 0)).toBe("begin");
    expect(one.down(2, "touch", 10)).toBe("ignore");
    expect(one.down(3, "mouse", 10)).toBe("ignore");
    expect([one.owns(1), one.owns(2)]).toEqual([true, false]);
    one.release();
    expect(one.down(2, "touch", 20)).toBe("begin");
  });

  it("takes a touch for a palm while a pen draws, and for half a second after", () => {
    const one = new OneHand();
    expect(one.down(1, "pen", 0)).toBe("begin");
    expect(one.down(2, "touch", 5)).toBe("ignore");
    one.sawPen(1000);
    one.release();
    expect(one.down(3, "touch", 1499)).toBe("ignore");
    expect(one.down(4, "touch", 1500)).toBe("begin");
  });

  it("gives a pen the stroke that a palm began, but no mouse's", () => {
    const one = new OneHand();
    one.down(1, "touch", 0);
    expect(one.down(2, "pen", 5)).toBe("replace");
    expect([one.owns(1), one.owns(2)]).toEqual([false, true]);
    one.release();
    one.down(3, "mouse", 10);
    expect(one.down(4, "pen", 11)).toBe("ignore");
  });
});

describe("places along a stroke", () => {
  it("are equally far apart, whatever the events", () => {
    // the same way of length 10 in 1, 7 and 1000 events: floor(10 / 0.3) = 33 places after the first
    for (const events of [1, 7, 1000]) {
      const stepper = new Stepper(0.3);
      const places = [...stepper.to(0, 0)];
      for (let i = 1; i <= events; i++) places.push(...stepper.to((6 * i) / events, (8 * i) / events));
      expect(places.length, `${events} events`).toBe(34);
      places.forEach(([x, y], i) => {
        // rounding of `gone` adds up to at most one part in 2^52 an event
        expect(x).toBeCloseTo(0.6 * 0.3 * i, 10);
        expect(y).toBeCloseTo(0.8 * 0.3 * i, 10);
      });
    }
  });

  it("are none where the hand rests", () => {
    const stepper = new Stepper(0.3);
    stepper.to(1, 1);
    expect(stepper.to(1, 1)).toEqual([]);
  });
});

describe("data units", () => {
  it("come back to the pixel they came from", () => {
    const place = new DataPlace({ x0: 400, y0: 300, scale: 120 }, 2);
    expect(place.toData({ x: 200, y: 150 })).toEqual([0, 0]);
    expect(place.toData({ x: 260, y: 90 })).toEqual([1, 1]); // y upwards
    expect(place.toPixels(1, 1)).toEqual({ x: 260, y: 90 });
    expect(place.length(60)).toBe(1);
  });
});

describe("history", () => {
  it("goes back and forth, and forgets what was undone when something new is drawn", () => {
    const history = new History("a");
    expect([history.canUndo, history.undo()]).toEqual([false, "a"]);
    history.push("b");
    history.push("c");
    expect([history.undo(), history.undo(), history.canUndo]).toEqual(["b", "a", false]);
    expect([history.redo(), history.now, history.canRedo]).toEqual(["b", "b", true]);
    history.push("d");
    expect([history.canRedo, history.redo(), history.undo()]).toEqual([false, "d", "b"]);
  });

  it("keeps no more than it may", () => {
    const history = new History(0, 3);
    for (let i = 1; i <= 10; i++) history.push(i);
    for (let i = 0; i < 10; i++) history.undo();
    expect(history.now).toBe(7);
  });
});

it("knows the arrows", () => {
  expect(arrow("ArrowUp")).toEqual([0, 1]); // y upwards
  expect(arrow("a")).toBeNull();
});
