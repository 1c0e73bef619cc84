import { describe, expect, it } from "vitest";
import { fatesOf, halfTime } from "../src/core/fate";
import { alphaSigma } from "../src/core/schedule";
import { blendAt, nextTime, noise, pathOf, readTrajectory } from "../src/core/trajectory";
import { stripLayout, stripTimes } from "../src/scenes/image_strip";
import { isCurrent, nameOf, shortNames, shownColumns, type Column, type Run } from "../src/scenes/reverse_runs";

const times = Float32Array.of(1, 0.75, 0.25, 0);
const wireTimes = { dtype: "float32", shape: [4], data: times };
// one sample whose x is 10 times the frame's time and whose y is the frame's index
const frames = { dtype: "float16", shape: [4, 1, 2], data: Float32Array.of(10, 0, 7.5, 1, 2.5, 2, 0, 3) };

describe("trajectory", () => {
  it("finds the two frames around a time", () => {
    expect(blendAt(times, 1)).toEqual({ before: 0, after: 0, u: 0 });
    expect(blendAt(times, 0)).toEqual({ before: 3, after: 3, u: 0 });
    expect(blendAt(times, 0.5)).toEqual({ before: 1, after: 2, u: 0.5 });
    expect(blendAt(times, 0.75)).toEqual({ before: 0, after: 1, u: 1 });
    expect(blendAt(Float32Array.of(0.9), 0.3)).toEqual({ before: 0, after: 0, u: 0 });
  });
  it("interpolates a path linearly in time, from its start or from a time on", () => {
    const run = readTrajectory(wireTimes, frames)!;
    expect([...pathOf(run, 0, 0.5)]).toEqual([10, 0, 7.5, 1, 5, 1.5]);
    expect([...pathOf(run, 0, 0.125, 0.5)]).toEqual([5, 1.5, 2.5, 2, 1.25, 2.5]);
    expect([...pathOf(run, 0, 1, 1.2)]).toEqual([10, 0]);
  });
  it("shows a path as the point left it in a view that grows", () => {
    const run = readTrajectory(wireTimes, frames)!;
    // at t = 1 four times as much is seen as at 0.5
    expect([...pathOf(run, 0, 0.5, Infinity, (t) => 4 ** (2 * t - 1))]).toEqual([2.5, 0, 3.75, 0.5, 5, 1.5]);
  });
  it("steps to the next kept frame towards data", () => {
    expect(nextTime(times, 1)).toBe(0.75);
    expect(nextTime(times, 0.5)).toBe(0.25);
    expect(nextTime(times, 0)).toBe(0);
    expect(nextTime(new Float32Array(), 0.4)).toBe(0);
  });
  it("waits until times and frames fit", () => {
    expect(readTrajectory(null, frames)).toBe(null);
    expect(readTrajectory({ ...wireTimes, shape: [3] }, frames)).toBe(null);
  });
});

describe("noise before the first run", () => {
  it("is standard normal and repeats with its seed", () => {
    const n = 50_000;
    const z = noise(n, 2, 7);
    const mean = z.reduce((s, v) => s + v, 0) / z.length;
    const variance = z.reduce((s, v) => s + v * v, 0) / z.length;
    // five standard errors: 5 / sqrt(2n) and 5 sqrt(2 / (2n))
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(2 * n));
    expect(Math.abs(variance - 1)).toBeLessThan(5 / Math.sqrt(n));
    expect(noise(10, 2, 7)).toEqual(z.slice(0, 20));
    expect(noise(10, 2, 8)).not.toEqual(z.slice(0, 20));
  });
});

describe("fate", () => {
  const schedule = { name: "VPCosine", params: { s: 0.008 } };
  // two equal modes at x = -1 and x = 1 of variance 0.01
  const mixture = {
    weights: Float64Array.of(0.5, 0.5),
    means: Float64Array.of(-1, 0, 1, 0),
    covariances: Float64Array.of(0.01, 0, 0, 0.01, 0.01, 0, 0, 0.01),
  };
  /** p(1 | x_t) = 1 / (1 + exp(-2 alpha x / S)), S = 0.01 alpha^2 + sigma^2: above 0.95 from x = S ln 19 / (2 alpha) on. */
  const border = (t: number) => {
    const { alpha, sigma } = alphaSigma(schedule, t);
    return ((0.01 * alpha ** 2 + sigma ** 2) * Math.log(19)) / (2 * alpha);
  };
  const run = (frameTimes: number[], xs: number[][]) => ({
    times: Float32Array.from(frameTimes),
    frames: Float32Array.from(xs.flat().flatMap((x) => [x, 0.3])),
    samples: xs[0].length,
    dim: 2,
  });
  it("is decided where Bayes' rule says so, for either mode", () => {
    const t = Math.fround(0.4);
    const b = border(t);
    const found = fatesOf(
      run(
        [t, 0],
        [
          [b + 1e-4, b - 1e-4, -b - 1e-4, -b + 1e-4, b + 1],
          [1, 1, -1, -1, -1],
        ],
      ),
      mixture,
      schedule,
    );
    expect([...found.ends]).toEqual([1, 1, 0, 0, 0]);
    // the last one was on its way to the other mode
    expect([...found.decided]).toEqual([1, 0, 1, 0, 0, 1, 1, 1, 1, 1]);
    expect([...found.shares]).toEqual([0.4, 1]);
  });
  it("has its half time between the frames, and after the last time that it was below", () => {
    const at = (shares: number[]) => halfTime(Float32Array.of(1, 0.75, 0.5, 0.25, 0), Float64Array.from(shares));
    expect(at([0, 0, 0.25, 0.75, 1])).toBeCloseTo(0.375, 12);
    expect(at([0, 0.6, 0.4, 0.6, 1])).toBeCloseTo(0.375, 12);
    expect(at([0.5, 1, 1, 1, 1])).toBe(1);
    expect(at([0, 0, 0, 0, 0.4])).toBe(null);
    expect(halfTime(new Float32Array(), new Float64Array())).toBe(null);
  });
});

