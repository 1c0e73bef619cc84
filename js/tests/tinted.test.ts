import { describe, expect, it } from "vitest";
import { Splat, UNIT, type Spread } from "../src/core/splat";
import { TintedSplat } from "../src/core/tinted";

const view = { x0: 16, y0: 12, scale: 6 };
const sums = (splat: TintedSplat) => (splat as unknown as { sums: Float32Array }).sums;

describe.each(["smooth", "linear", "nearest"] as Spread[])("points of several colours, %s", (spread) => {
  it("lie where points of one colour lie, with the same mass", () => {
    const x = Float32Array.from({ length: 60 }, (_, i) => Math.sin(3.7 * i));
    const one = new Splat(32, 24);
    one.addMixed(x, x, 0.7, 0.2, view, spread);
    const many = new TintedSplat();
    many.resize(32, 24);
    many.addMixed([x, x], [0.7, 0.2], view, new Uint8Array(30), [[10, 20, 30]], spread);
    const mass = Array.from(one.mass, (_, i) => sums(many)[4 * i]);
    expect(mass).toEqual(Array.from(one.mass));
  });
  it("mix where they meet: each colour counts by its mass, and the order does not", () => {
    const at = Float32Array.of(0.1, 0.2, 0.1, 0.2, 0.1, 0.2);
    const zero = new Float32Array(6);
    const total = [0, 0, 0, 0];
    const many = new TintedSplat();
    many.resize(32, 24);
    many.addMixed([at, zero], [1, 0], view, [0, 1, 1], [[255, 0, 0], [0, 90, 30]], spread); // prettier-ignore
    sums(many).forEach((v, i) => (total[i % 4] += v));
    expect(total).toEqual([3 * UNIT, 255 * UNIT, 180 * UNIT, 60 * UNIT]);
  });
});
