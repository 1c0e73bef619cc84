/** What both hosts do with a scene: give it a clock linked to `t`, and show what it throws. */
import { createClock, linkClock } from "./clock";
import { element, sentence } from "./panel";
import { pressedIn } from "./pressed";
import type { Scene, Store } from "./store";
import { followTheme } from "./theme";
import "./style.css";
import "./controls.css";
import "./host.css";

/**
 * Run the scene that `find` returns in `el` until `signal` aborts.
 *
 * What a scene throws while it draws reaches its panel; what reaches nobody is one red line above the scene.
 */
export async function mount(
  find: () => Scene,
  store: (onError: (error: unknown) => void) => Store,
  el: HTMLElement,
  signal: AbortSignal,
): Promise<void> {
  el.classList.add("difflab", "difflab-root");
  followTheme(el, signal);
  keepPlainKeys(el, signal);
  const line = element("p", "difflab-error");
  line.setAttribute("role", "alert");
  line.hidden = true;
  const place = element("div", "difflab-place");
  el.replaceChildren(line, place);
  const show = (error: unknown) => {
    line.textContent = error === null ? "" : sentence(error);
    line.hidden = error === null;
  };
  el.addEventListener("difflab-error", (event) => show((event as CustomEvent).detail), { signal });
  try {
    const root = store(show);
    el.classList.toggle("difflab-no-kernel", !root.hasKernel);
    const clock = createClock({ onError: show });
    linkClock(root, clock, signal);
    await find()(root, place, clock, signal);
  } catch (error) {
    show(error);
  }
}

/**
 * JupyterLab takes keys for the notebook wherever the focus is: arrows change the cell, so that no slider moves; Enter edits
 * it, so that no button is pressed; "d", "d" deletes it. Inside a scene they are the scene's; with Ctrl, Alt or the command
 * key, and as Shift+Enter, they stay JupyterLab's.
 */
function keepPlainKeys(el: HTMLElement, signal: AbortSignal): void {
  const onKey = (event: KeyboardEvent) => {
    const target = pressedIn(event);
    if (!el.contains(target)) return;
    const jupyters = event.ctrlKey || event.metaKey || event.altKey || (event.shiftKey && event.key === "Enter");
    target.toggleAttribute("data-lm-suppress-shortcuts", !jupyters); // JupyterLab looks for it next, on the document
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}
