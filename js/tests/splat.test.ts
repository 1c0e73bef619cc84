import { describe, expect, it } from "vitest";
import { centredView, colourTable, Splat } from "../src/core/splat";

const sum = (values: Float32Array) => values.reduce((total, v) => total + v, 0);

describe("splat", () => {
  it("keeps the mass: as much as there are points inside", () => {
    const splat = new Splat(64, 48);
    const view = { x0: 32, y0: 24, scale: 10 };
    const n = 1000;
    const x = Float32Array.from({ length: 2 * n }, (_, i) => 2 * Math.sin(12.9898 * (i + 1)));
    splat.add(x, view);
    // nine float32 weights per point, each off by 2^-24 relative, at most: far below 1e-6 per point
    expect(Math.abs(sum(splat.mass) - n)).toBeLessThan(1e-6 * n);
  });
  it("puts the centre of mass where the point is, to a fraction of a pixel", () => {
    const splat = new Splat(16, 16);
    const view = { x0: 8, y0: 8, scale: 1 };
    for (const [px, py] of [
      [5.2, 7.9],
      [5.5, 7.5],
      [5, 7],
    ] as const) {
      splat.clear();
      splat.add(Float32Array.of(px - 8, 8 - py), view);
      let [mx, my] = [0, 0];
      splat.mass.forEach((m, i) => {
        mx += m * ((i % 16) + 0.5);
        my += m * (Math.floor(i / 16) + 0.5);
      });
      expect(mx).toBeCloseTo(px, 5);
      expect(my).toBeCloseTo(py, 5);
    }
  });
  it("mixes alpha x0 + sigma eps", () => {
    const view = centredView(32, 32, 4);
    const mixed = new Splat(32, 32);
    mixed.addMixed(Float32Array.of(1, -1), Float32Array.of(2, 0.5), 0.5, 0.25, view);
    const direct = new Splat(32, 32);
    direct.add(Float32Array.of(1, -0.375), view);
    expect([...mixed.mass]).toEqual([...direct.mass]);
  });
  it("leaves out points outside and points that are not numbers", () => {
    const splat = new Splat(8, 8);
    splat.add(Float32Array.of(100, 0, NaN, 0, 0, -Infinity), centredView(8, 8, 1));
    expect(sum(splat.mass)).toBe(0);
  });
  it("is the same to the bit from frame to frame", () => {
    const splat = new Splat(32, 32);
    const points = Float32Array.from({ length: 200 }, (_, i) => Math.cos(i * 1.7));
    splat.add(points, centredView(32, 32, 2));
    const first = splat.mass.slice();
    splat.clear();
    splat.add(points, centredView(32, 32, 2));
    expect(splat.mass).toEqual(first);
  });
});

describe("colour table", () => {
  it("starts transparent, grows steadily and keeps the colour", () => {
    const table = colourTable([0, 114, 178], 0.4);
    expect(table[0] >>> 24).toBe(0);
    for (let i = 1; i < table.length; i++) expect(table[i] >>> 24).toBeGreaterThanOrEqual(table[i - 1] >>> 24);
    expect(table[table.length - 1] & 0xffffff).toBe((178 << 16) | (114 << 8));
    expect(table[64] >>> 24).toBe(Math.round(255 * 0.95 * 0.4)); // a mass of one gets `ink`
  });
});
