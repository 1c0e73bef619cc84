/**
 * Numbers that Python computed belong to the schedule it had then. When the desk has moved on they are not wrong but
 * they are no longer about what is on screen: they must not stand there as exact.
 */
import type { Store } from "../core/store";

export interface Staleness {
  /** Why the numbers are not to be shown as they are, or "" when they belong to the desk's schedule and steps. */
  reason(): string;
  /** Whether somebody is there to compute them again. */
  readonly answered: boolean;
}

/** Follows `trait` of `store`, which is computed for the `watched` traits of the desk. */
export function staleness(
  desk: Store,
  watched: readonly string[],
  store: Store,
  trait: string,
  onChange: () => void,
  signal: AbortSignal,
): Staleness {
  const now = () => JSON.stringify(watched.map((name) => desk.get(name)));
  let computedFor = now();
  for (const name of watched) desk.on(name, onChange, signal);
  store.on(
    trait,
    () => {
      computedFor = now();
      onChange();
    },
    signal,
  );
  return {
    answered: desk.hasKernel,
    reason: () => (now() === computedFor ? "" : desk.hasKernel ? "being computed" : "needs Python"),
  };
}
