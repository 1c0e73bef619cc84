/**
 * What a scene knows of the world outside: named values that change, and a way to ask the kernel.
 *
 * Scenes see only this interface, so that they run the same in JupyterLab (widget.ts) and in a saved page (page.ts).
 */
export interface Store {
  /** Value of a synced trait. Arrays arrive decoded, see wire.ts. */
  get<T>(name: string): T;
  /** Set a small trait, tell every listener here, and the kernel, if there is one. See throttle.ts for sliders. */
  set(name: string, value: unknown): void;
  /**
   * Show `value` here without telling the kernel, e.g. a schedule that another scene is dragging right now.
   * It stands in front of the trait until the kernel sends a value of its own (see local_values.ts).
   */
  setLocal(name: string, value: unknown): void;
  /** Call `f` at each change of `name`, from either side, until `signal` aborts. */
  on(name: string, f: () => void, signal: AbortSignal): void;
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
export type Scene = (store: Store, el: HTMLElement, clock: Clock, signal: AbortSignal) => void | Promise<void>;

/** The one time that all panels share. */
export interface Clock {
  readonly t: number;
  readonly playing: boolean;
  /** Move to `t` (clamped to [0, 1]); every subscriber is called in the next frame. */
  seek(t: number): void;
  /** Play towards t = 1 (`+1`) or towards data (`-1`); stops at the end. */
  play(direction: 1 | -1): void;
  pause(): void;
  /** Called once a frame at most when `t` or `playing` changed; call it once at once. */
  subscribe(f: (clock: Clock) => void, signal: AbortSignal): void;
}
