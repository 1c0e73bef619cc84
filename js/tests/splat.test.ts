import { describe, expect, it } from "vitest";
import { centredView, colourTable, massOf, Splat, SUB, UNIT, type Spread } from "../src/core/splat";

const sum = (values: Int32Array) => values.reduce((total, v) => total + v, 0);
const SPREADS: Spread[] = ["smooth", "linear", "nearest"];
const view = { x0: 32, y0: 24, scale: 10 };

describe.each(SPREADS)("%s splat", (spread) => {
  const add = (splat: Splat, points: Float32Array, at = view) => splat.addMixed(points, points, 1, 0, at, spread);

  it("keeps the mass, to the last unit: as much as there are points inside", () => {
    const splat = new Splat(64, 48);
    const n = 1000;
    add(
      splat,
      Float32Array.from({ length: 2 * n }, (_, i) => 2 * Math.sin(12.9898 * (i + 1))),
    );
    expect(sum(splat.mass)).toBe(n * UNIT);
    expect(splat.mass.every((m) => m >= 0)).toBe(true);
  });
  it("puts the centre of mass where the point is", () => {
    const splat = new Splat(16, 16);
    // the position is rounded to a 32nd of a pixel, or to a whole one; float32 coordinates are off by 1e-6 at most
    const tolerance = spread === "nearest" ? 0.5 : 0.5 / SUB + 1e-6;
    for (const [px, py] of [
      [5.2, 7.9],
      [5.51, 7.47],
      [5.03, 7.02],
      [5.98, 7.66],
    ] as const) {
      splat.clear();
      add(splat, Float32Array.of(px - 8, 8 - py), { x0: 8, y0: 8, scale: 1 });
      let [mx, my] = [0, 0];
      splat.mass.forEach((m, i) => {
        mx += (m * ((i % 16) + 0.5)) / UNIT;
        my += (m * (Math.floor(i / 16) + 0.5)) / UNIT;
      });
      expect(Math.abs(mx - px)).toBeLessThanOrEqual(tolerance);
      expect(Math.abs(my - py)).toBeLessThanOrEqual(tolerance);
    }
  });
  it("mixes alpha x0 + sigma eps", () => {
    const at = centredView(32, 32, 4);
    const mixed = new Splat(32, 32);
    mixed.addMixed(Float32Array.of(1, -1), Float32Array.of(2, 0.5), 0.5, 0.25, at, spread);
    const direct = new Splat(32, 32);
    add(direct, Float32Array.of(1, -0.375), at);
    expect([...mixed.mass]).toEqual([...direct.mass]);
  });
  it("leaves out points outside and points that are not numbers", () => {
    const splat = new Splat(8, 8);
    // 1e12 pixels away: as a whole number of 32 bits it would come round again
    add(splat, Float32Array.of(100, 0, NaN, 0, 0, -Infinity, 1e12, 0, 0, -1e12, 1.1, 0), centredView(8, 8, 1));
    expect(sum(splat.mass)).toBe(0);
  });
  it("touches no pixel outside of the canvas, and no row's end from the other side", () => {
    const splat = new Splat(8, 8);
    for (let x = -1.2; x <= 1.2; x += 0.01)
      for (const y of [-0.99, 0.3, 0.99]) add(splat, Float32Array.of(x, y), centredView(8, 8, 1));
    expect(sum(splat.mass) % UNIT).toBe(0);
    const rows = Array.from({ length: 8 }, (_, j) => sum(splat.mass.subarray(8 * j, 8 * j + 8)));
    expect(rows[3] + rows[2] + rows[1]).toBeGreaterThan(0);
    expect(rows[4] + rows[5]).toBe(0); // nothing lies there: 0.3 is in row 2, and spreads over three at most
  });
  it("is the same to the bit from frame to frame", () => {
    const splat = new Splat(32, 32);
    const points = Float32Array.from({ length: 200 }, (_, i) => Math.cos(i * 1.7));
    add(splat, points, centredView(32, 32, 2));
    const first = splat.mass.slice();
    splat.clear();
    add(splat, points, centredView(32, 32, 2));
    expect(splat.mass).toEqual(first);
  });
  it("holds a million points on one pixel", () => {
    const splat = new Splat(9, 9);
    add(splat, new Float32Array(2_000_000), { x0: 4.5, y0: 4.5, scale: 1 });
    expect(sum(splat.mass)).toBe(1_000_000 * UNIT);
    expect(splat.mass.every((m) => m >= 0)).toBe(true);
  });
});

describe("colour table", () => {
  it("starts transparent, grows steadily and keeps the colour", () => {
    const { words } = colourTable([0, 114, 178], 0.4);
    expect(words[0] >>> 24).toBe(0);
    for (let i = 1; i < words.length; i++) expect(words[i] >>> 24).toBeGreaterThanOrEqual(words[i - 1] >>> 24);
    expect(words[words.length - 1] & 0xffffff).toBe((178 << 16) | (114 << 8));
  });
  it("gives a mass of one its ink, and ends where more mass changes nothing", () => {
    for (const ink of [0.02, 0.15, 0.42, 0.97]) {
      const { words, shift } = colourTable([1, 2, 3], ink);
      expect(words[UNIT >> shift] >>> 24).toBe(Math.round(255 * 0.95 * ink));
      expect(words[words.length - 1] >>> 24).toBeGreaterThanOrEqual(Math.floor(255 * 0.95) - 1);
    }
  });
  it("knows the mass of an opacity: a density behind points is as dark as asked for", () => {
    for (const ink of [0.02, 0.15, 0.42, 0.97])
      for (const opacity of [0.05, 0.3]) {
        const { words, shift } = colourTable([1, 2, 3], ink);
        // a step of the table is the coarser, the higher the ink: at most 1.2 of 255 here, and both ends are rounded
        const shown = words[Math.round(massOf(opacity, ink)) >> shift] >>> 24;
        expect(Math.abs(shown - 255 * opacity)).toBeLessThanOrEqual(2.2);
      }
  });
});
