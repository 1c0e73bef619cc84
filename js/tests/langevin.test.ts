import { describe, expect, it } from "vitest";
import {
  between,
  countingGap,
  gap,
  massOf,
  massShown,
  nextCall,
  pointsOf,
  readRun,
  roundLength,
  spreadOf,
  varianceRange,
  viewExtent,
  type Run,
} from "../src/scenes/bench_run";
import { chosen } from "../src/scenes/bench_controls";
import { FakeStore } from "./fake_store";

const array = (shape: number[], f: (i: number) => number = (i) => i) => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => f(i)),
});

/** Two methods, three frames, four points, two modes: every number is its own index. */
function traits(): Record<string, unknown> {
  const table = array([2, 3]);
  return {
    computed_for: { methods: ["langevin", "annealed"], calls: 100 },
    positions: array([3], (i) => [0, 20, 100][i]),
    frames: array([2, 3, 4, 2]),
    live: null,
    mass: array([2, 3, 2]),
    mass_error: array([2, 3, 2]),
    variance: table,
    variance_error: table,
    variance_predicted: table,
    level: table,
    spread: table,
    outcomes: [],
  };
}
const run = (): Run => readRun(new FakeStore(traits()) as never)!;

describe("frames by score calls", () => {
  it("finds where a call lies between two kept ones", () => {
    const at = [0, 20, 100];
    expect(between(at, 0)).toEqual({ before: 0, after: 0, u: 0 });
    expect(between(at, 5)).toEqual({ before: 0, after: 1, u: 0.25 });
    expect(between(at, 20)).toEqual({ before: 1, after: 2, u: 0 });
    expect(between(at, 60)).toEqual({ before: 1, after: 2, u: 0.5 });
    expect(between(at, 100)).toEqual({ before: 2, after: 2, u: 0 });
    expect(between(at, 1e9)).toEqual({ before: 2, after: 2, u: 0 });
  });

  it("steps from kept call to kept call, and stays at the last", () => {
    expect([0, 5, 20, 99, 100].map((call) => nextCall([0, 20, 100], call))).toEqual([20, 20, 100, 100, 100]);
  });

  it("takes the points and masses of one method in one frame", () => {
    expect([...pointsOf(run(), 1, 2)]).toEqual([40, 41, 42, 43, 44, 45, 46, 47]);
    expect(massOf(run(), 1, 1)).toEqual([8, 9]);
    expect(massShown(run(), [0.2, 0.8], 1, 1)).toBe(8); // of two modes the first one's
  });

  it("shows the present points of a run under way, whatever frame is asked for", () => {
    const store = new FakeStore({ ...traits(), frames: null, live: array([2, 4, 2]) });
    expect([...pointsOf(readRun(store as never)!, 1, 0)]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it("waits until all parts of a message are there", () => {
    for (const missing of ["computed_for", "positions", "frames", "mass", "variance_predicted", "spread"])
      expect(readRun(new FakeStore({ ...traits(), [missing]: null }) as never), missing).toBeNull();
    expect(readRun(new FakeStore({ ...traits(), level: array([2, 4]) }) as never)).toBeNull();
    expect(readRun(new FakeStore({ ...traits(), frames: array([1, 3, 4, 2]) }) as never)).toBeNull();
  });
});

describe("mass in the wrong modes", () => {
  it("is the total variation", () => {
    expect(gap([0.5, 0.5], [0.2, 0.8])).toBeCloseTo(0.3, 12);
    expect(gap([0, 0, 1], [0.5, 0.5, 0])).toBe(1);
  });

  it("has the mean over all outcomes as its floor", () => {
    // by enumeration: sum over x of C(n, x) w^x (1 - w)^(n - x) |x / n - w|, half of it twice
    for (const [w, n] of [
      [0.2, 7],
      [0.5, 10],
      [0.03, 12],
    ]) {
      let [mean, share] = [0, (1 - w) ** n];
      for (let x = 0; x <= n; x++) {
        mean += share * Math.abs(x / n - w);
        share *= ((n - x) / (x + 1)) * (w / (1 - w));
      }
      expect(countingGap([w, 1 - w], n)).toBeCloseTo(mean, 12);
    }
    // and of many points the mean of a normal law, sqrt(2 w (1 - w) / (pi n)), to a part in n
    expect(countingGap([0.2, 0.8], 5000)).toBeCloseTo(Math.sqrt((2 * 0.16) / (Math.PI * 5000)), 5);
  });
});

describe("what is in the picture", () => {
  it("holds 98 of 100 points", () => {
    const points = Float32Array.from({ length: 200 }, (_, i) => (i % 2 ? 0 : -(i / 2 + 1)));
    expect(spreadOf(points)).toBe(98);
  });

  it("shows all modes, then the points, but not an explosion", () => {
    expect(viewExtent(1, 5, 60)).toBe(5);
    expect(viewExtent(20, 5, 60)).toBe(21);
    expect(viewExtent(6e4, 5, 60)).toBe(60);
    expect(viewExtent(6e4, 5, 0.3)).toBe(5);
  });

  it("measures with a round length", () => {
    expect([9.9, 4, 1, 0.35, 73].map(roundLength)).toEqual([5, 2, 1, 0.2, 50]);
  });

  it("scales the variance to what comes late, and never beyond four", () => {
    const late = { ...run(), variance: [99, 99, 1.5, 1, 1, 0.5], predicted: [1, 1, 1, 1, 1, 1] };
    const [low, high] = varianceRange(late);
    expect(low).toBeCloseTo(0.5 - 0.06, 12);
    expect(high).toBeCloseTo(1.5 + 0.06, 12);
    expect(varianceRange({ ...late, variance: [0, 0, 1e9, 1, 1, 1] })[1]).toBe(4);
  });
});

describe("which methods stand side by side", () => {
  it("is never none, and never more than four", () => {
    expect(chosen(["mala"], "mala")).toEqual(["mala"]);
    expect(chosen(["mala", "pc"], "mala")).toEqual(["pc"]);
    expect(chosen(["mala"], "pc")).toEqual(["mala", "pc"]);
    expect(chosen(["langevin", "mala", "annealed", "pc"], "hmc")).toEqual(["langevin", "annealed", "pc", "hmc"]);
    expect(chosen(["langevin", "mala", "hmc", "pc"], "annealed")).toEqual(["langevin", "mala", "pc", "annealed"]);
  });
});
