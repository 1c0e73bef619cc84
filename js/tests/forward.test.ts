import { describe, expect, it } from "vitest";
import { alphaSigma } from "../src/core/schedule";
import { centredView } from "../src/core/splat";
import { nearestPoint, spreadPoints, waysOf, whereabouts } from "../src/scenes/forward_paths";
import type { Picture } from "../src/scenes/forward_noising";
import { shareOfData } from "../src/scenes/forward_reading";

const x0 = Float32Array.of(1, 0, -1, 0.5, 0, -2);
const eps = Float32Array.of(0.5, 1, -0.25, 0, 1, 1);
const picture: Picture = {
  look: { images: false, shape: [1, 1], channels: 1, extent: 3, range: [-1, 1] },
  x0,
  eps,
  labels: null,
  mixture: null,
};
const cosine = { name: "VPCosine", params: { s: 0.008 } };

describe("the way of a point", () => {
  it("begins at x_0, ends at x_t and lies on alpha x_0 + sigma eps between", () => {
    for (const t of [0, 0.004, 0.5, 1]) {
      const way = waysOf(picture, cosine, t)(1);
      const { alpha, sigma } = alphaSigma(cosine, t);
      expect([...way.slice(-2)]).toEqual([alpha * -1 + sigma * -0.25, alpha * 0.5]);
      if (t > 0) expect([...way.slice(0, 2)]).toEqual([-1, 0.5]);
    }
    const middle = waysOf(picture, cosine, 1)(0).slice(60, 62); // corner 30 of 100
    const { alpha, sigma } = alphaSigma(cosine, 0.3);
    expect([...middle]).toEqual([alpha + 0.5 * sigma, sigma]);
  });
  it("follows another schedule", () => {
    const wide = { name: "Geometric", params: { sigma_min: 0.01, sigma_max: 50 } };
    const before = waysOf(picture, cosine, 0.6)(0);
    const way = waysOf(picture, wide, 0.6)(0);
    expect(way[20]).not.toBe(before[20]);
    expect(way[20]).toBe(1 + 0.5 * alphaSigma(wide, 0.1).sigma);
  });
  it("is asked for points spread over the batch, never for more than there are", () => {
    expect(spreadPoints(picture, 100)).toEqual([0, 1, 2]);
    expect(spreadPoints({ ...picture, x0: new Float32Array(200) }, 4)).toEqual([0, 25, 50, 75]);
    expect(spreadPoints(picture, 0)).toEqual([]);
  });
});

describe("picking", () => {
  const level = { alpha: 0.6, sigma: 0.8 };
  const view = centredView(600, 400, 3);
  it("finds the point that is nearest now, not at t = 0, and none where none is near", () => {
    const [x, y] = [0.6 * -1 + 0.8 * -0.25, 0.6 * 0.5];
    const place: [number, number] = [view.x0 + view.scale * x + 3, view.y0 - view.scale * y - 2];
    expect(nearestPoint(picture, level, view, place, 24)).toBe(1);
    expect(nearestPoint(picture, level, view, [5, 5], 24)).toBe(-1);
  });
  it("says where it is in two decimals, without a minus before zero", () => {
    expect(whereabouts(picture, 0, { alpha: 1, sigma: 0 })).toBe(
      "point 0: x_t (1.00, 0.00), x₀ (1.00, 0.00), ε (0.50, 1.00)",
    );
    expect(whereabouts({ ...picture, eps: Float32Array.of(-0.001, -1) }, 0, level)).toContain("ε (0.00, −1.00)");
  });
});

describe("the share of the data", () => {
  it("is a ratio of variances, one without noise and none without data", () => {
    expect(shareOfData({ alpha: 0.6, sigma: 0.8 }, 1)).toBeCloseTo(0.36, 15);
    expect(shareOfData({ alpha: 1, sigma: 2 }, 4)).toBe(0.5);
    expect(shareOfData({ alpha: 1, sigma: 0 }, 1)).toBe(1);
    expect(shareOfData({ alpha: 0, sigma: 1 }, 1)).toBe(0);
  });
});
