/** The frame of every scene: a title, one short line at its right, the drawing, controls under it, one error line. */
import type { Store } from "./store";

export interface Panel {
  root: HTMLElement;
  /** The drawing goes here; it takes the height that is left. */
  body: HTMLElement;
  /** Controls and numbers under the drawing; takes no room while empty. */
  footer: HTMLElement;
  setNote(note: string | Node): void;
  /** One red line that says what is wrong and what to do; "" clears it. */
  setError(text: string): void;
  /** A calm word such as "sampling 23/50"; "" clears it. */
  setStatus(text: string): void;
  /** The same function, which shows what it throws in the error line instead of losing it. */
  guard<A extends unknown[]>(f: (...args: A) => void): (...args: A) => void;
}

export function createPanel(el: HTMLElement, { title, note = "" }: { title: string; note?: string | Node }): Panel {
  el.classList.add("difflab");
  const root = element("section", "difflab-panel");
  root.setAttribute("aria-label", title);
  const heading = element("h2", "difflab-title");
  const name = element("span", "");
  name.textContent = title;
  const status = element("span", "difflab-status");
  status.setAttribute("role", "status");
  const small = element("small", "difflab-note");
  heading.append(name, status, small);
  const error = element("p", "difflab-error");
  error.setAttribute("role", "alert");
  error.hidden = true;
  const body = element("div", "difflab-body");
  const footer = element("div", "difflab-footer");
  root.append(heading, error, body, footer);
  el.append(root);

  // What the kernel told and what the scene itself threw share the line; the newer trouble is the scene's own.
  let told = "";
  let thrown = "";
  const showError = () => {
    error.textContent = thrown || told;
    error.hidden = error.textContent === "";
  };
  const panel: Panel = {
    root,
    body,
    footer,
    setNote(value) {
      small.replaceChildren(value);
    },
    setError(text) {
      told = text;
      showError();
    },
    setStatus(text) {
      status.textContent = text;
    },
    guard: (f) => watched(root, f),
  };
  panel.setNote(note);
  root.addEventListener("difflab-error", (event) => {
    event.stopPropagation();
    const { detail } = event as CustomEvent<unknown>;
    thrown = detail === null ? "" : sentence(detail);
    showError();
  });
  return panel;
}

/** Show the store's `error` and `status` traits in the panel. */
export function followMessages(store: Store, panel: Panel, signal: AbortSignal): void {
  const error = () => panel.setError(store.get("error") ?? "");
  const status = () => panel.setStatus(store.get("status") ?? "");
  error();
  status();
  store.on("error", error, signal);
  store.on("status", status, signal);
}

/** Tell the panel around `el` that something failed, or with null that it works again. */
export function raise(el: Element, error: unknown): void {
  el.dispatchEvent(new CustomEvent("difflab-error", { detail: error, bubbles: true }));
}

/** The same function; what it throws stands in the error line around `el` until the function succeeds again. */
export function watched<A extends unknown[]>(el: Element, f: (...args: A) => void): (...args: A) => void {
  let failed = false;
  return (...args) => {
    try {
      f(...args);
      if (failed) raise(el, null);
      failed = false;
    } catch (error) {
      failed = true;
      raise(el, error);
    }
  };
}

export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A new element with a class; "" for none. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  if (className) el.className = className;
  return el;
}
