import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LocalValues } from "../src/core/local_values";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function make() {
  const told: string[] = [];
  return { told, locals: new LocalValues((name) => told.push(name)) };
}

it("does not let the kernel's late answers pull a dragged value back", () => {
  const { told, locals } = make();
  locals.set("schedule", { s: 3 });
  expect(locals.kernelSent("schedule", { s: 1 })).toBe(false);
  expect(locals.get("schedule")).toEqual({ s: 3 });
  expect(told).toEqual(["schedule"]);
});

it("gives way in silence when the kernel agrees", () => {
  const { told, locals } = make();
  locals.set("schedule", { s: 3 });
  expect(locals.kernelSent("schedule", { s: 3 })).toBe(false);
  expect(locals.has("schedule")).toBe(false);
  vi.advanceTimersByTime(5000);
  expect(told).toEqual(["schedule"]);
});

it("gives way to a different value of the kernel once the hand rests, and tells the listeners", () => {
  const { told, locals } = make();
  locals.set("schedule", { s: 3 });
  locals.kernelSent("schedule", { s: 2 });
  vi.advanceTimersByTime(5000);
  expect(locals.has("schedule")).toBe(false);
  expect(told).toEqual(["schedule", "schedule"]);
});

it("stays as long as the kernel says nothing", () => {
  const { locals } = make();
  locals.set("schedule", { s: 3 });
  vi.advanceTimersByTime(60_000);
  expect(locals.has("schedule")).toBe(true);
  expect(locals.kernelSent("schedule", { s: 2 })).toBe(true);
});

it("lets other names pass", () => {
  expect(make().locals.kernelSent("t", 0.5)).toBe(true);
});
