import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hexOf, oklabOf, rgbOf, type OKLab } from "../src/core/oklab";
import { categories } from "../src/core/palette";

const bytes = (hex: string) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)) as [number, number, number];
const lab = (hex: string) => oklabOf(bytes(hex));
const distance = (a: OKLab, b: OKLab) => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
const themes = [false, true];
const counts = Array.from({ length: 11 }, (_, i) => i + 2);

/** The house's colours, out of its style sheet: the light block, then the dark one. */
const css = readFileSync(new URL("../src/core/style.css", import.meta.url), "utf-8");
const house = (name: string, dark: boolean) =>
  [...css.matchAll(new RegExp(`--difflab-${name}: (#[0-9a-f]{6});`, "g"))][Number(dark)][1];

describe("colours of categories", () => {
  it("are of one lightness, to what eight bits hold", () => {
    for (const dark of themes)
      for (const colour of categories(12, dark))
        expect(Math.abs(lab(colour)[0] - (dark ? 0.76 : 0.66))).toBeLessThan(3e-3);
  });
  it("are colours that sRGB has: none was clipped", () => {
    // a clipped channel would move the colour; half a byte in each channel moves it by less than 0.004
    for (const dark of themes)
      for (const colour of categories(12, dark)) {
        const chroma = Math.hypot(lab(colour)[1], lab(colour)[2]);
        expect(Math.abs(chroma - (dark ? 0.118 : 0.112))).toBeLessThan(4e-3);
      }
  });
  // For scale: 0.02 is the least that most people see side by side (Ottosson's dE_OK of 0.02).
  it("differ between neighbours in the list, also from the last to the first", () => {
    for (const dark of themes)
      for (const n of counts) {
        const colours = categories(n, dark).map(lab);
        const least = Math.min(...colours.map((c, i) => distance(c, colours[(i + 1) % n])));
        expect(least, `${n} colours`).toBeGreaterThan(0.11);
      }
  });
  it("differ between any two of them", () => {
    for (const dark of themes)
      for (const n of counts) {
        const colours = categories(n, dark).map(lab);
        const pairs = colours.flatMap((a, i) => colours.slice(i + 1).map((b) => distance(a, b)));
        expect(Math.min(...pairs), `${n} colours`).toBeGreaterThan(0.035);
      }
  });
  it("mean nothing else in this house", () => {
    for (const dark of themes)
      for (const name of ["exact", "learned", "data", "noise"])
        for (const n of [1, ...counts])
          for (const colour of categories(n, dark))
            expect(distance(lab(colour), lab(house(name, dark))), `${name}, ${n}`).toBeGreaterThan(0.05);
  });
  it("repeat from the thirteenth on, and for the same question", () => {
    expect(categories(25, false).slice(12, 24)).toEqual(categories(12, false));
    expect(categories(3, true)).toEqual(categories(3, true));
    expect(categories(0, false)).toEqual([]);
  });
});

describe("OKLab", () => {
  // https://bottosson.github.io/posts/oklab: white is (1, 0, 0); pure red (0.628, 0.225, 0.126)
  it("has white and red where its author has them", () => {
    expect(distance(oklabOf([255, 255, 255]), [1, 0, 0])).toBeLessThan(1e-6);
    expect(distance(oklabOf([255, 0, 0]), [0.628, 0.225, 0.126])).toBeLessThan(1e-3);
  });
  it("goes there and back", () => {
    for (const hex of ["#123456", "#fedcba", "#00ff7f"]) expect(hexOf(lab(hex))).toBe(hex);
    expect(rgbOf([0.7, 0.3, 0]).some((v) => v > 1 || v < 0)).toBe(true);
  });
});
