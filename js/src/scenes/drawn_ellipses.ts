/**
 * A Gaussian mixture as ellipses under the hand: each is a component, its outline two standard deviations wide.
 *
 * C = R diag(a^2, b^2) R^T with the axes a, b (standard deviations) and R the turn by `angle`. Weights are shares of one:
 * what one component gains the others give, each in proportion. Nothing is changed in place.
 */
import type { Mixture } from "../core/density";
import { SHEET } from "./drawn_points";

export interface Ellipse {
  weight: number;
  mean: [number, number];
  /** Standard deviations along the two axes. */
  axes: [number, number];
  /** Radians, anticlockwise, where the first axis points. */
  angle: number;
}

export const MOST_COMPONENTS = 32;
/** Standard deviations from the centre to the outline. */
export const OUTLINE = 2;
const NARROWEST = 0.03;
const WIDEST = 2;
const LEAST_SHARE = 0.005;
/** What snapping rounds to. */
export const SNAP = 0.25;
const SNAP_ANGLE = Math.PI / 12;
const SNAP_AXIS = 0.05;

const clamp = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x));
const round = (x: number, unit: number) => Math.round(x / unit) * unit;
const onSheet = (x: number) => clamp(x, -SHEET, SHEET);

/** xx, xy, yy of the covariance. */
export function covariance({ axes: [a, b], angle }: Ellipse): [number, number, number] {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [(a * c) ** 2 + (b * s) ** 2, (a * a - b * b) * c * s, (a * s) ** 2 + (b * c) ** 2];
}

/** Null when there is none. */
export function mixtureOf(ellipses: readonly Ellipse[]): Mixture | null {
  if (ellipses.length === 0) return null;
  const total = ellipses.reduce((sum, e) => sum + e.weight, 0);
  return {
    weights: Float64Array.from(ellipses, (e) => e.weight / total),
    means: Float64Array.from(ellipses.flatMap((e) => e.mean)),
    covariances: Float64Array.from(
      ellipses.flatMap((e) => {
        const [xx, xy, yy] = covariance(e);
        return [xx, xy, xy, yy];
      }),
    ),
  };
}

/** E x^2 per coordinate, and the mean. */
function moments(ellipses: readonly Ellipse[]): { second: number; mean: [number, number] } {
  const total = ellipses.reduce((sum, e) => sum + e.weight, 0);
  const mean: [number, number] = [0, 0];
  let second = 0;
  for (const { weight, mean: m, axes } of ellipses) {
    const w = weight / total;
    mean[0] += w * m[0];
    mean[1] += w * m[1];
    second += (w * (axes[0] ** 2 + axes[1] ** 2 + m[0] ** 2 + m[1] ** 2)) / 2; // the trace does not turn
  }
  return { second, mean };
}

/** The standard deviation over all coordinates (EDM's sigma_data); nan without components. */
export function sigmaOfEllipses(ellipses: readonly Ellipse[]): number {
  const { second, mean } = moments(ellipses);
  return ellipses.length ? Math.sqrt(Math.max(0, second - ((mean[0] + mean[1]) / 2) ** 2)) : NaN;
}

/** Mean 0 and variance 1 per coordinate on average, and by what it was scaled. */
export function standardEllipses(ellipses: readonly Ellipse[]): { ellipses: Ellipse[]; scale: number } {
  const { second, mean } = moments(ellipses);
  const scale = 1 / Math.sqrt(second - (mean[0] ** 2 + mean[1] ** 2) / 2);
  const moved = ellipses.map((e) => ({
    ...e,
    mean: [(e.mean[0] - mean[0]) * scale, (e.mean[1] - mean[1]) * scale] as [number, number],
    axes: [e.axes[0] * scale, e.axes[1] * scale] as [number, number],
  }));
  return { ellipses: moved, scale };
}

/** The share of component `i`, which the others take or give in proportion; a single one has all. */
export function weighed(ellipses: readonly Ellipse[], i: number, share: number): Ellipse[] {
  const total = ellipses.reduce((sum, e) => sum + e.weight, 0);
  const own = ellipses[i].weight / total;
  if (ellipses.length === 1) return [{ ...ellipses[0], weight: 1 }];
  const wanted = clamp(share, LEAST_SHARE, 1 - LEAST_SHARE);
  const others = (1 - wanted) / (1 - own);
  return ellipses.map((e, k) => ({ ...e, weight: k === i ? wanted : (e.weight / total) * others }));
}

export function share(ellipses: readonly Ellipse[], i: number): number {
  return ellipses[i].weight / ellipses.reduce((sum, e) => sum + e.weight, 0);
}

/** One more, as heavy as the average; it is the last. */
export function added(ellipses: readonly Ellipse[], [x, y]: readonly [number, number]): Ellipse[] {
  if (ellipses.length >= MOST_COMPONENTS) throw new Error(`A drawn mixture has at most ${MOST_COMPONENTS} components.`);
  const n = ellipses.length;
  const total = ellipses.reduce((sum, e) => sum + e.weight, 0);
  const before = ellipses.map((e) => ({ ...e, weight: ((e.weight / total) * n) / (n + 1) }));
  return [...before, { weight: 1 / (n + 1), mean: [onSheet(x), onSheet(y)], axes: [0.4, 0.25], angle: 0 }];
}

