import { describe, expect, it } from "vitest";
import { axisClock } from "../src/scenes/axis_clock";
import {
  along,
  finiteLogSnr,
  gainSquared,
  gaussianFloor,
  logRange,
  meanOver,
  measured,
  nearest,
  shareOf,
  spiky,
  sum,
} from "../src/scenes/loss_profile";
import type { Clock } from "../src/core/store";

const COSINE = { name: "VPCosine", params: { s: 0.008 } };
const GEOMETRIC = { name: "Geometric", params: { sigma_min: 0.01, sigma_max: 50 } };

it("turns errors of x_0 into those of each face: a small change of x_0 at fixed x_t, written out", () => {
  const [alpha, x0, d] = [1, 0.3, 1e-6];
  const t = 0.4;
  const sigma = 0.01 * 5000 ** t; // Geometric's
  const xt = 0.7;
  const eps = (x: number) => (xt - alpha * x) / sigma;
  const faces = {
    x0: (x: number) => x,
    eps,
    v: (x: number) => alpha * eps(x) - sigma * x,
    score: (x: number) => -eps(x) / sigma,
  };
  for (const [face, said] of Object.entries(faces)) {
    const slope = (said(x0 + d) - said(x0 - d)) / (2 * d); // all are straight lines: exact but for rounding
    expect(gainSquared(face as never, GEOMETRIC, t) / slope ** 2).toBeCloseTo(1, 8);
  }
});

it("knows the floor of one Gaussian: between its variance, where only noise is left, and none at the data", () => {
  expect(gaussianFloor(COSINE, 0.7, 1)).toBeCloseTo(0.49, 8);
  expect(gaussianFloor(COSINE, 0.7, 0)).toBe(0);
  // where alpha = sigma on a variance-preserving schedule: s^2 / (s^2 + 1)
  const middle = along(finiteLogSnr(COSINE, [0.3, 0.4, 0.5, 0.6]), [0.3, 0.4, 0.5, 0.6], 0);
  expect(gaussianFloor(COSINE, 1, middle)).toBeCloseTo(0.5, 2);
});

describe("means over t", () => {
  it("are those of straight lines, whatever the distances of the levels", () => {
    const x = [0, 0.1, 0.5, 1];
    const line = { value: x.map((v) => 3 - 2 * v), error: [0, 0, 0, 0] };
    expect(meanOver(x, line).value).toBeCloseTo(2, 12);
  });
  it("have the error of independent levels", () => {
    const x = [0, 1, 2];
    const errors = { value: [0, 0, 0], error: [1, 1, 1] };
    expect(meanOver(x, errors).error).toBeCloseTo(Math.sqrt(0.25 + 1 + 0.25) / 2, 12);
  });
  it("give the share of the floor, with the error of a quotient", () => {
    const share = shareOf({ value: 3, error: 0.01 }, { value: 1, error: 0.02 });
    expect(share.value).toBe(0.75);
    const h = 1e-6;
    const f = (a: number, b: number) => a / (a + b);
    const [da, db] = [(f(3 + h, 1) - f(3 - h, 1)) / (2 * h), (f(3, 1 + h) - f(3, 1 - h)) / (2 * h)];
    expect(share.error).toBeCloseTo(Math.hypot(da * 0.01, db * 0.02), 9);
    expect(shareOf({ value: 0, error: 0 }, { value: 0, error: 0 })).toEqual({ value: 1, error: 0 });
  });
  it("multiply and add what was measured", () => {
    const part = measured([1, 0.3, 2, 0.4], [10, 100]);
    expect(part).toEqual({ value: [10, 200], error: [3, 40] });
    expect(sum(part, { value: [1, 1], error: [4, 30] })).toEqual({ value: [11, 201], error: [5, 50] });
  });
});

it("finds places along rising and falling axes, and keeps to their ends", () => {
  expect(along([0, 1, 3], [0, 10, 20], 2)).toBe(15);
  expect(along([3, 1, 0], [20, 10, 0], 2)).toBe(15);
  expect(along([0, 1, 3], [0, 10, 20], -1)).toBe(0);
  expect(along([0, 1, 3], [0, 10, 20], 9)).toBe(20);
  expect(along([3, 1, 0], [20, 10, 0], 9)).toBe(20);
  expect(along([0, 1, 1, 2], [0, 5, 6, 7], 1)).toBe(6);
  expect(nearest([0, 0.5, 1], 0.7)).toBe(1);
});

it("takes a logarithmic axis where one value is far above the others", () => {
  expect(spiky([1, 1, 1, 39])).toBe(false);
  expect(spiky([1, 1, 1, 41])).toBe(true);
  const [low, high] = logRange([1e-3, 2, 0, NaN]);
  expect(low).toBeLessThan(1e-3);
  expect(high).toBeGreaterThan(2);
  expect(logRange([1e-20, 1])[0]).toBeCloseTo(1.6e-8, 12);
  expect(logRange([0, -1])).toEqual([1e-4, 1]);
});

it("scrubs the one clock along another axis, and tells its followers when the axis changes", () => {
  const sought: number[] = [];
  const followers: (() => void)[] = [];
  const clock = {
    t: 0.25,
    playing: false,
    pace: 1,
    seek: (t: number) => void sought.push(t),
    play: () => {},
    pause: () => {},
    subscribe: (f: (c: Clock) => void) => void followers.push(() => f(clock as Clock)),
  };
  const places: number[] = [];
  let scale = 10;
  const seen = axisClock(
    clock as Clock,
    (t) => scale * t,
    (x) => x / scale,
  );
  const end = new AbortController();
  seen.subscribe((c) => places.push(c.t), end.signal);
  followers.forEach((f) => f());
  seen.seek(5);
  scale = 100;
  seen.moved();
  expect(sought).toEqual([0.5]);
  expect(places).toEqual([2.5, 25]);
  end.abort();
  seen.moved();
  expect(places.length).toBe(2);
  seen.pace = 0.2;
  expect(clock.pace).toBe(0.2);
});
