/** The only file that knows anywidget: a model becomes a Store, a view becomes a place to draw. */
import { mount } from "./core/host";
import { stopped, watchKernel } from "./core/kernel_watch";
import { LocalValues } from "./core/local_values";
import type { Names, Store } from "./core/store";
import { decodeTrait } from "./core/wire";
import { findScene } from "./scenes/index";

/** The part of an anywidget model that is used here. */
interface Model {
  get(name: string): unknown;
  set(name: string, value: unknown): void;
  save_changes(): void;
  send(message: unknown): void;
  on(event: string, f: (...args: any[]) => void): void;
  off(event: string, f: (...args: any[]) => void): void;
  widget_manager?: { get_model(id: string): Promise<Model> };
}

interface Host {
  getModel?(ref: string): Promise<Model>;
}

interface RenderProps {
  model: Model;
  el: HTMLElement;
  signal?: AbortSignal;
  host?: Host;
}

class ModelStore implements Store {
  readonly hasKernel = true;
  private token = 0;
  private readonly listeners = new Map<string, Set<() => void>>();
  private readonly locals: LocalValues;
  private readonly children = new Map<string, Promise<Store>>();

  constructor(
    private readonly model: Model,
    private readonly view: { el: HTMLElement; signal: AbortSignal; host?: Host; onError: (error: unknown) => void },
    readonly embedded = false,
  ) {
    this.locals = new LocalValues((name) => this.notify(name));
    view.signal.addEventListener("abort", () => this.locals.clear(), { once: true });
  }

  get(name: string): any {
    return this.locals.has(name) ? this.locals.get(name) : decodeTrait(this.model.get(name));
  }

  set(name: string, value: unknown): void {
    this.model.set(name, value);
    // A kernel that is gone gets nothing; the picture still follows the hand.
    if (!stopped(this.view.el)) this.model.save_changes();
  }

  setLocal(name: string, value: unknown): void {
    this.locals.set(name, value);
  }

  on(names: Names<any>, f: () => void, signal: AbortSignal): void {
    for (const name of [names].flat()) this.listen(name, f, signal);
  }

  private listen(name: string, f: () => void, signal: AbortSignal): void {
    if (signal.aborted) return;
    let set = this.listeners.get(name);
    if (!set) {
      set = new Set();
      this.listeners.set(name, set);
      const changed = () => {
        if (this.locals.kernelSent(name, this.model.get(name))) this.notify(name);
      };
      this.model.on(`change:${name}`, changed);
      this.view.signal.addEventListener("abort", () => this.model.off(`change:${name}`, changed), { once: true });
    }
    set.add(f);
    signal.addEventListener("abort", () => set.delete(f), { once: true });
  }

  request(name: string, args: Record<string, unknown> = {}): void {
    if (stopped(this.view.el)) return;
    this.token += 1;
    // A custom message, not a trait: it arrives even when a state update was lost with a dropped connection.
    this.model.send({ request: name, token: this.token, args });
  }

  child(name: string): Promise<Store> {
    let child = this.children.get(name);
    if (!child) {
      child = this.childModel(name).then((model) => new ModelStore(model, this.view, true));
      this.children.set(name, child);
    }
    return child;
  }

  /** A widget trait arrives as "anywidget:ID" (anywidget's WidgetTrait) or "IPY_MODEL_ID" (ipywidgets). */
  private async childModel(name: string): Promise<Model> {
    const ref = this.model.get(name);
    if (typeof ref !== "string") throw new Error(`The scene has no part called "${name}".`);
    const { host } = this.view;
    if (ref.startsWith("anywidget:") && host?.getModel) return host.getModel(ref);
    const manager = this.model.widget_manager;
    if (!manager) throw new Error("This page's widget manager cannot find the parts of a scene; anywidget 0.11 can.");
    return manager.get_model(ref.replace(/^(anywidget:|IPY_MODEL_)/, ""));
  }

  private notify(name: string): void {
    for (const f of [...(this.listeners.get(name) ?? [])]) {
      try {
        f();
      } catch (error) {
        this.view.onError(error);
      }
    }
  }
}

function render({ model, el, signal: given, host }: RenderProps): () => void {
  const controller = new AbortController();
  const signal = given ? AbortSignal.any([given, controller.signal]) : controller.signal;
  const makeStore = (onError: (error: unknown) => void) => {
    const store = new ModelStore(model, { el, signal, host, onError });
    // The first message of a kernel runs on its main thread and starts the thread that serves the later ones.
    store.request("ready");
    return store;
  };
  answerBeats(model, signal);
  watchKernel(model, el, signal);
  void mount(() => findScene(String(model.get("scene"))), makeStore, el, signal);
  return () => controller.abort();
}

/**
 * Python asks now and then when what it sent has been drawn, so as not to send more than is: answer in the next frame.
 * A hidden tab has no frames.
 */
function answerBeats(model: Model, signal: AbortSignal): void {
  const answer = (message: { beat?: number } | null) => {
    const beat = message?.beat;
    if (beat !== undefined) requestAnimationFrame(() => model.send({ request: "beat", args: { beat } }));
  };
  model.on("msg:custom", answer);
  signal.addEventListener("abort", () => model.off("msg:custom", answer), { once: true });
}

export default { render };
