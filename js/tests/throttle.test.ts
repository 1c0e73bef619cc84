import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { throttle } from "../src/core/throttle";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("tells the first at once, then ten a second, and always the last", () => {
  const told: [number, number][] = [];
  const start = Date.now();
  const { send } = throttle<number>((v) => told.push([Date.now() - start, v]), 100, new AbortController().signal);
  for (let i = 0; i < 60; i++) {
    send(i);
    vi.advanceTimersByTime(16);
  }
  vi.advanceTimersByTime(1000);
  expect(told[0]).toEqual([0, 0]);
  expect(told.at(-1)![1]).toBe(59);
  for (let i = 1; i < told.length; i++) expect(told[i][0] - told[i - 1][0]).toBeGreaterThanOrEqual(100);
  expect(told.length).toBeGreaterThanOrEqual(10);
});

it("flushes on release and says nothing twice", () => {
  const told: string[] = [];
  const { send, flush } = throttle<string>((v) => told.push(v), 100, new AbortController().signal);
  send("a");
  send("b");
  flush();
  flush();
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(["a", "b"]);
});

it("is silent after the view is gone", () => {
  const told: string[] = [];
  const view = new AbortController();
  const { send } = throttle<string>((v) => told.push(v), 100, view.signal);
  send("a");
  send("b");
  view.abort();
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(["a"]);
});
