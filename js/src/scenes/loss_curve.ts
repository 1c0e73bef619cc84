/** A loss curve as it is drawn: averaged over neighbours, and held against its floor on a logarithmic axis. */

export interface LossCurve {
  steps: number[];
  losses: number[];
}

/** From an array of shape (points, 2) of (step, loss). */
export function curveOf(rows: ArrayLike<number> | null | undefined): LossCurve {
  const points = rows ? Math.floor(rows.length / 2) : 0;
  return {
    steps: Array.from({ length: points }, (_, i) => rows![2 * i]),
    losses: Array.from({ length: points }, (_, i) => rows![2 * i + 1]),
  };
}

/** The mean over `points` neighbours (an even number is one more); over fewer at the ends, as many on either side. */
export function smoothed(values: readonly number[], points: number): number[] {
  const half = Math.floor(points / 2);
  return values.map((_, i) => {
    const reach = Math.min(half, i, values.length - 1 - i);
    let sum = 0;
    for (let j = i - reach; j <= i + reach; j++) sum += values[j];
    return sum / (2 * reach + 1);
  });
}

/**
 * What the mean of `points` neighbours is uncertain by: their scatter, from differences of neighbours, so that a falling
 * curve does not count as noise. Of the second half; NaN for fewer than four points.
 */
export function scatter(values: readonly number[], points: number): number {
  const late = values.slice(Math.floor(values.length / 2)).filter(Number.isFinite);
  if (late.length < 2 || values.length < 4) return NaN;
  let sum = 0;
  for (let i = 1; i < late.length; i++) sum += (late[i] - late[i - 1]) ** 2;
  const variance = sum / (late.length - 1) / 2;
  return Math.sqrt(variance / (2 * Math.floor(points / 2) + 1));
}

/** Highest loss that the axis must show: the whole fall, unless it is a spike that would flatten everything else. */
export function topOf(losses: readonly number[], floor: number | null): number {
  const finite = losses.filter(Number.isFinite);
  if (finite.length === 0) return floor === null ? 1 : floor * 2.5;
  const settled = finite.slice(Math.floor(finite.length / 2)).sort((a, b) => a - b);
  const median = settled[Math.floor(settled.length / 2)];
  return 1.06 * Math.max(floor ?? 0, Math.min(Math.max(...finite), 6 * median));
}

/** The next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten, at least 100: where the step axis ends while training runs. */
export function axisEnd(step: number): number {
  for (let power = 100; ; power *= 10)
    for (const m of [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]) if (m * power >= step) return m * power;
}

/** [low, high] of the logarithmic axis of an excess; `least` is what the scatter resolves. */
export function excessRange(excess: readonly number[], least: number): [number, number] {
  const positive = excess.filter((v) => Number.isFinite(v) && v > 0);
  if (positive.length === 0) return [1e-3, 1];
  const high = 1.5 * Math.max(...positive);
  const low = Number.isFinite(least) && least > 0 ? Math.min(least, high / 10) / 2 : Math.min(...positive) / 1.5;
  return [Math.max(low, high * 1e-6), high];
}