describe("columns of runs", () => {
  const run: Run = { sampler: "DDIM", steps: 20, of: "exact" };
  const column = (index: number, of: Run["of"], sampled: boolean): Column => ({
    index,
    run: { ...run, of },
    result: sampled ? ({ run: { ...run, of } } as Column["result"]) : null,
    trajectory: sampled ? { times: Float32Array.of(0), frames: new Float32Array(2), samples: 1, dim: 2 } : null,
    live: null,
  });
  const indices = (columns: Column[]) => columns.map((c) => c.index);
  it("are shown when they have samples; the noise stands for the exact one", () => {
    expect(indices(shownColumns([column(0, "exact", false), column(1, "learned", false)], 0))).toEqual([0]);
    expect(indices(shownColumns([column(0, "exact", false), column(1, "learned", true)], 0))).toEqual([0, 1]);
    expect(indices(shownColumns([column(0, "learned", false)], 0))).toEqual([0]);
    expect(indices(shownColumns([column(0, "exact", true), column(1, "exact", true)], 2))).toEqual([1]);
    // a column that is gone shows the others
    expect(indices(shownColumns([column(0, "exact", true)], 3))).toEqual([0]);
  });
  it("are current while the controls say what was run", () => {
    const one = column(0, "exact", true);
    expect(isCurrent([one])).toBe(true);
    expect(isCurrent([{ ...one, run: { of: "exact", steps: 20, sampler: "DDIM", knobs: {} } }])).toBe(true);
    expect(isCurrent([{ ...one, run: { ...run, steps: 21 } }])).toBe(false);
    expect(isCurrent([{ ...one, run: { ...run, knobs: { eta: 0.5 } } }])).toBe(false);
  });
  it("are told apart by the fewest words", () => {
    const samplers = [{ name: "DDIM", label: "DDIM" }];
    const [exact, learned] = [column(0, "exact", true), column(1, "learned", true)];
    const heun = { ...column(1, "exact", false), run: { ...run, sampler: "Heun" } };
    expect(shortNames([exact, learned], samplers)).toEqual(["exact", "learned"]);
    expect(shortNames([exact, heun], samplers)).toEqual(["DDIM", "Heun"]);
    expect(shortNames([exact, heun, { ...learned, index: 2 }], samplers)).toEqual([
      "exact DDIM",
      "exact Heun",
      "learned DDIM",
    ]);
    expect(shortNames([exact, column(1, "exact", true)], samplers)).toEqual(["1", "2"]);
  });
  it("are named with what was turned", () => {
    const samplers = [{ name: "DDIM", label: "DDIM" }];
    expect(nameOf({ ...run, knobs: { eta: 0.5 } }, samplers, "steps")).toBe("DDIM, eta 0.5 · 20 steps");
    expect(nameOf({ ...run, steps: 1 }, samplers, "evaluations")).toBe("DDIM · 1 evaluation");
  });
});

describe("an image over time", () => {
  it("runs from data to noise", () => {
    expect(stripTimes(5)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(stripTimes(1)).toEqual([0]);
  });
  it("fits into its canvas", () => {
    for (const [width, height] of [
      [900, 300],
      [340, 200],
      [205, 170],
      [60, 60],
    ] as const)
      for (const ratio of [1, 2]) {
        const surface = { width: width * ratio, height: height * ratio, ratio };
        const { columns, rows, scale, gap, x, count } = stripLayout(surface, [8, 8], 10);
        expect(columns * 8 * scale + (columns - 1) * gap + x).toBeLessThanOrEqual(surface.width);
        if (rows > 1) expect(rows * (8 * scale + gap)).toBeLessThanOrEqual(surface.height);
        expect(count).toBe(rows * columns);
      }
  });
});
