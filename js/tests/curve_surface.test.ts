import { describe, expect, it } from "vitest";
import { nearest, pulled, stroked } from "../src/core/curve_surface";
import { FORMULAS } from "../src/core/schedule_formulas";

const RANGE = [-16, 16] as const;
const times = [0.1, 0.4, 0.7, 1];
const falls = (values: readonly number[]) => values.every((v, i) => i === 0 || v < values[i - 1]);

describe("a curve that can only fall", () => {
  it("goes where it is led, and its neighbours give way", () => {
    expect(pulled([3, 1, -1, -3], 2, 2, RANGE)).toEqual([3, 2.05, 2, -3]);
    expect(pulled([3, 1, -1, -3], 1, -5, RANGE)).toEqual([3, -5, -5.05, -5.1]);
  });

  it("falls within its range wherever any knot is led", () => {
    for (let i = 0; i < 4; i++)
      for (const value of [-1e9, -16, 0, 16, 1e9]) {
        const values = pulled([3, 1, -1, -3], i, value, RANGE);
        expect(falls(values), `${values}`).toBe(true);
        expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(16);
        expect(FORMULAS.Tabulated.wrong({ values, t: times })).toBe("");
      }
  });

  it("follows a stroke through every knot it passes, both ways, and the knot under the hand wins", () => {
    const flat = { times, values: [0.15, 0.1, 0.05, 0] };
    const down = stroked(flat, [0, 8], [1, -8], RANGE);
    times.forEach((t, i) => expect(down[i]).toBeCloseTo(8 - 16 * t, 9));
    // upwards from left to right it cannot be followed: each knot that is led pushes those before it up
    const up = stroked(flat, [0.35, -4], [0.75, 4], RANGE);
    expect(falls(up)).toBe(true);
    expect(up[2]).toBe(4);
    const back = stroked(flat, [0.75, 4], [0.35, -4], RANGE);
    expect(falls(back)).toBe(true);
    expect(back[1]).toBe(-4);
  });

  it("leads the nearest knot when the hand only touches", () => {
    expect(nearest(times, 0.56)).toBe(2);
    expect(stroked({ times, values: [3, 1, -1, -3] }, [0.68, 0.5], [0.68, 0.5], RANGE)[2]).toBe(0.5);
  });
});
