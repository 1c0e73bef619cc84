import { describe, expect, it } from "vitest";
import { barRange, type Bits } from "../src/scenes/bit_bars";
import { positions } from "../src/scenes/totals_strip";
import { barAt } from "../src/scenes/where_the_bits_go";

const bits = (optimal: number[], more: Partial<Bits> = {}): Bits => ({
  edges: Array.from({ length: optimal.length + 1 }, (_, i) => i / optimal.length),
  optimal,
  learned: null,
  learnedError: null,
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
});

it("barAt finds the bar under the clock, both ends included", () => {
  const edges = [0, 0.25, 0.5, 1];
  expect([0, 0.1, 0.25, 0.499, 0.5, 1].map((t) => barAt(edges, t))).toEqual([0, 0, 1, 1, 2, 2]);
});

it("the strip's marks keep the order and the ratios of the bounds", () => {
  const [entropy, optimal, learned] = positions([0.353, 0.361, 0.482]);
  expect((optimal - entropy) / (learned - entropy)).toBeCloseTo((0.361 - 0.353) / (0.482 - 0.353), 12);
  expect(entropy).toBeCloseTo(0.04, 12);
  expect(learned).toBeCloseTo(0.96, 12);
  expect(positions([0.3])).toEqual([0.5]);
});
