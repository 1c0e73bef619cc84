/**
 * A loss over noise levels: floor and excess are measured of x_0 once; every face and weighting is a row of factors, so
 * that another choice is a multiplication here. The twin of difflab/scenes/loss_at_t.py.
 */
import { alphaSigma, logSnr, type Schedule } from "../core/schedule";

export type Face = "eps" | "x0" | "v" | "score";

/** Values with their standard errors. */
export interface Measured {
  value: number[];
  error: number[];
}

/** Column 0 and 1 of an array of shape (m, 2), times `factor` (m). */
export function measured(pairs: ArrayLike<number>, factor: ArrayLike<number>): Measured {
  const value: number[] = [];
  const error: number[] = [];
  for (let i = 0; i < factor.length; i++) {
    value.push(factor[i] * pairs[2 * i]);
    error.push(factor[i] * pairs[2 * i + 1]);
  }
  return { value, error };
}

/** Both together; their draws are independent. */
export function sum(a: Measured, b: Measured): Measured {
  return {
    value: a.value.map((v, i) => v + b.value[i]),
    error: a.error.map((e, i) => Math.hypot(e, b.error[i])),
  };
}

/** The mean over the range of `x` by the trapezoidal rule, and its error. */
export function meanOver(x: ArrayLike<number>, { value, error }: Measured): { value: number; error: number } {
  let [total, variance] = [0, 0];
  const n = value.length;
  for (let i = 0; i < n; i++) {
    const width = (x[Math.min(i + 1, n - 1)] - x[Math.max(i - 1, 0)]) / 2;
    total += width * value[i];
    variance += (width * error[i]) ** 2;
  }
  const range = x[n - 1] - x[0];
  return { value: total / range, error: Math.sqrt(variance) / range };
}

/** The part of the loss that is the floor, and its error, from their means over t. */
export function shareOf(floor: { value: number; error: number }, excess: { value: number; error: number }) {
  const loss = floor.value + excess.value;
  if (!(loss > 0)) return { value: 1, error: 0 };
  const error = Math.hypot(excess.value * floor.error, floor.value * excess.error) / loss ** 2;
  return { value: floor.value / loss, error };
}

/** Squared size of an error of the face, for one of x_0, at fixed x_t (difflab/predictions.py, error_gain). */
export function gainSquared(face: Face, schedule: Schedule, t: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  if (face === "x0") return 1;
  if (face === "eps") return (alpha / sigma) ** 2;
  if (face === "v") return ((alpha ** 2 + sigma ** 2) / sigma) ** 2;
  return (alpha / sigma ** 2) ** 2;
}

/**
 * The floor of x_0's squared error if the data were one Gaussian of standard deviation `spread`: no data of this spread
 * have a higher one, since the best straight line already gets there.
 */
export function gaussianFloor(schedule: Schedule, spread: number, t: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  const total = (alpha * spread) ** 2 + sigma ** 2;
  return total > 0 ? (spread * sigma) ** 2 / total : 0;
}

/** Where the loss is looked at before Python has said where it measured it. */
export function firstTimes(): number[] {
  return Array.from({ length: 41 }, (_, i) => 1e-3 + (i / 40) * (1 - 1e-3));
}

/** log-SNR at each time; what is infinite ends at the last finite one. */
export function finiteLogSnr(schedule: Schedule, times: readonly number[]): number[] {
  const found = times.map((t) => logSnr(schedule, t));
  for (let i = 1; i < found.length; i++) if (!Number.isFinite(found[i])) found[i] = found[i - 1];
  return found;
}

/** `y` at `x` along straight lines; `xs` increase or decrease; ends are kept. */
export function along(xs: readonly number[], ys: readonly number[], x: number): number {
  const last = xs.length - 1;
  const rising = xs[last] >= xs[0];
  const before = (a: number) => (rising ? a <= x : a >= x);
  if (!before(xs[0])) return ys[0];
  for (let i = 1; i <= last; i++) {
    if (before(xs[i])) continue;
    const width = xs[i] - xs[i - 1];
    const share = width === 0 ? 0 : (x - xs[i - 1]) / width;
    return ys[i - 1] + share * (ys[i] - ys[i - 1]);
  }
  return ys[last];
}

/** Index of the level nearest to `t`. */
export function nearest(times: readonly number[], t: number): number {
  return times.reduce((best, at, i) => (Math.abs(at - t) < Math.abs(times[best] - t) ? i : best), 0);
}

/** Whether a linear axis would show one spike and nothing else: the highest value is forty times the median. */
export function spiky(values: readonly number[]): boolean {
  const sorted = values.filter((v) => Number.isFinite(v) && v > 0).sort((a, b) => a - b);
  return sorted.length > 2 && sorted[sorted.length - 1] > 40 * sorted[Math.floor(sorted.length / 2)];
}

/** [low, high] of a logarithmic axis for these values: it holds them all, unless they span more than eight decades. */
export function logRange(values: readonly number[]): [number, number] {
  const positive = values.filter((v) => Number.isFinite(v) && v > 0);
  if (positive.length === 0) return [1e-4, 1];
  const high = 1.6 * Math.max(...positive);
  return [Math.max(Math.min(...positive) / 1.6, high * 1e-8), high];
}
