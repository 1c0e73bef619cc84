import { describe, expect, it } from "vitest";
import { readMixture } from "../src/core/density";
import { differenceFactor, FACES, faceWeights, fromUnits, type Face } from "../src/core/faces";
import { arrowLength, colourIndex, contour, sampleAt } from "../src/core/field";
import { Marginal } from "../src/core/mixture";
import { alphaSigma } from "../src/core/schedule";
import { between, rootMeanSquare, ScoreField, Stack } from "../src/scenes/score_field";
import { fieldOf, heatOf, placeOf } from "../src/scenes/score_picture";
import { numberLine, probeLine, titleOf, type Context } from "../src/scenes/score_words";

const cosine = { name: "VPCosine", params: { s: 0.008 } };
const geometric = { name: "Geometric", params: { sigma_min: 0.01, sigma_max: 50 } };
const mixture = readMixture({
  weights: [0.4, 0.6],
  means: [
    [1, 0.5],
    [-1, 0],
  ],
  covariances: [
    [
      [0.2, 0.05],
      [0.05, 0.1],
    ],
    [
      [0.05, 0],
      [0, 0.05],
    ],
  ],
})!;
const names = FACES.map(({ name }) => name);

/** The faces' definitions in eps and x_0 (difflab/predictions.py), with rates by a difference of its own. */
function defined(face: Face, x: number, x0: number, schedule: typeof cosine | typeof geometric, t: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  const eps = (x - alpha * x0) / sigma;
  const h = 1e-6;
  const [a, b] = [alphaSigma(schedule, t - h), alphaSigma(schedule, t + h)];
  switch (face) {
    case "score":
      return -eps / sigma;
    case "eps":
      return eps;
    case "x0":
      return x0;
    case "v":
      return alpha * eps - sigma * x0;
    case "velocity":
      return ((b.alpha - a.alpha) * x0 + (b.sigma - a.sigma) * eps) / (2 * h);
  }
}

describe("the five faces", () => {
  // the two difference quotients agree to h^2 times third derivatives, 1e-8 times at most 1e2 here, over sigma >= 0.1
  it.each(names)("%s is p m + q s", (face) => {
    for (const schedule of [cosine, geometric]) {
      for (const t of [0.2, 0.5, 0.9]) {
        const level = alphaSigma(schedule, t);
        const at = new Marginal(mixture, level);
        const { mean, score } = faceWeights(face, schedule, t);
        const [m, s] = [at.posteriorMean(0.3, -0.2), at.score(0.3, -0.2)];
        const expected = defined(face, 0.3, m[0], schedule, t);
        expect((mean * m[0] + score * s[0]) / expected).toBeCloseTo(1, 4);
      }
    }
  });
  it.each(names)("the difference of two %s is a factor times that of the means", (face) => {
    for (const schedule of [cosine, geometric]) {
      const t = 0.4;
      const level = alphaSigma(schedule, t);
      const factor = differenceFactor(faceWeights(face, schedule, t), level);
      const d = 0.07;
      const difference = defined(face, 0.3, 0.5 + d, schedule, t) - defined(face, 0.3, 0.5, schedule, t);
      const units = (d * Math.hypot(level.alpha, level.sigma)) / level.sigma;
      expect((factor * units) / difference).toBeCloseTo(1, 4);
    }
  });
  it("stays finite at t = 0, where the data are, and at t = 1", () => {
    for (const face of names) {
      for (const t of [0, 1]) {
        const { mean, score } = faceWeights(face, cosine, t);
        expect(Number.isFinite(mean) && Number.isFinite(score), `${face} at ${t}`).toBe(true);
      }
    }
  });
  it("reads mean and score out of Python's units", () => {
    const level = alphaSigma(cosine, 0.3);
    const at = new Marginal(mixture, level);
    const [x, y] = [0.4, -0.7];
    const m = at.posteriorMean(x, y)[0];
    const size = Math.hypot(level.alpha, level.sigma);
    const found = fromUnits(((m - (level.alpha * x) / size ** 2) * size) / level.sigma, x, level);
    expect(found.mean).toBeCloseTo(m, 12);
    expect(found.score).toBeCloseTo(at.score(x, y)[0], 11);
  });
});

