import { describe, expect, it } from "vitest";
import { sheet } from "../src/core/images";

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
});
