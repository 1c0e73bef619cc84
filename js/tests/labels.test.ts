import { expect, it } from "vitest";
import { dense, placeLabel, type Box, type Point } from "../src/core/labels";

const inside: Box = { left: 0, top: 0, right: 300, bottom: 200 };
const size = { width: 60, height: 11 };
const line = (f: (x: number) => number): Point[] => Array.from({ length: 301 }, (_, x) => ({ x, y: f(x) }));
const crosses = (box: Box, curve: Point[]) =>
  curve.some((p) => p.x > box.left && p.x < box.right && p.y > box.top && p.y < box.bottom);

it("finds a place clear of every curve, inside the plot", () => {
  const curves = [line((x) => 200 - 0.6 * x), line((x) => 20 + 0.6 * x), line(() => 100)];
  for (const own of curves) {
    const { box } = placeLabel(own, curves, [], size, inside)!;
    for (const curve of curves) expect(crosses(box, curve)).toBe(false);
    expect(box.left >= 0 && box.right <= 300 && box.top >= 0 && box.bottom <= 200).toBe(true);
  }
});

it("keeps clear of names already placed", () => {
  const curve = line(() => 100);
  const first = placeLabel(curve, [curve], [], size, inside)!;
  const second = placeLabel(curve, [curve], [first.box], size, inside)!;
  const apart = second.box.right <= first.box.left || second.box.left >= first.box.right;
  expect(apart || second.box.bottom <= first.box.top || second.box.top >= first.box.bottom).toBe(true);
});

it("stays where it was when the curve moves a little", () => {
  const at = (shift: number) => [line((x) => 60 + 0.2 * x + shift), line((x) => 150 - 0.2 * x)];
  let choice: number | undefined;
  for (let shift = 0; shift < 10; shift++) {
    const curves = at(shift);
    const place = placeLabel(curves[0], curves, [], size, inside, choice)!;
    if (choice !== undefined) expect(place.choice).toBe(choice);
    choice = place.choice;
  }
});

it("has no place for a curve that is not there", () => {
  expect(placeLabel([{ x: 0, y: NaN }], [], [], size, inside)).toBeNull();
});

it("fills a steep stretch with points", () => {
  const filled = dense([{ x: 0, y: 0 }, { x: 1, y: 100 }], 2); // prettier-ignore
  for (let i = 1; i < filled.length; i++) expect(filled[i].y - filled[i - 1].y).toBeLessThan(2 + 1e-9);
  expect(filled.at(-1)).toEqual({ x: 1, y: 100 });
});
