/**
 * What ScoreMap knows at a time t: the exact field, evaluated here (a mixture) or interpolated (a finite set), and learned
 * minus exact, interpolated over log-SNR between the levels at which Python asked the network.
 */
import type { Mixture } from "../core/density";
import { differenceFactor, faceWeights, fromUnits, type Face } from "../core/faces";
import { sampleAt } from "../core/field";
import { Marginal } from "../core/mixture";
import { alphaSigma, logSnr, type AlphaSigma, type Schedule } from "../core/schedule";

/** (i, share): t lies that share of the way from level i to level i + 1 in log-SNR. The twin of score_levels.between. */
export function between(schedule: Schedule, times: ArrayLike<number>, t: number): [number, number] {
  let i = 0;
  while (i < times.length - 2 && times[i + 1] <= t) i++;
  const [high, here, low] = [times[i], t, times[i + 1]].map((at) => Math.max(logSnr(schedule, at), -60));
  return [i, Math.min(1, Math.max(0, (high - here) / (high - low)))];
}

/** Fields at a stack of levels, (L, n, n, c) or (L, n, c), and the field between two of them. */
export class Stack {
  private readonly now: Float32Array;
  private known: { schedule: Schedule; t: number } | null = null;

  constructor(
    readonly times: ArrayLike<number>,
    private readonly values: Float32Array,
  ) {
    this.now = new Float32Array(values.length / times.length);
  }

  /** The field at t; null below the first level. */
  at(schedule: Schedule, t: number): Float32Array | null {
    if (t < this.times[0]) return null;
    if (this.known?.t === t && this.known.schedule === schedule) return this.now;
    const { now, values } = this;
    const [i, share] = between(schedule, this.times, t);
    const start = i * now.length;
    for (let k = 0; k < now.length; k++) {
      const value = values[start + k];
      now[k] = value + share * (values[start + now.length + k] - value);
    }
    this.known = { schedule, t };
    return now;
  }
}

/** Fields on a grid (n, n) over the square that is shown, row by row from the top; null where something is not known. */
export interface Fields {
  n: number;
  exact: Float32Array | null;
  difference: Float32Array | null;
  /** p_t over its largest value on the grid. */
  density: Float32Array | null;
  /** log p_t less its largest value on the grid. */
  logDensity: Float32Array | null;
}

export interface Sources {
  mixture: Mixture | null;
  /** (L, G, G, 3) of a finite set. */
  exact: Stack | null;
  /** (L, G, G, 2). */
  learned: Stack | null;
  extent: number;
}

export type Vector = [number, number];

/** The fields of one face under one schedule. */
export class ScoreField {
  private readonly all = new Float64Array(5);
  private readonly sample = new Float64Array(3);
  private marginal: { t: number; of: Marginal } | null = null;

  constructor(
    private readonly sources: Sources,
    readonly schedule: Schedule,
    readonly face: Face,
  ) {}

  /** Half-width of the square that is shown at t. */
  half(t: number): number {
    const { alpha, sigma } = alphaSigma(this.schedule, t);
    return this.sources.extent * Math.max(1, Math.hypot(alpha, sigma));
  }

  on(t: number, n: number): Fields {
    const half = this.half(t);
    const exact = new Float32Array(2 * n * n);
    const difference = this.learnedAt(t) ? new Float32Array(2 * n * n) : null;
    const logDensity = new Float32Array(n * n);
    const [ours, theirs]: [Vector, Vector] = [
      [0, 0],
      [0, 0],
    ];
    let known = true;
    let largest = -Infinity;
    for (let j = 0, k = 0; j < n; j++) {
      const v = (j + 0.5) / n;
      for (let i = 0; i < n; i++, k++) {
        const u = (i + 0.5) / n;
        const log = this.exactInto(ours, t, u, v, half);
        if (log === null) known = false;
        else {
          exact[2 * k] = ours[0];
          exact[2 * k + 1] = ours[1];
          logDensity[k] = log;
          if (log > largest) largest = log;
        }
        if (difference && this.differenceInto(theirs, t, u, v)) {
          difference[2 * k] = theirs[0];
          difference[2 * k + 1] = theirs[1];
        }
      }
      if (!known) return { n, exact: null, difference, density: null, logDensity: null };
    }
    const density = new Float32Array(n * n);
    for (let k = 0; k < n * n; k++) density[k] = Math.exp((logDensity[k] -= largest));
    return { n, exact, difference, density, logDensity };
  }

  /** Exact and learned minus exact at a point of the square, (u, v) in [0, 1]^2 from its upper left corner. */
  probe(t: number, u: number, v: number): { at: Vector; exact: Vector | null; difference: Vector | null } {
    const half = this.half(t);
    const [exact, difference]: [Vector, Vector] = [
      [0, 0],
      [0, 0],
    ];
    return {
      at: [half * (2 * u - 1), half * (1 - 2 * v)],
      exact: this.exactInto(exact, t, u, v, half) === null ? null : exact,
      difference: this.differenceInto(difference, t, u, v) ? difference : null,
    };
  }

  private learnedAt(t: number): Float32Array | null {
    return this.sources.learned?.at(this.schedule, t) ?? null;
  }

  private weights: { t: number; level: AlphaSigma; mean: number; score: number; factor: number } | null = null;

  private at(t: number) {
    if (this.weights?.t !== t) {
      const level = alphaSigma(this.schedule, t);
      const weights = faceWeights(this.face, this.schedule, t);
      this.weights = { t, level, ...weights, factor: differenceFactor(weights, level) };
    }
    return this.weights;
  }

  /** The exact face; log p_t, or null where it is not known. */
  private exactInto(out: Vector, t: number, u: number, v: number, half: number): number | null {
    const { level, mean, score } = this.at(t);
    const [x, y] = [half * (2 * u - 1), half * (1 - 2 * v)];
    if (this.sources.mixture) {
      if (this.marginal?.t !== t) this.marginal = { t, of: new Marginal(this.sources.mixture, level) };
      const all = this.all;
      this.marginal.of.all(x, y, all);
      out[0] = mean * all[3] + score * all[1];
      out[1] = mean * all[4] + score * all[2];
      return all[0];
    }
    const field = this.sources.exact?.at(this.schedule, t);
    if (!field) return null;
    sampleAt(field, Math.round(Math.sqrt(field.length / 3)), 3, u, v, this.sample);
    const [a, b] = [fromUnits(this.sample[0], x, level), fromUnits(this.sample[1], y, level)];
    out[0] = mean * a.mean + score * a.score;
    out[1] = mean * b.mean + score * b.score;
    return this.sample[2];
  }

  private differenceInto(out: Vector, t: number, u: number, v: number): boolean {
    const field = this.learnedAt(t);
    if (!field) return false;
    const { factor } = this.at(t);
    sampleAt(field, Math.round(Math.sqrt(field.length / 2)), 2, u, v, this.sample);
    out[0] = factor * this.sample[0];
    out[1] = factor * this.sample[1];
    return true;
  }

  /** What a mean square in Python's units is multiplied by to be that of this face. */
  squareFactor(t: number): number {
    return this.at(t).factor ** 2;
  }
}

/** Root of the mean of |field|^2 under p_t, as the grid sees it. */
export function rootMeanSquare(field: Float32Array, density: Float32Array | null): number {
  let [sum, mass] = [0, 0];
  for (let k = 0; 2 * k < field.length; k++) {
    const p = density ? density[k] : 1;
    sum += p * (field[2 * k] ** 2 + field[2 * k + 1] ** 2);
    mass += p;
  }
  return mass > 0 ? Math.sqrt(sum / mass) : 0;
}
