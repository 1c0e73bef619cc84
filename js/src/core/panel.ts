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

  const panel: Panel = {
    root,
    body,
    footer,
    setNote(value) {
      small.replaceChildren(value);
    },
    setError(text) {
      error.textContent = text;
      error.hidden = text === "";
    },
    setStatus(text) {
      status.textContent = text;
    },
    guard(f) {
      return (...args) => {
        try {
          f(...args);
        } catch (e) {
          panel.setError(sentence(e));
        }
      };
    },
  };
  panel.setNote(note);
  root.addEventListener("difflab-error", (event) => {
    event.stopPropagation();
    panel.setError(sentence((event as CustomEvent).detail));
  });
  return panel;
}

/** Show the store's `error` and `status` traits in the panel. */
export function followMessages(store: Store, panel: Panel, signal: AbortSignal): void {
  const error = () => panel.setError(store.get<string | undefined>("error") ?? "");
  const status = () => panel.setStatus(store.get<string | undefined>("status") ?? "");
  error();
  status();
  store.on("error", error, signal);
  store.on("status", status, signal);
}

/** Tell the panel around `el` that something failed. */
export function raise(el: Element, error: unknown): void {
  el.dispatchEvent(new CustomEvent("difflab-error", { detail: error, bubbles: true }));
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
