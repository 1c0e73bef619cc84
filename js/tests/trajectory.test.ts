import { describe, expect, it } from "vitest";
import { blendAt, nextTime, noise, pathOf, readTrajectory } from "../src/core/trajectory";

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
