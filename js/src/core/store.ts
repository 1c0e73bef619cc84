/**
 * What a scene knows of the world outside: named values that change, and a way to ask the kernel.
 *
 * Scenes see only this interface, so that they run the same in JupyterLab (widget.ts) and in a saved page (page.ts).
 */

/** The synced traits of every scene; each scene's module exports `State`, these and its own, name by name as in Python. */
export interface SceneState {
  /** Name of the Python class. */
  scene: string;
  /** The clock: 0 is data, 1 is noise. */
  t: number;
  seed: number;
  /** One red line in the panel; "" for none. */
  error: string;
  /** A calm word on what is being computed. */
  status: string;
  /** Names of the controls that are not shown (see deck.ts). */
  hidden: string[];
}

/** One name of a state, or several. */
export type Names<S> = (keyof S & string) | readonly (keyof S & string)[];

/** `S` is the scene's `State`: a name that Python does not know is a compile error. */
export interface Store<S = any> {
  /** Value of a synced trait. Arrays arrive decoded, see wire.ts. */
  get<K extends keyof S & string>(name: K): S[K];
  /** Set a small trait, tell every listener here, and the kernel, if there is one. See throttle.ts for sliders. */
  set<K extends keyof S & string>(name: K, value: S[K]): void;
  /**
   * Show `value` here without telling the kernel, e.g. a schedule that another scene is dragging right now.
   * It stands in front of the trait until the kernel sends a value of its own (see local_values.ts).
   */
  setLocal<K extends keyof S & string>(name: K, value: S[K]): void;
  /** Call `f` at each change of `name`, or of one of several names, from either side, until `signal` aborts. */
  on(name: Names<S>, f: () => void, signal: AbortSignal): void;
  /** Ask the kernel to do something; it answers by changing traits. Nothing happens in a saved page. */
  request(name: string, args?: Record<string, unknown>): void;
  /** The store of a child scene (a trait that holds a widget). */
  child(name: string): Promise<Store>;
  /** False in a saved page: controls that need the kernel are then hidden. */
  readonly hasKernel: boolean;
  /** True for a store got by `child`: the scene stands inside another one, which gives the time bar. */
  readonly embedded: boolean;
}

/**
 * A scene draws into `el` and follows `clock` until `signal` aborts.
 *
 * The host (widget.ts, page.ts) links the clock to the root store's `t` trait; scenes need not write it.
 */
export type Scene<S = any> = (
  store: Store<S>,
  el: HTMLElement,
  clock: Clock,
  signal: AbortSignal,
) => void | Promise<void>;

/** The one time that all panels share. */
export interface Clock {
  readonly t: number;
  readonly playing: boolean;
  /** How fast it plays: 1, or less for those who want to look closely. */
  pace: number;
  /** Move to `t` (clamped to [0, 1]); every subscriber is called in the next frame. */
  seek(t: number): void;
  /** Play towards t = 1 (`+1`) or towards data (`-1`); stops at the end. */
  play(direction: 1 | -1): void;
  pause(): void;
  /** Called once a frame at most when `t` or `playing` changed; call it once at once. */
  subscribe(f: (clock: Clock) => void, signal: AbortSignal): void;
}
