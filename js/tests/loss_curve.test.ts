import { expect, it } from "vitest";
import { curveOf, excessRange, scatter, smoothed } from "../src/scenes/loss_curve";
import { mainAction, stateWords } from "../src/scenes/training_controls";

it("reads a curve from the wire", () => {
  expect(curveOf([1, 0.5, 2, 0.25])).toEqual({ steps: [1, 2], losses: [0.5, 0.25] });
  expect(curveOf(null)).toEqual({ steps: [], losses: [] });
});

it("averages neighbours evenly, so that a straight line stays where it is", () => {
  const line = Array.from({ length: 20 }, (_, i) => 5 - i);
  smoothed(line, 9).forEach((v, i) => expect(v).toBeCloseTo(line[i], 12));
  expect(smoothed([0, 3, 0], 3)).toEqual([0, 1, 0]);
  expect(smoothed([1, 2, 3], 1)).toEqual([1, 2, 3]);
  expect(smoothed([], 9)).toEqual([]);
});

it("knows how much the mean of neighbours is scattered by, and takes no slope for it", () => {
  // a fixed sequence of 4,000 numbers of standard deviation 0.1 on a slope: 5 % of the estimate is its own error, threefold
  let seed = 1;
  const uniform = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const values = Array.from({ length: 4000 }, (_, i) => 1 - 1e-4 * i + 0.1 * Math.sqrt(12) * (uniform() - 0.5));
  expect(scatter(values, 1) / 0.1).toBeCloseTo(1, 1);
  expect(scatter(values, 9) / (0.1 / 3)).toBeCloseTo(1, 1);
  expect(scatter([1, 2, 3], 1)).toBeNaN();
  expect(scatter([2, 2, 2, 2], 1)).toBe(0);
});

it("holds the scatter inside the axis of the excess, and no more below it", () => {
  const [low, high] = excessRange([1, 0.1, -0.2], 0.01);
  expect(low).toBe(0.005);
  expect(high).toBe(1.5);
  expect(excessRange([], NaN)).toEqual([1e-3, 1]);
  expect(excessRange([1, 0.5], NaN)[0]).toBeCloseTo(0.5 / 1.5);
  expect(excessRange([1], 5)[0]).toBe(0.075); // an excess within the scatter is shown all the same
});

it("names the one button by what it does", () => {
  expect(mainAction("idle", "Run")).toEqual({ label: "Run", request: "start" });
  expect(mainAction("running", "Run").label).toBe("Pause");
  expect(mainAction("paused", "Run")).toEqual({ label: "Resume", request: "resume" });
  expect(mainAction("finished", "Run").label).toBe("Run again");
  expect(stateWords("paused", 1234, 0)).toBe("paused · step 1,234");
});
