import { describe, expect, it } from "vitest";
import { imageAt, sheet, stripOf } from "../src/core/images";

describe("sheet of images", () => {
  it("fits inside the canvas with whole rows and whole pixels", () => {
    for (const [n, width, height] of [
      [100, 900, 320],
      [100, 380, 300],
      [64, 200, 200],
      [7, 500, 120],
      [1, 300, 300],
    ] as const) {
      const s = sheet(n, [8, 8], width, height, 34);
      expect(s.count).toBe(s.columns * s.rows);
      expect(s.count).toBeLessThanOrEqual(n);
      expect(Number.isInteger(s.scale)).toBe(true);
      expect(s.x + s.columns * 8 * s.scale + s.gap * (s.columns - 1)).toBeLessThanOrEqual(width);
      expect(s.y + s.rows * 8 * s.scale + s.gap * (s.rows - 1)).toBeLessThanOrEqual(height);
    }
  });
  it("shows fewer images rather than unreadable ones", () => {
    const s = sheet(10_000, [8, 8], 400, 300, 34);
    expect(8 * s.scale).toBeGreaterThanOrEqual(34);
    expect(s.count).toBeLessThan(100);
  });
  it("still draws one in the smallest place", () => {
    expect(sheet(5, [28, 28], 10, 10, 34).count).toBe(1);
  });
  it("knows which image lies where", () => {
    const s = sheet(12, [8, 8], 400, 300, 34);
    const at = (k: number): [number, number] => [
      s.x + (k % s.columns) * (8 * s.scale + s.gap) + 3,
      s.y + Math.floor(k / s.columns) * (8 * s.scale + s.gap) + 3,
    ];
    for (const k of [0, s.columns - 1, s.count - 1]) expect(imageAt(s, [8, 8], ...at(k))).toBe(k);
    expect(imageAt(s, [8, 8], -5, 3)).toBe(-1);
    expect(imageAt(s, [8, 8], s.x + 3, s.y + 9999)).toBe(-1);
  });
});

describe("pixels of images", () => {
  const pixels = { shape: [1, 2], range: [-1, 1] } as const;
  it("are grey in one channel, mixed and clipped", () => {
    const out = new Uint32Array(4);
    const x = Float32Array.of(-1, 1, 0, 4);
    stripOf(x, Float32Array.of(0, 0, 1, 0), [1, 0.5], { ...pixels, channels: 1 }, 2, out);
    const grey = (v: number) => (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
    expect([...out]).toEqual([grey(0), grey(255), grey(Math.round(0.75 * 255)), grey(255)]);
  });
  it("take red, green and blue from three planes, image by image", () => {
    const out = new Uint32Array(4);
    // two images of two pixels: (r r)(g g)(b b) each
    const x = Float32Array.of(1, -1, -1, 1, -1, -1, /* second */ -1, -1, -1, -1, 1, 0);
    stripOf(x, x, [1, 0], { ...pixels, channels: 3 }, 2, out);
    expect([...out].map((w) => w.toString(16))).toEqual(["ff0000ff", "ff00ff00", "ffff0000", "ff800000"]);
  });
});
