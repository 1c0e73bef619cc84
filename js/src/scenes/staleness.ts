/**
 * Numbers that Python computed belong to the schedule it had then, which it says beside them. When the desk has moved on
 * they are not wrong but they are no longer about what is on screen: they must not stand there as exact.
 */
import type { Store } from "../core/store";

export interface Staleness {
  /** Why the numbers are not to be shown as they are, or "" when they belong to the desk's schedule and steps. */
  reason(): string;
  /** Whether somebody is there to compute them again. */
  readonly answered: boolean;
}

/** The traits of the desk, by name, that an answer was computed for. */
export type Question = Readonly<Record<string, unknown>>;

/** Whether `answered` was computed for what the desk shows now; an answer that names no question is never stale. */
export function current(desk: Store, answered: Question | null | undefined): boolean {
  return Object.entries(answered ?? {}).every(([name, value]) => same(plain(value), plain(desk.get(name))));
}

/** A schedule is told by its name and parameters; the table that it may bring along is not part of the question. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== "object" || !("params" in value)) return value;
  return { ...value, table: null };
}

/** Equal as JSON, in whatever order an object's names stand. */
function same(a: unknown, b: unknown): boolean {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => same(left[name], right[name]));
}

/** Follows the desk and `trait` of `store`; `question` reads from the store what its numbers were computed for. */
export function staleness(
  desk: Store,
  store: Store,
  trait: string,
  question: () => Question | null | undefined,
  onChange: () => void,
  signal: AbortSignal,
): Staleness {
  desk.on(["schedule", "steps"], onChange, signal);
  store.on(trait, onChange, signal);
  return {
    answered: desk.hasKernel,
    reason: () => (current(desk, question()) ? "" : desk.hasKernel ? "being computed" : "needs Python"),
  };
}
