import type { Store } from "./store";

/**
 * A store some of whose names are another store's: `linked(forward, { schedule: desk })` reads, writes and follows the
 * desk's schedule. So the Lab has one schedule, seen by every panel in the same frame, before the kernel has heard of it.
 */
export function linked(store: Store, elsewhere: Readonly<Record<string, Store>>): Store {
  const owner = (name: string) => elsewhere[name] ?? store;
  return {
    get: (name) => owner(name).get(name),
    set: (name, value) => owner(name).set(name, value),
    setLocal: (name, value) => owner(name).setLocal(name, value),
    on: (names, f, signal) => {
      for (const name of [names].flat()) owner(name).on(name, f, signal);
    },
    request: (name, args) => store.request(name, args),
    child: (name) => store.child(name),
    hasKernel: store.hasKernel,
    embedded: store.embedded,
  };
}
