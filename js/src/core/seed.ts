/** "seed 7": the number can be edited; every random draw of the scene follows from it. */
import { element } from "./panel";
import type { SceneState, Store } from "./store";

export const LARGEST_SEED = 2 ** 31 - 1;

export function seedField(store: Store<SceneState>, signal: AbortSignal): HTMLElement {
  const root = element("label", "difflab-chip difflab-seed");
  const input = element("input", "");
  input.type = "number";
  input.min = "0";
  input.max = String(LARGEST_SEED);
  input.step = "1";
  input.disabled = !store.hasKernel; // other samples are Python's to draw
  root.append("seed", input);
  const fit = () => (input.style.width = `${Math.max(1, input.value.length) + 0.5}ch`);
  const show = () => {
    input.value = String(store.get("seed") ?? 0);
    fit();
  };
  const commit = () => {
    const seed = Number(input.value);
    const valid = input.value !== "" && Number.isInteger(seed) && seed >= 0 && seed <= LARGEST_SEED;
    if (!valid) show();
    else if (seed !== store.get("seed")) store.set("seed", seed);
  };
  input.addEventListener("change", commit, { signal });
  onEnter(input, commit, signal);
  input.addEventListener("input", fit, { signal });
  store.on("seed", show, signal);
  show();
  return root;
}

/** In a notebook Enter does not end an input's change: JupyterLab takes the key on its way up. */
export function onEnter(input: HTMLInputElement, f: () => void, signal: AbortSignal): void {
  input.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Enter") f();
    },
    { signal },
  );
}