describe("a field on a canvas", () => {
  it("has arrows that grow with the norm and never leave their cell", () => {
    expect(arrowLength(0, 2)).toBe(0);
    expect(arrowLength(2, 2)).toBe(0.5);
    expect(arrowLength(6, 2)).toBe(0.75);
    expect(arrowLength(1e9, 2)).toBeLessThan(1);
    expect(arrowLength(1, 0)).toBe(0);
  });
  it("gives values the colours of the bar, and none to what is no number", () => {
    expect([-3, -2, 0, 2, 5].map((v) => colourIndex(v, -2, 2))).toEqual([0, 0, 128, 255, 255]);
    expect(colourIndex(NaN, 0, 1)).toBe(-1);
  });
  it("is read between its centres exactly where it is linear", () => {
    const n = 5;
    const field = new Float32Array(2 * n * n);
    for (let k = 0; k < n * n; k++) {
      field[2 * k] = (k % n) + 0.5;
      field[2 * k + 1] = 3 * (Math.floor(k / n) + 0.5);
    }
    const out = new Float64Array(2);
    sampleAt(field, n, 2, 0.43, 0.61, out);
    expect(out[0]).toBeCloseTo(0.43 * n, 6);
    expect(out[1]).toBeCloseTo(3 * 0.61 * n, 5);
    sampleAt(field, n, 2, 0, 1, out); // beyond the outer centres it is constant
    expect([...out]).toEqual([0.5, 13.5]);
  });
  it("has a circle as the contour of a cone", () => {
    const n = 41;
    const cone = Float32Array.from({ length: n * n }, (_, k) => Math.hypot((k % n) - 20, Math.floor(k / n) - 20));
    const segments = contour(cone, 12);
    let length = 0;
    for (let k = 0; k < segments.length; k += 4) {
      const [x0, y0, x1, y1] = segments.subarray(k, k + 4);
      // linear between two corners: off the circle by at most an eighth of cell^2 / radius
      expect(Math.abs(Math.hypot(x0 - 20.5, y0 - 20.5) - 12)).toBeLessThan(1 / 8 / 11);
      length += Math.hypot(x1 - x0, y1 - y0);
    }
    expect(length / (2 * Math.PI * 12)).toBeCloseTo(1, 2); // closed, and each stretch once
  });
  it("stands as a square that leaves room for its key", () => {
    for (const [width, height] of [
      [316, 200],
      [800, 400],
      [300, 600],
    ]) {
      // prettier-ignore
      const { x, y, side } = placeOf({ width, height, ratio: 1 } as never);
      expect(side).toBeGreaterThan(150);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x + side + 76).toBeLessThanOrEqual(width);
      expect(y + side).toBeLessThanOrEqual(height);
    }
  });
});

describe("a stack of levels", () => {
  it("is its levels, and between two of them linear in log-SNR", () => {
    const times = [0.1, 0.3, 0.8];
    const stack = new Stack(times, Float32Array.from([1, 10, 2, 20, 4, 40]));
    expect([...stack.at(cosine, 0.3)!]).toEqual([2, 20]);
    expect([...stack.at(cosine, 0.8)!]).toEqual([4, 40]);
    expect([...stack.at(cosine, 0.95)!]).toEqual([4, 40]);
    expect(stack.at(cosine, 0.05)).toBe(null);
    const lambda = (t: number) => {
      const { alpha, sigma } = alphaSigma(cosine, t);
      return 2 * Math.log(alpha / sigma);
    };
    const share = (lambda(0.3) - lambda(0.5)) / (lambda(0.3) - lambda(0.8));
    expect(between(cosine, times, 0.5)[0]).toBe(1);
    expect(between(cosine, times, 0.5)[1]).toBeCloseTo(share, 12);
    expect(stack.at(cosine, 0.5)![0]).toBeCloseTo(2 + 2 * share, 5);
  });
});

