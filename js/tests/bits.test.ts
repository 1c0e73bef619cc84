import { describe, expect, it } from "vitest";
import { SNR_AXIS, STEP_AXIS, placeOfTime, timeOfPlace } from "../src/scenes/bit_axis";
import { barRange, heightsOf, type Bits } from "../src/scenes/bit_bars";
import { barAt } from "../src/scenes/bit_state";
import { binEnds, carried, chainBits, density, mmseAt, type About, type Curve } from "../src/scenes/optimal_terms";
import { positions, roundUp } from "../src/scenes/totals_strip";

const bits = (optimal: number[], more: Partial<Bits> = {}): Bits => ({
  axis: STEP_AXIS,
  view: "learned",
  edges: Array.from({ length: optimal.length + 1 }, (_, i) => i / optimal.length),
  optimal,
  least: null,
  learned: null,
  learnedError: null,
  gap: null,
  gapError: null,
  carried: false,
  curveTop: 0,
  L_0: null,
  L_T: null,
  unit: "nats/dim",
  steps: 1000,
  totals: {},
  ...more,
});

describe("barRange", () => {
  it("shows every bar when none dwarfs the others, learned ones too", () => {
    expect(barRange(bits([0.2, 0.3, 0.25]))).toEqual([0, 0.4]);
    expect(barRange(bits([0.2, 0.3, 0.25], { learned: [0.2, 0.45, 0.2] }))).toEqual([0, 0.5]);
  });
  it("cuts up to three that do", () => {
    const [, top] = barRange(bits([2.2, 0.31, 0.11, 0.06, 0.05, 0.05]));
    expect(top).toBeGreaterThan(0.11);
    expect(top).toBeLessThan(0.31);
    expect(barRange(bits([1000, 100, 10, 1, 0.1, 0.01]))[1]).toBeGreaterThanOrEqual(1); // a fourth is not cut
  });
  it("makes room below for a negative L_0 without letting it set the scale", () => {
    const [low, high] = barRange(bits([0.2, 0.3], { L_0: { optimal: -3.6, learned: null } }));
    expect([low, high]).toEqual([-0.12 * 0.4, 0.4]);
  });
  it("shows bars below zero to their ends", () => {
    expect(barRange(bits([0.2, -0.3]))[0]).toBeLessThanOrEqual(-0.3);
  });
  it("rests while training moves the bars a little", () => {
    const tops = [0.301, 0.305, 0.32, 0.35].map((v) => barRange(bits([0.2, v]))[1]);
    expect(new Set(tops).size).toBe(1);
  });
  it("shows the gap alone, with its whiskers and that of L_0", () => {
    const gap = { view: "gap", gap: [0.018, 0.02], gapError: [0.018, 0.018] } as const;
    expect(barRange(bits([5, 7], gap))[1]).toBe(0.04);
    expect(barRange(bits([5, 7], { ...gap, L_0: { optimal: -3, learned: -2.94, gap: 0.06 } }))[1]).toBe(0.08);
    expect(heightsOf(bits([5, 7], gap))).toEqual({
      optimal: Float64Array.of(0, 0),
      learned: Float64Array.of(0.018, 0.02),
    });
  });
  it("has room for the curve that stands over the bars", () => {
    expect(barRange(bits([0.1, 0.2], { axis: SNR_AXIS, curveTop: 0.5 }))[1]).toBeCloseTo(0.6, 12);
  });
});

it("barAt finds the bar under the clock, both ends included", () => {
  const edges = [0, 0.25, 0.5, 1];
  expect([0, 0.1, 0.25, 0.499, 0.5, 1].map((t) => barAt(edges, t))).toEqual([0, 0, 1, 1, 2, 2]);
});

describe("the strip", () => {
  it("keeps the order and the ratios of the bounds", () => {
    const [entropy, optimal, learned] = positions([0.353, 0.361, 0.482]);
    expect((optimal - entropy) / (learned - entropy)).toBeCloseTo((0.361 - 0.353) / (0.482 - 0.353), 12);
    expect(entropy).toBeCloseTo(0.04, 12);
    expect(learned).toBeCloseTo(0.96, 12);
    expect(positions([0.3])).toEqual([0.5]);
  });
  it("holds the entropy where it is while a bound moves", () => {
    const seen = [0.36, 0.38, 0.41].map((v) => positions([0.353, v], 0.1));
    expect(new Set(seen.map(([entropy]) => entropy))).toEqual(new Set([0.04]));
    expect(seen[2][1]).toBeCloseTo(0.04 + 0.92 * 0.57, 12);
    expect(positions([0.353, 0.35], 0.1)[1]).toBeLessThan(0.04); // a sum below it, by noise
    expect(positions([0.353], 0)).toEqual([0.04]);
    expect([0.0012, 0.057, 0.99, 1].map((v) => roundUp(v))).toEqual([0.0015, 0.1, 1, 1]);
  });
});

