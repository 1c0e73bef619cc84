import { describe, expect, it } from "vitest";
import { gridOver, marginalDensity, readMixture, type Grid } from "../src/core/density";

const ring = readMixture({
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
      [0.0001, 0],
      [0, 0.0001],
    ],
  ],
})!;

const square = (half: number, rows: number): Grid => ({
  left: -half,
  top: half,
  cell: (2 * half) / rows,
  columns: rows,
  rows,
});

const integral = (density: Float64Array, { cell }: Grid) => density.reduce((total, p) => total + p, 0) * cell * cell;

describe("the exact marginal density", () => {
  it("integrates to one at every noise level", () => {
    // A sum over cell centres misses a Gaussian's integral by 2 exp(-2 (pi s / cell)^2) relative, per axis: here
    // s >= 0.14 and cell = 0.125 give 4e-11. What lies outside of the square is less still.
    const grid = square(6, 96);
    for (const [alpha, sigma] of [
      [0.99, 0.14],
      [0.8, 0.6],
      [0.1, 0.995],
    ] as const) {
      expect(integral(marginalDensity(ring, alpha, sigma, grid), grid)).toBeCloseTo(1, 6);
    }
  });
  it("is the mixture's formula where the components are wide", () => {
    const grid = square(4, 200);
    const [alpha, sigma] = [0.6, 0.8];
    const density = marginalDensity(ring, alpha, sigma, grid);
    const [i, j] = [120, 77];
    const x = grid.left + (i + 0.5) * grid.cell;
    const y = grid.top - (j + 0.5) * grid.cell;
    let expected = 0;
    for (let k = 0; k < 2; k++) {
      const [a, b, , d] = ring.covariances.subarray(4 * k, 4 * k + 4);
      const [xx, xy, yy] = [alpha ** 2 * a! + sigma ** 2, alpha ** 2 * b!, alpha ** 2 * d! + sigma ** 2];
      const det = xx * yy - xy * xy;
      const [u, v] = [x - alpha * ring.means[2 * k], y - alpha * ring.means[2 * k + 1]];
      const q = (yy * u * u - 2 * xy * u * v + xx * v * v) / det;
      expected += (ring.weights[k] * Math.exp(-q / 2)) / (2 * Math.PI * Math.sqrt(det));
    }
    // the cell's own variance, cell^2 / 12 = 1.3e-4 against 0.64, changes it by less than 2.1e-4 (1 + q) relative
    expect(Math.abs(density[j * grid.columns + i] / expected - 1)).toBeLessThan(1e-3);
  });
  it("never loses a narrow component between two cells", () => {
    // Its standard deviation is a cell's, cell / sqrt(12): by the same formula at least (1 - 2 exp(-pi^2 / 6))^2 = 0.376
    // of its 0.7 stays, wherever it lies, and the wide one's 0.3.
    const grid = square(3, 24);
    expect(integral(marginalDensity(ring, 1, 0, grid), grid)).toBeGreaterThan(0.3 + 0.7 * 0.376);
  });
  it("covers the canvas it is drawn on", () => {
    const view = { x0: 300, y0: 200, scale: 50 };
    const grid = gridOver(640, 400, view, 72);
    expect(grid.columns * grid.cell).toBeGreaterThanOrEqual(640 / 50);
    expect(grid.left).toBeLessThanOrEqual(-300 / 50);
    expect(grid.top).toBeCloseTo(4, 12);
  });
  it("is not read from data of another dimension", () => {
    expect(readMixture(null)).toBe(null);
    expect(readMixture({ weights: [1], means: [[0, 0, 0]], covariances: [[[1]]] })).toBe(null);
  });
});
