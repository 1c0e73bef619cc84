/**
 * Cubics between knots that never overshoot: the twin of difflab/schedules/monotone_cubic.py, which says whose they are.
 * A curve drawn by hand looks the same here as what Python makes of it.
 */
const LEAST_END = 0.25; // of its secant that an end's slope has

export interface Spline {
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  readonly slope: ArrayLike<number>;
}

/** The spline through knots that rise in x and rise or fall strictly in y; a single knot has slope -1, as in Python. */
export function monotoneSpline(x: readonly number[], y: readonly number[]): Spline {
  const n = x.length;
  if (n === 1) return { x, y, slope: [-1] };
  const length = Array.from({ length: n - 1 }, (_, i) => x[i + 1] - x[i]);
  const secant = length.map((h, i) => (y[i + 1] - y[i]) / h);
  if (n === 2) return { x, y, slope: [secant[0], secant[0]] };
  const slope = new Array<number>(n);
  for (let i = 1; i < n - 1; i++) {
    const before = 2 * length[i] + length[i - 1];
    const after = length[i] + 2 * length[i - 1];
    slope[i] = (before + after) / (before / secant[i - 1] + after / secant[i]);
  }
  slope[0] = end(length[0], length[1], secant[0], secant[1]);
  slope[n - 1] = end(length[n - 2], length[n - 3], secant[n - 2], secant[n - 3]);
  return { x, y, slope };
}

/** The slope at an end of the parabola through three knots, kept on the secant's side. */
function end(length: number, next: number, secant: number, nextSecant: number): number {
  const slope = ((2 * length + next) * secant - length * nextSecant) / (length + next);
  const least = LEAST_END * secant;
  return Math.abs(slope) > Math.abs(least) && slope * secant > 0 ? slope : least;
}

/** The cubic Hermite spline at `at`, which must lie within the knots. */
export function hermite({ x, y, slope }: Spline, at: number): number {
  const i = piece(x, at);
  const h = x[i + 1] - x[i];
  const d = at - x[i];
  const secant = (y[i + 1] - y[i]) / h;
  const second = (3 * secant - 2 * slope[i] - slope[i + 1]) / h;
  const third = (slope[i] + slope[i + 1] - 2 * secant) / (h * h);
  return y[i] + d * (slope[i] + d * (second + d * third));
}

/** The index i of the piece [x_i, x_i+1] that holds `at`. */
function piece(x: ArrayLike<number>, at: number): number {
  let low = 0;
  let high = x.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (x[middle] <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}
