import { describe, expect, it } from "vitest";
import { readMixture } from "../src/core/density";
import { logDensityOnGrid, Marginal, posteriorMeanOnGrid, scoreOnGrid } from "../src/core/mixture";

const mixture = readMixture({
  weights: [0.3, 0.7],
  means: [
    [1, 0.2],
    [-0.8, -0.4],
  ],
  covariances: [
    [
      [0.2, 0.05],
      [0.05, 0.1],
    ],
    [
      [0.02, -0.01],
      [-0.01, 0.03],
    ],
  ],
})!;
const one = readMixture({ weights: [1], means: [[2, -1]], covariances: [[[4, 0], [0, 0.25]]] })!; // prettier-ignore
const levels = [
  { alpha: 0.99, sigma: 0.14 },
  { alpha: 0.6, sigma: 0.8 },
  { alpha: 1, sigma: 3 },
];
const points = [
  [0.4, 0.1],
  [-0.9, 0.3],
  [2.5, -2],
] as const;

describe("a Gaussian mixture under noise", () => {
  it("has the density, score and denoiser of a Gaussian that one computes by hand", () => {
    // x_t = 0.6 x_0 + 0.8 eps: N((1.2, -0.6), diag(0.36 * 4 + 0.64, 0.36 / 4 + 0.64)) = diag(2.08, 0.73)
    const at = new Marginal(one, { alpha: 0.6, sigma: 0.8 });
    const [dx, dy] = [0.5 - 1.2, 0.3 + 0.6];
    const log = -Math.log(2 * Math.PI) - Math.log(2.08 * 0.73) / 2 - dx ** 2 / 2.08 / 2 - dy ** 2 / 0.73 / 2;
    expect(at.logDensity(0.5, 0.3)).toBeCloseTo(log, 13);
    expect(at.score(0.5, 0.3)[0]).toBeCloseTo(-dx / 2.08, 13);
    expect(at.score(0.5, 0.3)[1]).toBeCloseTo(-dy / 0.73, 13);
    expect(at.posteriorMean(0.5, 0.3)[0]).toBeCloseTo(2 + ((0.6 * 4) / 2.08) * dx, 13);
    expect(at.posteriorMean(0.5, 0.3)[1]).toBeCloseTo(-1 + ((0.6 * 0.25) / 0.73) * dy, 13);
    expect([...at.posterior(0.5, 0.3)]).toEqual([1]);
  });

  it.each(levels)("has the gradient of its log-density as score at $alpha, $sigma", (level) => {
    // central difference with h = 1e-5: h^2 / 6 times a third derivative below 1e4 at sigma = 0.14, and rounding 1e-15 / h
    const at = new Marginal(mixture, level);
    const h = 1e-5;
    for (const [x, y] of points) {
      const [sx, sy] = at.score(x, y);
      expect(sx).toBeCloseTo((at.logDensity(x + h, y) - at.logDensity(x - h, y)) / (2 * h), 6);
      expect(sy).toBeCloseTo((at.logDensity(x, y + h) - at.logDensity(x, y - h)) / (2 * h), 6);
    }
  });

  it.each(levels)("obeys Tweedie's formula at $alpha, $sigma", ({ alpha, sigma }) => {
    const at = new Marginal(mixture, { alpha, sigma });
    for (const [x, y] of points) {
      const [sx, sy] = at.score(x, y);
      const [mx, my] = at.posteriorMean(x, y);
      expect(alpha * mx).toBeCloseTo(x + sigma ** 2 * sx, 12);
      expect(alpha * my).toBeCloseTo(y + sigma ** 2 * sy, 12);
    }
  });

  it.each(levels)("has Bayes' posterior of the modes at $alpha, $sigma", (level) => {
    // p(k | x) = w_k p_k / p, each from a mixture of that component alone
    const at = new Marginal(mixture, level);
    for (const [x, y] of points) {
      const shares = at.posterior(x, y);
      expect(shares[0] + shares[1]).toBeCloseTo(1, 14);
      for (let k = 0; k < 2; k++) {
        const alone = {
          weights: mixture.weights.slice(k, k + 1),
          means: mixture.means.slice(2 * k, 2 * k + 2),
          covariances: mixture.covariances.slice(4 * k, 4 * k + 4),
        };
        const joint = new Marginal(alone, level).logDensity(x, y);
        expect(shares[k]).toBeCloseTo(Math.exp(joint - at.logDensity(x, y)), 13);
      }
    }
  });

  it("says x_t itself at t = 0, and the mean of all data where nothing is left of them", () => {
    expect(new Marginal(mixture, { alpha: 1, sigma: 0 }).posteriorMean(0.3, 0.4)[0]).toBeCloseTo(0.3, 13);
    const noise = new Marginal(mixture, { alpha: 0, sigma: 1 });
    expect(noise.posteriorMean(5, 5)[0]).toBeCloseTo(0.3 * 1 - 0.7 * 0.8, 13);
    expect(noise.score(5, -3)[0]).toBeCloseTo(-5, 13);
    expect(noise.score(5, -3)[1]).toBeCloseTo(3, 13);
  });

  it("stays finite a thousand standard deviations out", () => {
    const at = new Marginal(mixture, { alpha: 1, sigma: 0.01 });
    const [x, y] = [300, -200];
    expect(Number.isFinite(at.logDensity(x, y))).toBe(true);
    expect(at.posterior(x, y).reduce((a, b) => a + b)).toBeCloseTo(1, 14);
    expect(at.score(x, y).every(Number.isFinite)).toBe(true);
  });

  it("hands out a posterior that the next question does not change", () => {
    const at = new Marginal(mixture, levels[0]);
    const first = at.posterior(1, 0.2);
    const copy = [...first];
    at.posterior(-0.8, -0.4);
    expect([...first]).toEqual(copy);
  });

  it.each(levels)("says all of it at once at $alpha, $sigma", (level) => {
    const at = new Marginal(mixture, level);
    const all = new Float64Array(5);
    for (const [x, y] of points) {
      at.all(x, y, all);
      const parts = [at.logDensity(x, y), ...at.score(x, y), ...at.posteriorMean(x, y)];
      parts.forEach((part, i) => expect(all[i]).toBeCloseTo(part, 13));
    }
  });

  it("fills a grid row by row from the top", () => {
    const at = new Marginal(mixture, levels[1]);
    const grid = { left: -2, top: 1.5, cell: 0.5, columns: 8, rows: 6 };
    const [i, j] = [5, 1];
    const [x, y] = [-2 + 5.5 * 0.5, 1.5 - 1.5 * 0.5];
    const place = 2 * (j * 8 + i);
    // float32 keeps 6e-8 of each value
    expect(scoreOnGrid(at, grid)[place]).toBeCloseTo(at.score(x, y)[0], 6);
    expect(scoreOnGrid(at, grid)[place + 1]).toBeCloseTo(at.score(x, y)[1], 6);
    expect(posteriorMeanOnGrid(at, grid)[place]).toBeCloseTo(at.posteriorMean(x, y)[0], 6);
    expect(logDensityOnGrid(at, grid)[place / 2]).toBeCloseTo(at.logDensity(x, y), 5);
  });
});
