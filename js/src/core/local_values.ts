/**
 * Values that stand in front of traits for a while, for `Store.setLocal`.
 *
 * While a hand drags a slider, the kernel's answers lag: each would pull the picture back to where the hand was. So a
 * local value stays until the kernel agrees with it, or until the hand has rested for `REST_MS` and the kernel has a
 * value of its own.
 */
const REST_MS = 800;

interface Local {
  value: unknown;
  setAt: number;
  timer?: ReturnType<typeof setTimeout>;
}

export class LocalValues {
  private readonly locals = new Map<string, Local>();

  constructor(
    /** Tell the listeners of a trait that its visible value changed. */
    private readonly notify: (name: string) => void,
    private readonly now: () => number = () => Date.now(),
  ) {}

  has(name: string): boolean {
    return this.locals.has(name);
  }

  get(name: string): unknown {
    return this.locals.get(name)?.value;
  }

  set(name: string, value: unknown): void {
    clearTimeout(this.locals.get(name)?.timer);
    this.locals.set(name, { value, setAt: this.now() });
    this.notify(name);
  }

  /** The kernel (or this page by `Store.set`) gave the trait a value; true when listeners should hear of it now. */
  kernelSent(name: string, value: unknown): boolean {
    const local = this.locals.get(name);
    if (!local) return true;
    clearTimeout(local.timer);
    if (JSON.stringify(local.value) === JSON.stringify(value)) {
      this.locals.delete(name);
      return false;
    }
    const rested = this.now() - local.setAt;
    if (rested >= REST_MS) {
      this.locals.delete(name);
      return true;
    }
    local.timer = setTimeout(() => {
      this.locals.delete(name);
      this.notify(name);
    }, REST_MS - rested);
    return false;
  }

  clear(): void {
    for (const local of this.locals.values()) clearTimeout(local.timer);
    this.locals.clear();
  }
}
