/**
 * Does Python still hear this view? JupyterLab leaves a widget on the page when its kernel restarts or dies.
 *
 * ipywidgets marks such views itself, but anywidget 0.11 removes the listener that would do it (its createView calls
 * `model.off(null, null, view)`), and a kernel that crashed and came back is marked by nobody. So both signs are read
 * here: the model's "comm_live_update" and, where the widget manager has a kernel, the kernel's own status.
 */
const STOPPED = "difflab-stopped";
const DISCONNECTED = ".jupyter-widgets-disconnected";
const GONE = new Set(["restarting", "autorestarting", "terminating", "dead"]);

interface Signal<T> {
  connect(slot: (sender: unknown, value: T) => void): void;
  disconnect(slot: (sender: unknown, value: T) => void): void;
}

/** JupyterLab's connection to a kernel; it is disposed when the kernel is shut down. */
interface Kernel {
  statusChanged?: Signal<string>;
  disposed?: Signal<void>;
}

interface WatchedModel {
  on(event: string, f: () => void): void;
  off(event: string, f: () => void): void;
  widget_manager?: unknown;
}

/** Give `el` the class that style.css turns into a banner, and that `stopped` reads. */
export function watchKernel(model: WatchedModel, el: HTMLElement, signal: AbortSignal): void {
  const mark = (gone: boolean) => el.classList.toggle(STOPPED, gone);
  // anywidget calls listeners with the view as `this`; its model knows whether it is live.
  const onLive = function (this: { model?: { comm_live?: boolean } } | undefined) {
    mark(this?.model?.comm_live !== true);
  };
  const onStatus = (_sender: unknown, status: string) => {
    if (GONE.has(status)) mark(true);
  };
  const onDisposed = () => mark(true);
  const kernel = (model.widget_manager as { kernel?: Kernel | null } | undefined)?.kernel;
  // a view restored from a saved notebook never had a kernel; ipywidgets marks it before it is drawn
  mark(el.closest(DISCONNECTED) !== null);
  model.on("comm_live_update", onLive);
  kernel?.statusChanged?.connect(onStatus);
  kernel?.disposed?.connect(onDisposed);
  signal.addEventListener(
    "abort",
    () => {
      model.off("comm_live_update", onLive);
      kernel?.statusChanged?.disconnect(onStatus);
      kernel?.disposed?.disconnect(onDisposed);
    },
    { once: true },
  );
}

export function stopped(el: Element): boolean {
  return el.closest(`.${STOPPED}, ${DISCONNECTED}`) !== null;
}
