/** The way of single points from data to noise: x_t over t at fixed x_0 and eps, and where one of them is. */
import { drawPaths } from "../core/cloud";
import { format } from "../core/numbers";
import { alphaSigma, type AlphaSigma, type Schedule } from "../core/schedule";
import type { View } from "../core/splat";
import type { Surface } from "../core/stage";
import type { Picture } from "./forward_noising";

/** Corners of a path, from data to noise. */
const STEPS = 100;

let levels: { schedule: Schedule | null; alpha: Float64Array; sigma: Float64Array } = {
  schedule: null,
  alpha: new Float64Array(STEPS),
  sigma: new Float64Array(STEPS),
};

/** The levels at the corners: a hundred formulas, asked for once a schedule. */
function levelsOf(schedule: Schedule) {
  if (levels.schedule !== schedule) {
    const at = Array.from({ length: STEPS }, (_, i) => alphaSigma(schedule, i / STEPS));
    levels = {
      schedule,
      alpha: Float64Array.from(at, (l) => l.alpha),
      sigma: Float64Array.from(at, (l) => l.sigma),
    };
  }
  return levels;
}

/** The way of sample i from t = 0 to now: (x, y, x, y, ...). */
export type WayOf = (i: number) => Float64Array;

export function waysOf({ x0, eps }: Picture, schedule: Schedule, t: number): WayOf {
  const { alpha, sigma } = levelsOf(schedule);
  const now = alphaSigma(schedule, t);
  const corners = Math.min(STEPS, Math.ceil(t * STEPS));
  return (i) => {
    const way = new Float64Array(2 * corners + 2);
    for (let j = 0; j <= corners; j++) {
      const a = j < corners ? alpha[j] : now.alpha;
      const b = j < corners ? sigma[j] : now.sigma;
      way[2 * j] = a * x0[2 * i] + b * eps[2 * i];
      way[2 * j + 1] = a * x0[2 * i + 1] + b * eps[2 * i + 1];
    }
    return way;
  };
}

/** Which points leave paths: `n` of them, spread over the batch. */
export function spreadPoints({ x0 }: Picture, n: number): number[] {
  const points = x0.length / 2;
  const shown = Math.min(n, points);
  return Array.from({ length: shown }, (_, k) => Math.floor((k * points) / shown));
}

/** Paths with a dot where the points are now; `marked` ones with a ring there and one where they began. */
export function drawWays(
  surface: Surface,
  view: View,
  ways: WayOf,
  points: readonly number[],
  color: string,
  marked = false,
): void {
  const drawn = points.map(ways);
  drawPaths(surface, view, drawn, color);
  if (!marked) return;
  const { context, ratio } = surface;
  context.lineWidth = 1.5 * ratio;
  for (const way of drawn) {
    for (const [at, radius] of [
      [0, 3.5],
      [way.length - 2, 7],
    ]) {
      context.beginPath();
      context.arc(view.x0 + view.scale * way[at], view.y0 - view.scale * way[at + 1], radius * ratio, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

/** The point nearest to a place of the canvas, at most `reach` away, else -1. All in the view's pixels. */
export function nearestPoint(
  { x0, eps }: Picture,
  { alpha, sigma }: AlphaSigma,
  view: View,
  [px, py]: readonly [number, number],
  reach: number,
): number {
  const x = (px - view.x0) / view.scale;
  const y = (view.y0 - py) / view.scale;
  let best = -1;
  let least = (reach / view.scale) ** 2;
  for (let i = 0; i + 1 < x0.length; i += 2) {
    const dx = alpha * x0[i] + sigma * eps[i] - x;
    const dy = alpha * x0[i + 1] + sigma * eps[i + 1] - y;
    const far = dx * dx + dy * dy;
    if (far < least) {
      least = far;
      best = i / 2;
    }
  }
  return best;
}

/** "point 17: x_t (0.92, −1.10), x₀ (...), ε (...)". */
export function whereabouts({ x0, eps }: Picture, i: number, { alpha, sigma }: AlphaSigma): string {
  const pair = (x: number, y: number) => `(${fixed(x)}, ${fixed(y)})`;
  const [a, b, c, d] = [x0[2 * i], x0[2 * i + 1], eps[2 * i], eps[2 * i + 1]];
  const now = pair(alpha * a + sigma * c, alpha * b + sigma * d);
  return `point ${i}: x_t ${now}, x₀ ${pair(a, b)}, ε ${pair(c, d)}`;
}

/** Two decimals: the digits of a moving point must not jump. */
const fixed = (x: number) =>
  Math.abs(x) < 0.005 ? "0.00" : Math.abs(x) < 1000 ? x.toFixed(2).replace("-", "−") : format(x);
