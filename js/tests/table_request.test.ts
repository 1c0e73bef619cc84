import { describe, expect, it, vi } from "vitest";
import { alphaSigma, drawable, type Schedule } from "../src/core/schedule";
import { tableRequest } from "../src/scenes/table_request";
import { FakeStore } from "./fake_store";

/** log-SNR 0 everywhere. */
const flat = () => ({ dtype: "float64", shape: [2, 6], data: new Float64Array(12) });
const ask = (a: number): Schedule => ({ name: "Unheard", params: { a } });

function asker() {
  const store = new FakeStore({ table: null });
  const shown: number[] = [];
  const stop = new AbortController();
  const requests = tableRequest(store as never, (s) => shown.push(s.params.a), stop.signal);
  const tokens = () => store.requests.map(([, args]) => (args as { token: number }).token);
  const answer = (token: number, a: number) => store.setLocal("table", { token, ...ask(a), table: flat() });
  return { store, shown, stop, requests, tokens, answer };
}

describe("tables while a slider moves", () => {
  it("asks one question at a time, and then the newest that waits: nothing queues", () => {
    const { store, shown, requests, tokens, answer, stop } = asker();
    for (const a of [1, 2, 3, 4]) requests.ask(ask(a));
    expect(store.requests.map(([name, args]) => [name, (args as any).params.a])).toEqual([["table", 1]]);
    answer(tokens()[0], 1);
    expect(store.requests.map(([, args]) => (args as any).params.a)).toEqual([1, 4]);
    expect(requests.wanted).not.toBeNull();
    answer(tokens()[1], 4);
    expect(shown).toEqual([1, 4]);
    expect(requests.wanted).toBeNull();
    stop.abort();
  });

  it("drops what was overtaken, what another view asked for, and what nobody wants any more", () => {
    const { shown, requests, tokens, answer, stop } = asker();
    requests.ask(ask(11));
    answer(tokens()[0] + 5, 9);
    expect(shown).toEqual([]);
    requests.forget();
    answer(tokens()[0], 11);
    expect(shown).toEqual([]);
    expect(drawable(ask(11))).toBe(true); // but the table is remembered
    expect(alphaSigma(ask(11), 0.3).alpha).toBeCloseTo(Math.SQRT1_2, 15);
    stop.abort();
  });

  it("does not go back to an older answer that comes late, nor show one twice", () => {
    vi.useFakeTimers();
    const { shown, requests, tokens, answer, stop } = asker();
    requests.ask(ask(31));
    vi.advanceTimersByTime(3001); // the first question is given up
    requests.ask(ask(32));
    requests.ask(ask(33));
    answer(tokens()[1], 32); // and now the third is under way
    answer(tokens()[0], 31);
    answer(tokens()[1], 32);
    expect(shown).toEqual([32]);
    answer(tokens()[2], 33);
    expect(shown).toEqual([32, 33]);
    stop.abort();
    vi.useRealTimers();
  });

  it("asks what waits even if the question under way is never answered", () => {
    vi.useFakeTimers();
    const { requests, store, stop } = asker();
    requests.ask(ask(21));
    requests.ask(ask(22));
    vi.advanceTimersByTime(3001);
    expect(store.requests.map(([, args]) => (args as any).params.a)).toEqual([21, 22]);
    stop.abort();
    vi.useRealTimers();
  });
});