export function removed(ellipses: readonly Ellipse[], i: number): Ellipse[] {
  const left = ellipses.filter((_, k) => k !== i);
  const total = left.reduce((sum, e) => sum + e.weight, 0);
  return left.map((e) => ({ ...e, weight: e.weight / total }));
}

/** The free place of a coarse lattice that is farthest from every component. */
export function emptySpot(ellipses: readonly Ellipse[]): [number, number] {
  let best: [number, number] = [0, 0];
  let farthest = -1;
  for (let y = 1.5; y >= -1.5; y -= 0.5) {
    for (let x = -1.5; x <= 1.5; x += 0.5) {
      const near = Math.min(4, ...ellipses.map((e) => Math.hypot(e.mean[0] - x, e.mean[1] - y)));
      const score = near - 0.01 * Math.hypot(x, y); // of equal ones that nearest to the middle
      if (score > farthest) [farthest, best] = [score, [x, y]];
    }
  }
  return best;
}

/** What of an ellipse a hand holds. */
export type Part = "move" | "first" | "second" | "turn";

/** A place in the ellipse's own frame: along its first and its second axis. */
function within({ mean, angle }: Ellipse, x: number, y: number): [number, number] {
  const [dx, dy] = [x - mean[0], y - mean[1]];
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c * dx + s * dy, c * dy - s * dx];
}

/** Where the handles of the selected ellipse stand; `arm` is how far beyond its outline the one that turns. */
export function handles(e: Ellipse, arm: number): { part: Part; x: number; y: number }[] {
  const [c, s] = [Math.cos(e.angle), Math.sin(e.angle)];
  const at = (part: Part, u: number, v: number) => ({
    part,
    x: e.mean[0] + c * u - s * v,
    y: e.mean[1] + s * u + c * v,
  });
  const [a, b] = e.axes.map((axis) => OUTLINE * axis);
  return [at("turn", a + arm, 0), at("first", a, 0), at("first", -a, 0), at("second", 0, b), at("second", 0, -b)];
}

export interface Grip {
  index: number;
  part: Part;
}

/** What lies under a hand that reaches `reach` far: a handle of the selected one, else the nearest outline that holds it. */
export function gripAt(
  ellipses: readonly Ellipse[],
  selected: number,
  [x, y]: readonly [number, number],
  reach: number,
  arm: number,
): Grip | null {
  if (ellipses[selected]) {
    const near = handles(ellipses[selected], arm)
      .map(({ part, x: hx, y: hy }) => ({ part, distance: Math.hypot(hx - x, hy - y) }))
      .sort((p, q) => p.distance - q.distance)[0];
    // in an ellipse smaller than a finger the middle moves it
    const middle = Math.hypot(ellipses[selected].mean[0] - x, ellipses[selected].mean[1] - y);
    if (near.distance <= reach && near.distance < middle) return { index: selected, part: near.part };
  }
  let best: Grip | null = null;
  let least = 1;
  ellipses.forEach((e, index) => {
    const [u, v] = within(e, x, y);
    const [a, b] = e.axes.map((axis) => Math.max(OUTLINE * axis, reach));
    const distance = Math.hypot(u / a, v / b) * (index === selected ? 0.5 : 1);
    if (distance <= least) [least, best] = [distance, { index, part: "move" }];
  });
  return best;
}

/** The ellipse after a hand took `part` at `from` and is at `to`. */
export function dragged(
  e: Ellipse,
  part: Part,
  from: readonly [number, number],
  to: readonly [number, number],
  snap: boolean,
): Ellipse {
  if (part === "move") return moved(e, to[0] - from[0], to[1] - from[1], snap);
  if (part === "turn") {
    const angle = Math.atan2(to[1] - e.mean[1], to[0] - e.mean[0]);
    return { ...e, angle: halfTurn(snap ? round(angle, SNAP_ANGLE) : angle) };
  }
  const [u, v] = within(e, to[0], to[1]);
  const [u0, v0] = within(e, from[0], from[1]);
  const which = part === "first" ? 0 : 1;
  // the outline keeps its distance to the hand, which seldom takes a handle in its very middle
  const change = (Math.abs([u, v][which]) - Math.abs([u0, v0][which])) / OUTLINE;
  return stretched(e, which, e.axes[which] + change, snap);
}

/** What Python put beyond the sheet, or made wider than a hand does, may stay so, and is not pulled back by a touch. */
export function moved(e: Ellipse, dx: number, dy: number, snap: boolean): Ellipse {
  const place = (was: number, by: number) => {
    const edge = Math.max(SHEET, Math.abs(was));
    return clamp(snap ? round(was + by, SNAP) : was + by, -edge, edge);
  };
  return { ...e, mean: [place(e.mean[0], dx), place(e.mean[1], dy)] };
}

export function stretched(e: Ellipse, which: number, axis: number, snap: boolean): Ellipse {
  const axes: [number, number] = [...e.axes];
  const was = axes[which];
  const wanted = snap ? Math.max(SNAP_AXIS, round(axis, SNAP_AXIS)) : axis;
  axes[which] = clamp(wanted, Math.min(NARROWEST, was), Math.max(WIDEST, was));
  return { ...e, axes };
}

export function turned(e: Ellipse, by: number): Ellipse {
  return { ...e, angle: halfTurn(e.angle + by) };
}

/** An ellipse turned by half a circle is the same: 0 <= angle < pi. */
function halfTurn(angle: number): number {
  const rest = angle % Math.PI;
  return rest < 0 ? rest + Math.PI : rest;
}
