import { expect, it } from "vitest";
import { linked } from "../src/core/linked";
import { current, staleness } from "../src/scenes/staleness";
import { FakeStore } from "./fake_store";

const signal = new AbortController().signal;
const cosine = { name: "VPCosine", params: { s: 0.008 } };
const linear = { name: "VPLinear", params: { beta_min: 1e-4, beta_max: 0.02 } };

it("gives every panel the desk's schedule, before the kernel has it, and nothing else of the desk", () => {
  const desk = new FakeStore({ schedule: cosine, steps: 1000 });
  const own = new FakeStore({ schedule: cosine, steps: 40 });
  const reverse = linked(own, { schedule: desk });
  let heard = 0;
  reverse.on("schedule", () => heard++, signal);
  desk.setLocal("schedule", linear);
  expect(reverse.get("schedule")).toBe(linear);
  expect(heard).toBe(1);
  expect(desk.sent).toEqual([]);
  own.setLocal("schedule", cosine); // the kernel's late copy
  expect([heard, reverse.get("schedule")]).toEqual([1, linear]);
  expect(reverse.get("steps")).toBe(40);
  reverse.request("sample");
  expect([own.requests.length, desk.requests.length]).toEqual([1, 0]);
});

it("knows which numbers belong to a schedule that is no longer on the desk", () => {
  const desk = new FakeStore({ schedule: cosine, steps: 1000 });
  const bits = new FakeStore({ computed_for: null });
  let changes = 0;
  const age = staleness(
    desk,
    bits,
    "computed_for",
    () => bits.get("computed_for"),
    () => changes++,
    signal,
  );
  expect(age.reason()).toBe("");
  bits.setLocal("computed_for", { schedule: cosine, steps: 1000 });
  expect(age.reason()).toBe("");
  desk.setLocal("schedule", linear);
  expect(age.reason()).toBe("being computed");
  bits.setLocal("computed_for", { schedule: cosine, steps: 1000 }); // a late answer to the old question
  expect(age.reason()).toBe("being computed");
  const reordered = { params: { beta_max: 0.02, beta_min: 1e-4 }, name: "VPLinear" };
  bits.setLocal("computed_for", { schedule: reordered, steps: 1000 });
  expect(age.reason()).toBe("");
  desk.setLocal("steps", 10);
  expect(age.reason()).toBe("being computed");
  expect(changes).toBe(5);
});

it("does not ask about what an answer does not name", () => {
  const desk = new FakeStore({ schedule: cosine, steps: 1000 });
  expect(current(desk, { schedule: { ...cosine } })).toBe(true);
  desk.setLocal("steps", 10);
  expect(current(desk, { schedule: { ...cosine } })).toBe(true);
  expect(current(desk, { schedule: { name: "VPCosine", params: { s: 0.009 } } })).toBe(false);
});

it("says in a saved page that new numbers need Python", () => {
  const desk = new FakeStore({ schedule: cosine }, false);
  const age = staleness(
    desk,
    new FakeStore({}, false),
    "profile",
    () => ({ schedule: cosine }),
    () => {},
    signal,
  );
  desk.setLocal("schedule", linear);
  expect([age.reason(), age.answered]).toEqual(["needs Python", false]);
});
