/**
 * The host of a saved page: a scene with its state and no kernel, from one file that opens from disk.
 *
 * `difflab/scenes/page.py` writes the page: `<main id="scene">` and the state as JSON in `<script id="state">`.
 * Arrays are `{dtype, shape, data: {base64}}`; a child scene stands as its own state object, which has a `scene`.
 */
import { mount } from "./core/host";
import { LocalValues } from "./core/local_values";
import type { Names, Store } from "./core/store";
import { decodeTrait } from "./core/wire";
import { findScene } from "./scenes/index";

type State = Record<string, unknown>;

class PageStore implements Store {
  readonly hasKernel = false;
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly locals = new LocalValues((name) => this.notify(name));
  private readonly children = new Map<string, Store>();

  constructor(
    private readonly state: State,
    private readonly onError: (error: unknown) => void,
    readonly embedded = false,
  ) {}

  get(name: string): any {
    return this.locals.has(name) ? this.locals.get(name) : decodeTrait(this.state[name]);
  }

  set(name: string, value: unknown): void {
    this.state[name] = value;
    if (this.locals.kernelSent(name, value)) this.notify(name);
  }

  setLocal(name: string, value: unknown): void {
    this.locals.set(name, value);
  }

  on(names: Names<any>, f: () => void, signal: AbortSignal): void {
    for (const name of [names].flat()) this.listen(name, f, signal);
  }

  private listen(name: string, f: () => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    const set = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, set.add(f));
    signal.addEventListener("abort", () => set.delete(f), { once: true });
  }

  request(): void {}

  async child(name: string): Promise<Store> {
    const state = this.state[name];
    if (state === null || typeof state !== "object") throw new Error(`The page was saved without "${name}".`);
    let child = this.children.get(name);
    if (!child) {
      child = new PageStore(state as State, this.onError, true);
      this.children.set(name, child);
    }
    return child;
  }

  private notify(name: string): void {
    for (const f of [...(this.listeners.get(name) ?? [])]) {
      try {
        f();
      } catch (error) {
        this.onError(error);
      }
    }
  }
}

/** A saved page has no JupyterLab around it: it says in JupyterLab's words which theme the reader prefers. */
function followPreferredTheme(): void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    document.body.dataset.jpThemeLight = String(!dark.matches);
  };
  dark.addEventListener("change", apply);
  apply();
}

function start(): void {
  followPreferredTheme();
  document.body.classList.add("difflab-page");
  const el = document.getElementById("scene")!;
  const state = JSON.parse(document.getElementById("state")!.textContent!) as State;
  const store = (onError: (error: unknown) => void) => new PageStore(state, onError);
  void mount(() => findScene(String(state.scene)), store, el, new AbortController().signal);
}

start();
