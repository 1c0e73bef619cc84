/** Kept frames of a sampling run, looked up by time and interpolated between the two nearest. */
import { normals, uniforms } from "./random";
import type { NDArray } from "./wire";

export interface Trajectory {
  /** (F,) decreasing, from noise towards data. */
  times: Float32Array;
  /** (F, n, d) row-major. */
  frames: Float32Array;
  samples: number;
  dim: number;
}

/** The trajectory of two traits, or null while there is none or while one of the two has not arrived yet. */
export function readTrajectory(times: NDArray | null, frames: NDArray | null): Trajectory | null {
  if (!times || !frames || frames.shape.length !== 3 || frames.shape[0] !== times.shape[0] || !times.shape[0]) {
    return null;
  }
  const [, samples = 0, dim = 0] = frames.shape;
  return { times: times.data as Float32Array, frames: frames.data as Float32Array, samples, dim };
}

/** x at time t is (1 - u) times frame `before` plus u times frame `after`; beyond the ends the last frame stands. */
export interface Blend {
  before: number;
  after: number;
  u: number;
}

export function blendAt(times: Float32Array, t: number): Blend {
  const last = times.length - 1;
  if (t >= times[0]) return { before: 0, after: 0, u: 0 };
  if (t <= times[last]) return { before: last, after: last, u: 0 };
  let low = 0; // times[low] > t >= times[high]
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (times[middle] > t) low = middle;
    else high = middle;
  }
  return { before: low, after: high, u: (times[low] - t) / (times[low] - times[high]) };
}

export function frame({ frames, samples, dim }: Trajectory, index: number): Float32Array {
  return frames.subarray(index * samples * dim, (index + 1) * samples * dim);
}

/** The time of the next kept frame below t, where "Step" leads. */
export function nextTime(times: Float32Array, t: number): number {
  for (const time of times) if (time < t - 1e-6) return time;
  return 0;
}

/**
 * Where sample `i` of a trajectory in the plane was from time `since` (or its start) to time t: (x, y, x, y, ...).
 *
 * `size` is what is seen at a time, in data units: a view that grows with the noise shows a path as the point left it on
 * the screen.
 */
export function pathOf(
  trajectory: Trajectory,
  i: number,
  t: number,
  since = Infinity,
  size: (t: number) => number = () => 1,
): Float64Array {
  const { times } = trajectory;
  const path: number[] = [];
  const add = (time: number) => {
    const { before, after, u } = blendAt(times, time);
    const [a, b] = [frame(trajectory, before), frame(trajectory, after)];
    const scale = size(t) / size(time);
    path.push(scale * ((1 - u) * a[2 * i] + u * b[2 * i]), scale * ((1 - u) * a[2 * i + 1] + u * b[2 * i + 1]));
  };
  if (since < times[0]) add(since);
  for (const time of times) if (time <= since && time > t) add(time);
  add(t);
  return Float64Array.from(path);
}

/** Standard normal noise (n, d), the same for the same seed: what is shown before anything was sampled. */
export function noise(n: number, dim: number, seed: number): Float32Array {
  const normal = normals(uniforms(seed));
  return Float32Array.from({ length: n * dim }, normal);
}
