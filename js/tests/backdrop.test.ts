import { describe, expect, it } from "vitest";
import { Backdrop } from "../src/core/backdrop";
import { gridOver, marginalDensity, readMixture } from "../src/core/density";
import { centredView, massOf } from "../src/core/splat";

const mixture = readMixture({
  weights: [0.4, 0.6],
  means: [
    [-1, 0.3],
    [0.8, -0.5],
  ],
  covariances: [
    [
      [0.3, 0.1],
      [0.1, 0.2],
    ],
    [
      [0.15, 0],
      [0, 0.4],
    ],
  ],
})!;

describe("a density under the points", () => {
  const [width, height, ink] = [301, 203, 0.3];
  const view = centredView(width, height, 3);
  const grid = gridOver(width, height, view, 36);
  const density = marginalDensity(mixture, 0.9, 0.4, grid);
  const mass = new Int32Array(width * height).fill(77);
  new Backdrop().lay(mass, width, height, density, grid, view, 0.3, ink);

  it("is as opaque as sqrt(p / max p) asks for, everywhere", () => {
    const peak = Math.max(...density);
    // p at pixels by the formula itself, on a grid of pixels
    const fine = {
      left: -view.x0 / view.scale,
      top: view.y0 / view.scale,
      cell: 1 / view.scale,
      columns: width,
      rows: height,
    };
    const exact = marginalDensity(mixture, 0.9, 0.4, fine);
    let worst = 0;
    for (let i = 0; i < mass.length; i++) {
      const shown = 0.95 * (1 - (1 - ink) ** (mass[i] / 1024));
      worst = Math.max(worst, Math.abs(shown - 0.3 * Math.sqrt(exact[i] / peak)));
    }
    // A linear piece over a cell h of a bell of width s is off by h^2 / (8 s^2) of it: here (0.17 / 0.56)^2 / 8 = 0.012;
    // a pixel of four shows its neighbour's, 1.5 pixels on a slope of at most 0.6 / s: 0.024. Of 0.3, with a rounding of
    // 1 / 1023: 0.012 and a bit.
    expect(worst).toBeLessThan(0.015);
    expect(worst).toBeGreaterThan(0);
  });
  it("replaces all that was there, to the last row and column", () => {
    expect(mass[width - 1]).toBeLessThan(2);
    expect(mass[mass.length - 1]).toBeLessThan(2);
    expect(Math.max(...mass)).toBeLessThanOrEqual(Math.round(massOf(0.3, ink)));
  });
  it("is the same from frame to frame", () => {
    const again = new Int32Array(width * height);
    const backdrop = new Backdrop();
    backdrop.lay(again, width, height, density, grid, view, 0.3, 0.9);
    backdrop.lay(again, width, height, density, grid, view, 0.3, ink);
    expect(again).toEqual(mass);
  });
});
