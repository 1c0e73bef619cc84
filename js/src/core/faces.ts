/**
 * The five faces of one prediction as fields over x_t, and the difference of two predictions.
 *
 * With m the mean of x_0 given x_t, s the score of p_t and eps = -sigma s:
 *
 *     score    = s              eps = -sigma s        v = alpha eps - sigma m
 *     x0       = m              velocity = alpha' m + sigma' eps
 *
 * (difflab/predictions.py). Each is p m + q s, where nothing is divided by sigma or alpha. Two predictions of the same x_t
 * differ by d in m and so by alpha d / sigma^2 in s: the differences of all faces are one field with five factors.
 */
import { alphaSigma, type AlphaSigma, type Schedule } from "./schedule";

export type Face = "score" | "eps" | "x0" | "v" | "velocity";

export const FACES: { name: Face; label: string }[] = [
  { name: "score", label: "score" },
  { name: "eps", label: "eps" },
  { name: "x0", label: "x0" },
  { name: "v", label: "v" },
  { name: "velocity", label: "velocity" },
];

/** A face is `mean` m + `score` s. */
export interface FaceWeights {
  readonly mean: number;
  readonly score: number;
}

export function faceWeights(face: Face, schedule: Schedule, t: number): FaceWeights {
  const { alpha, sigma } = alphaSigma(schedule, t);
  switch (face) {
    case "score":
      return { mean: 0, score: 1 };
    case "eps":
      return { mean: 0, score: -sigma };
    case "x0":
      return { mean: 1, score: 0 };
    case "v":
      return { mean: -sigma, score: -alpha * sigma };
    case "velocity": {
      const rate = rates(schedule, t);
      return { mean: rate.alpha, score: -rate.halfVariance };
    }
  }
}

/** Half a step of the difference quotients of alpha and of sigma^2, which unlike sigma has a slope at t = 0. */
const H = 1e-4;

/** alpha' and sigma sigma', to about 1e-7 of what they are where the schedule has a third derivative of order one. */
function rates(schedule: Schedule, t: number): { alpha: number; halfVariance: number } {
  const middle = Math.min(1 - H, Math.max(2 * H, t)); // no difference reaches over t = 0, where a schedule may jump
  const [before, after] = [alphaSigma(schedule, middle - H), alphaSigma(schedule, middle + H)];
  return {
    alpha: (after.alpha - before.alpha) / (2 * H),
    halfVariance: (after.sigma ** 2 - before.sigma ** 2) / (4 * H),
  };
}

/**
 * What a difference in Python's units, d sqrt(V) / sigma with V = alpha^2 + sigma^2 (difflab/scenes/score_levels.py), is
 * multiplied by to become that of a face.
 */
export function differenceFactor({ mean, score }: FaceWeights, { alpha, sigma }: AlphaSigma): number {
  const size = Math.hypot(alpha, sigma);
  return (mean * sigma + (score * alpha) / sigma) / size;
}

/** The same of the oracle's m in those units, (m - alpha x / V) sqrt(V) / sigma: m and s at x, exactly. */
export function fromUnits(rest: number, x: number, { alpha, sigma }: AlphaSigma): { mean: number; score: number } {
  const size = Math.hypot(alpha, sigma);
  return {
    mean: (rest * sigma) / size + (alpha * x) / size ** 2,
    score: (alpha * rest) / (sigma * size) - x / size ** 2,
  };
}