describe("the fields of ScoreMap", () => {
  const n = 12;
  const constant = new Stack([0.01, 1], new Float32Array(2 * 2 * 4 * 4).fill(0.5));
  const field = new ScoreField({ mixture, exact: null, learned: constant, extent: 3 }, cosine, "score");
  const t = 0.35;

  it("are the mixture's score, and the difference times the factor of the face", () => {
    const level = alphaSigma(cosine, t);
    const at = new Marginal(mixture, level);
    const fields = field.on(t, n);
    const [i, j] = [7, 3];
    const half = field.half(t);
    const [x, y] = [half * ((2 * (i + 0.5)) / n - 1), half * (1 - (2 * (j + 0.5)) / n)];
    const k = j * n + i;
    expect(fields.exact![2 * k]).toBeCloseTo(at.score(x, y)[0], 4);
    expect(fields.exact![2 * k + 1]).toBeCloseTo(at.score(x, y)[1], 4);
    expect(fields.difference![2 * k]).toBeCloseTo((0.5 * level.alpha) / level.sigma, 5);
    expect(Math.max(...fields.density!)).toBe(1);
    const probed = field.probe(t, (i + 0.5) / n, (j + 0.5) / n);
    expect(probed.at[0]).toBeCloseTo(x, 12);
    expect(probed.exact![1]).toBeCloseTo(at.score(x, y)[1], 10);
  });
  it("add up: learned is exact and difference", () => {
    const fields = field.on(t, n);
    const learned = fieldOf(fields, "learned")!;
    for (const k of [0, 77, 2 * n * n - 1]) expect(learned[k]).toBeCloseTo(fields.exact![k] + fields.difference![k], 5);
    expect(fieldOf({ ...fields, difference: null }, "learned")).toBe(null);
  });
  it("become one number a cell, in whatever way is asked for", () => {
    const fields = field.on(t, n);
    const shown = fields.difference!;
    const k = 40;
    const [u, v] = [shown[2 * k], shown[2 * k + 1]];
    const [a, b] = [fields.exact![2 * k], fields.exact![2 * k + 1]];
    expect(heatOf(shown, fields, "x", false)[k]).toBe(u);
    expect(heatOf(shown, fields, "size", false)[k]).toBeCloseTo(Math.hypot(u, v), 6);
    expect(heatOf(shown, fields, "along", false)[k]).toBeCloseTo((u * a + v * b) / Math.hypot(a, b), 6);
    expect(heatOf(shown, fields, "y", true)[k]).toBeCloseTo(v * fields.density![k], 6);
  });
  it("have the mean square of the score that one integrates: of N(0, s^2 I) it is 2 / s^2", () => {
    const one = readMixture({ weights: [1], means: [[0, 0]], covariances: [[[0.3, 0], [0, 0.3]]] })!; // prettier-ignore
    const alone = new ScoreField({ mixture: one, exact: null, learned: null, extent: 4 }, cosine, "score");
    const { alpha, sigma } = alphaSigma(cosine, t);
    const fields = alone.on(t, 64);
    // a sum over cells of 0.125 with s >= 0.6 misses a Gaussian integral by less than e^-400; outside lies e^-20
    expect(rootMeanSquare(fields.exact!, fields.density) ** 2).toBeCloseTo(2 / (alpha ** 2 * 0.3 + sigma ** 2), 4);
    expect(fields.difference).toBe(null);
  });
  it("say that a finite set's field is not known yet", () => {
    const empty = new ScoreField({ mixture: null, exact: null, learned: null, extent: 3 }, cosine, "v");
    expect(empty.on(t, n).exact).toBe(null);
    expect(empty.probe(t, 0.5, 0.5).exact).toBe(null);
  });
});

describe("the words of ScoreMap", () => {
  const now: Context = {
    t: 0.35,
    images: false,
    face: "score",
    learned: true,
    stale: false,
    finite: false,
    exactKnown: true,
    square: null,
    lowest: null,
    brief: false,
  };
  it("say why there is no number", () => {
    expect(numberLine({ ...now, learned: false })).toEqual(["The exact field: train to see the difference."]);
    expect(numberLine({ ...now, stale: true, learned: false })[0]).toContain("another schedule");
    expect(numberLine({ ...now, finite: true, exactKnown: false })[0]).toContain("being computed");
    expect(numberLine({ ...now, finite: true, t: 0, lowest: 0.001 })).toEqual([
      "A finite set has no score at t = 0; this is t = 0.001.",
    ]);
  });
  it("name what is on screen", () => {
    expect(titleOf("score", "difference")).toBe("Score, learned minus exact");
    expect(titleOf("x0", "exact")).toBe("x0, exact");
    expect(probeLine({ at: [1, 2], exact: null, difference: null }, "exact", now)).toEqual([
      "at (1.0, 2.0): ",
      "not known",
    ]);
  });
});
