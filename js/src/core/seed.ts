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
  input.addEventListener(
    "change",
    () => {
      const seed = Number(input.value);
      if (input.value !== "" && Number.isInteger(seed) && seed >= 0 && seed <= LARGEST_SEED) store.set("seed", seed);
      else show();
    },
    { signal },
  );
  input.addEventListener("input", fit, { signal });
  store.on("seed", show, signal);
  show();
  return root;
}
