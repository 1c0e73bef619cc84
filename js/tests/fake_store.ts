import type { Names, Store } from "../src/core/store";

/** A store over plain values: what a test sets and what a scene asked for. */
export class FakeStore implements Store {
  readonly requests: [string, unknown][] = [];
  readonly sent: [string, unknown][] = [];
  private readonly listeners = new Map<string, Set<() => void>>();

  constructor(
    private readonly values: Record<string, unknown>,
    readonly hasKernel = true,
    readonly embedded = false,
  ) {}

  get(name: string): any {
    return this.values[name];
  }
  set(name: string, value: unknown): void {
    this.sent.push([name, value]);
    this.setLocal(name, value);
  }
  setLocal(name: string, value: unknown): void {
    this.values[name] = value;
    for (const f of this.listeners.get(name) ?? []) f();
  }
  on(names: Names<any>, f: () => void, signal: AbortSignal): void {
    for (const name of [names].flat()) this.listen(name, f, signal);
  }
  private listen(name: string, f: () => void, signal: AbortSignal): void {
    const set = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, set.add(f));
    signal.addEventListener("abort", () => set.delete(f));
  }
  request(name: string, args?: Record<string, unknown>): void {
    this.requests.push([name, args]);
  }
  async child(): Promise<Store> {
    return this;
  }
}
