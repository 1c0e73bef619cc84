import { describe, expect, it } from "vitest";
import { niceTicks } from "../src/core/chart";
import { lossAt, moral, whyNoEntropy } from "../src/scenes/at_t";
import { beyondSliders } from "../src/scenes/schedule_desk";
import { mainAction, stateWords } from "../src/scenes/training_controls";
import { axisEnd, topOf } from "../src/scenes/loss_curve";
import { FakeStore } from "./fake_store";

const pairs = (data: number[]) => ({ dtype: "float32", shape: [data.length / 2, 2], data: Float64Array.from(data) });

it("the loss at t is the floor plus the excess, in the face that is shown, straight between the levels", () => {
  const state = {
    times: { dtype: "float32", shape: [3], data: Float64Array.of(0, 0.5, 1) },
    measures: ["eps", "x0"],
    factors: { dtype: "float32", shape: [2, 3], data: Float64Array.of(1, 1, 1, 2, 4, 6) },
    floor: pairs([1, 0.1, 2, 0.1, 4, 0.1]),
    excess: pairs([0.5, 0.1, 0.5, 0.1, 0, 0.1]),
    prediction: "x0",
  };
  const half = lossAt(new FakeStore(state), 0.25);
  expect(half.floor!.value).toBe((2 + 8) / 2);
  expect(half.floor!.error).toBeCloseTo((0.2 + 0.4) / 2, 12);
  expect(half.learned!.value).toBe((2 + 8) / 2 + (1 + 2) / 2);
  expect(half.learned!.error).toBeCloseTo(Math.hypot(0.3, 0.3), 12);
  expect(lossAt(new FakeStore({ ...state, prediction: "eps" }), 1).learned!.value).toBe(4);
  expect(lossAt(new FakeStore({ ...state, excess: null }), 1)).toEqual({
    floor: { value: 24, error: expect.closeTo(0.6, 12) },
    learned: null,
  });
  expect(lossAt(new FakeStore({ ...state, times: null }), 1)).toEqual({ floor: null, learned: null });
});

it("an entropy that is on its way is not one that nobody knows", () => {
  expect(whyNoEntropy({ entropy: null }, "being computed")).toBe("not known for these data");
  // as bit_state.ts has it while only the curve is known
  expect(whyNoEntropy({ entropy: undefined }, "being computed")).toBe("being computed");
  expect(whyNoEntropy({}, "needs Python")).toBe("needs Python");
});

it("the moral is computed from the two numbers", () => {
  expect(moral(0.271, 0.254)).toBe("A flat loss is not a broken one: 94 % of it is the floor.");
  expect(moral(0.5, 0.25)).toBe("50 % of the loss is the floor; the other 0.25 can still be learned.");
  expect(moral(0.25, 0.254)).toMatch(/as good as exact/);
  expect(moral(null, 0.254)).toMatch(/Not trained yet/);
  expect(moral(0.3, null)).toMatch(/No exact floor/);
});

describe("beyondSliders", () => {
  const choices = [
    {
      name: "VPCosine",
      label: "cosine",
      params: [{ name: "s", label: "offset s", min: 1e-3, max: 0.2, default: 8e-3 }],
    },
  ];
  it("says in one sentence what a slider cannot reach", () => {
    expect(beyondSliders({ name: "VPCosine", params: { s: 0.9 } }, choices)).toEqual([
      "offset s = 0.900 lies beyond its slider, which ends at 0.200.",
    ]);
    expect(beyondSliders({ name: "VPCosine", params: { s: 1e-4 } }, choices)[0]).toMatch(/which begins at/);
  });
  it("is silent about everything else", () => {
    expect(beyondSliders({ name: "VPCosine", params: { s: 0.01 } }, choices)).toEqual([]);
    expect(beyondSliders({ name: "Other", params: { a: 1e9 } }, choices)).toEqual([]);
  });
});

it("the state is one calm line", () => {
  expect(stateWords("running", 4210, 241.3)).toBe("training · step 4,210 · 241 steps/s");
  expect(stateWords("paused", 4210, 241.3)).toBe("paused · step 4,210");
  expect(stateWords("finished", 20000, 0)).toBe("trained · 20,000 steps");
  expect(stateWords("idle", 0, 0)).toBe("not trained yet");
});

it("one button starts, pauses and resumes", () => {
  expect(mainAction("idle", "Train")).toEqual({ label: "Train", request: "start" });
  expect(mainAction("running")).toEqual({ label: "Pause", request: "pause" });
  expect(mainAction("paused")).toEqual({ label: "Resume", request: "resume" });
  for (const state of ["finished", "failed", "stopped"] as const) expect(mainAction(state).request).toBe("start");
});

it("the loss axis shows the whole fall, but not a spike that would flatten it", () => {
  expect(topOf([1, 0.5, 0.3, 0.3], 0.28)).toBeCloseTo(1.06, 10);
  expect(topOf([1e6, 0.5, 0.3, 0.3], 0.28)).toBeCloseTo(1.06 * 6 * 0.3, 10);
  expect(topOf([], 0.3)).toBeGreaterThan(0.3);
  expect(topOf([NaN, 0.4], null)).toBeCloseTo(1.06 * 0.4, 10);
});

it("the step axis grows in strides that hold the last step", () => {
  let before = 0;
  for (let step = 1; step < 30000; step += 37) {
    const end = axisEnd(step);
    expect(end).toBeGreaterThanOrEqual(step);
    expect(end).toBeGreaterThanOrEqual(before);
    if (step > 100) expect(end).toBeLessThanOrEqual(1.34 * step + 1);
    before = end;
  }
});

it("ticks are round and inside", () => {
  expect(niceTicks(0, 1.2, 3)).toEqual([0, 0.5, 1]);
  expect(niceTicks(0, 4210, 4)).toEqual([0, 2000, 4000]);
  expect(Object.is(niceTicks(0, 1, 2)[0], 0)).toBe(true);
  expect(niceTicks(1, 1, 3)).toEqual([1]);
});
