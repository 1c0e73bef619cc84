import { describe, expect, it } from "vitest";
import { logTicks } from "../src/scenes/log_ticks";
import { aligned, curvesOf, lossRange } from "../src/scenes/run_comparison";
import { lowest, strokeOf, type RunRow } from "../src/scenes/run_table";

const row = (loss: number | null): RunRow => ({
  name: "a",
  state: "running",
  step: 1,
  loss,
  error: null,
  excess: null,
  speed: null,
  differs: "",
  note: "",
});

it("sorts the rows of the wire to their runs", () => {
  const data = new Float32Array([0, 10, 1, 0, 20, 0.5, 2, 10, 3]);
  expect(curvesOf({ shape: [3, 3], data } as never, 3)).toEqual([
    { steps: [10, 20], losses: [1, 0.5] },
    { steps: [], losses: [] },
    { steps: [10], losses: [3] },
  ]);
  expect(curvesOf(null, 1)).toEqual([{ steps: [], losses: [] }]);
});

it("puts curves of different steps on one axis, each straight between its own points", () => {
  const [steps, one, two, none] = aligned([
    { steps: [0, 10], losses: [4, 2] },
    { steps: [5, 20], losses: [1, 4] },
    { steps: [], losses: [] },
  ]);
  expect(steps).toEqual([0, 5, 10, 20]);
  expect(one).toEqual([4, 3, 2, null]); // no further than it went
  expect(two).toEqual([null, 1, 2, 4]);
  expect(none).toEqual([null, null, null, null]);
});

describe("the loss axis", () => {
  const curves = [
    { steps: [1, 2], losses: [1, 0.01] },
    { steps: [1], losses: [0.1] },
  ];
  it("holds every positive loss when it is logarithmic", () => {
    const [low, high] = lossRange(curves, "log");
    expect(low).toBeLessThan(0.01);
    expect(low).toBeGreaterThan(0.005);
    expect(high).toBeGreaterThanOrEqual(1);
    expect(lossRange([{ steps: [1], losses: [-1] }], "log")).toEqual([0.1, 1]);
    expect(lossRange([], "log")).toEqual([0.1, 1]);
  });
  it("begins at zero, or at the lowest loss below it, when it is linear", () => {
    expect(lossRange(curves, "linear")[0]).toBe(0);
    expect(lossRange([{ steps: [1], losses: [-2] }], "linear")[0]).toBe(-2);
    const [low, high] = lossRange([], "linear");
    expect(high).toBeGreaterThan(low);
  });
  it("has round ticks within it", () => {
    expect(logTicks(0.009, 1.1)).toEqual([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]);
    expect(logTicks(1e-5, 1)).toEqual([1e-5, 1e-4, 1e-3, 0.01, 0.1, 1]);
    const close = logTicks(0.3, 0.35);
    expect(close.length).toBeGreaterThanOrEqual(2);
    for (const tick of close) expect(tick).toBeGreaterThanOrEqual(0.3);
  });
});

it("tells 24 runs apart, the first six by their colour alone", () => {
  const strokes = Array.from({ length: 24 }, (_, i) => JSON.stringify(strokeOf(i)));
  expect(new Set(strokes).size).toBe(24);
  expect(strokeOf(0)).toEqual({ colour: "learned" });
  for (let i = 0; i < 6; i++) expect(strokeOf(i).dash).toBeUndefined();
});

it("names the lowest loss among those that are known", () => {
  expect(lowest([row(0.3), row(null), row(0.2)])).toBe(2);
  expect(lowest([row(null)])).toBe(-1);
  expect(lowest([])).toBe(-1);
});