/** A Gaussian of variance v in D dimensions: mmse = D v / (1 + v SNR), and every term in closed form. */
function gaussian(v: number, dim: number): { curve: Curve; about: About } {
  const logSnr = Float64Array.from({ length: 96 }, (_, i) => -12 + (28 * i) / 95);
  const mse = logSnr.map((l) => (dim * v) / (1 + v * Math.exp(l)));
  const error = new Float64Array(96).fill(0);
  return { curve: { logSnr, mse, error }, about: { dim, variance: v, second_moment: v, half_range: null } };
}
/** Betas that hardly change: near the data sigma^2 grows like k. */
const steady = { name: "VPSong", params: { beta_min: 10, beta_max: 10.01 } };
const cosine = { name: "VPCosine", params: { s: 0.008 } };

describe("the terms read from the mmse curve", () => {
  it("interpolates a Gaussian's exactly, also beyond its ends", () => {
    const { curve, about } = gaussian(0.3, 2);
    for (const l of [-20, -11.9, -0.123, 4.567, 15.9, 18]) {
      const exact = 0.6 / (1 + 0.3 * Math.exp(l));
      expect(mmseAt(curve, about, [l])[0] / exact).toBeCloseTo(1, 11);
      expect(density(curve, about, [l])[0] / ((Math.exp(l) * exact) / 4)).toBeCloseTo(1, 11);
    }
  });
  it("sums to the entropy of a Gaussian where the variance is the best: its reverse steps are Gaussians", () => {
    const entropy = (v: number) => Math.log(2 * Math.PI * Math.E * v) / 2;
    for (const [schedule, steps] of [
      [cosine, 10],
      [cosine, 1000],
      [{ name: "VPLinear", params: { beta_min: 1e-4, beta_max: 0.02 } }, 1000],
    ] as const) {
      const { curve, about } = gaussian(1, 3);
      const found = chainBits(curve, about, schedule, steps, "optimal", 7);
      // what is lost is KL(q(x_T) || prior) alone, 0 for data of variance 1
      expect(found.total).toBeCloseTo(entropy(1), 9);
      expect(found.total).toBeCloseTo(found.L_T + found.L_0! + found.optimal.reduce((a, b) => a + b), 12);
    }
  });
  it("lets the small variance cost half of Euler's constant on a density, whatever its width", () => {
    const { curve, about } = gaussian(1, 2);
    const costs = [2000, 4000].map((steps) => {
      const [small, best] = (["small", "optimal"] as const).map((v) => chainBits(curve, about, steady, steps, v, 40));
      return small.total - best.total;
    });
    // the limit of many steps: by Richardson's rule what is left of order 1/T goes, but for its logarithm
    expect(2 * costs[1] - costs[0]).toBeCloseTo(0.5772156649 / 2, 2);
  });
  it("groups the steps and loses none", () => {
    const { curve, about } = gaussian(0.3, 2);
    const sums = [1, 7, 40, 199].map((bins) =>
      chainBits(curve, about, cosine, 200, "large", bins).optimal.reduce((a, b) => a + b),
    );
    for (const sum of sums) expect(sum).toBeCloseTo(sums[0], 10);
  });
  it("groups them as torch does, halves to even", () => {
    expect(binEnds(1000, 40).slice(19, 22)).toEqual([476, 500, 525]); // 475.525, 500.5, 525.475
    expect(binEnds(5, 40)).toEqual([1, 2, 3, 4, 5]);
    expect(binEnds(1, 40)).toEqual([1]);
  });
  it("never lies below the same chain with the best variance", () => {
    const { curve, about } = gaussian(0.3, 2);
    for (const v of ["large", "small", "ddpm_large", "ddpm_small"] as const) {
      const { optimal, least } = chainBits(curve, about, cosine, 50, v, 49);
      optimal.forEach((value, i) => expect(value).toBeGreaterThanOrEqual(least[i] - 1e-12));
    }
  });
  it("refuses DDPM's rule in a chain of one step, and draws one otherwise", () => {
    const { curve, about } = gaussian(0.3, 2);
    expect(() => chainBits(curve, about, cosine, 1, "ddpm_large", 40)).toThrow("one step");
    expect(chainBits(curve, about, cosine, 1, "large", 40).optimal.length).toBe(0);
  });
});

it("what is carried over keeps its sum where the new bins cover the old", () => {
  const found = carried([10, 4, 0, -6], [3, 2, 1], [12, 5, 1, -3, -8]);
  expect(found.reduce((a, b) => a + b)).toBeCloseTo(6, 12);
  expect(found[0]).toBeCloseTo((3 * 5) / 6, 12);
  expect(carried([10, 0], [1], [5, 0])[0]).toBeCloseTo(0.5, 12);
});

it("a place on the log-SNR axis and the time there are one thing said twice", () => {
  for (const t of [0.01, 0.3, 0.77]) {
    const place = placeOfTime(SNR_AXIS, cosine, t);
    expect(timeOfPlace(SNR_AXIS, cosine, place)).toBeCloseTo(t, 9);
  }
  expect(placeOfTime(SNR_AXIS, cosine, 0)).toBeLessThan(SNR_AXIS.data); // data itself lies beyond the axis
  expect(placeOfTime(STEP_AXIS, cosine, 0.4)).toBe(0.4);
});
