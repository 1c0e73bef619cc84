/**
 * The controls of a scene: at most five always in sight, the others in a drawer, every one with a name.
 *
 * Names are those of `controls` in the scene's Python class: what stands in its `hidden` trait is not shown, so that a
 * teacher can take away what a lesson is not about. Every deck ends with the seed and, in the drawer, the picture as PNG.
 */
import { button } from "./controls";
import { element, type Panel } from "./panel";
import { savePicture } from "./picture";
import { pressedIn } from "./pressed";
import { seedField } from "./seed";
import type { SceneState, Store } from "./store";
import "./deck.css";

const MOST = 5;

export interface Deck {
  readonly root: HTMLElement;
  /** A control that is always in sight; a sixth is an error of the scene's author. */
  live(name: string, control: HTMLElement): void;
  /** A control behind "More". */
  drawer(name: string, control: HTMLElement): void;
}

/** The deck stands in the panel's footer. `seed: false` for a scene in which nothing is drawn at random. */
export function createDeck(
  store: Store<SceneState>,
  panel: Panel,
  signal: AbortSignal,
  { seed = true }: { seed?: boolean } = {},
): Deck {
  const root = element("div", "difflab-deck");
  const live = element("div", "difflab-deck-live");
  const end = element("div", "difflab-deck-end");
  const drawer = element("div", "difflab-drawer");
  drawer.hidden = true;
  drawer.setAttribute("role", "group");
  drawer.setAttribute("aria-label", `more controls of ${panel.root.getAttribute("aria-label")}`);
  const controls = new Map<string, HTMLElement>();
  let count = 0;

  const open = (wanted: boolean) => {
    drawer.hidden = !wanted;
    more.setAttribute("aria-expanded", String(wanted));
  };
  const more = button({ label: "More", title: "More controls", onClick: () => open(drawer.hidden), signal });
  more.classList.add("difflab-more");
  open(false);
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || drawer.hidden) return;
      open(false);
      more.focus();
      event.stopPropagation();
    },
    { signal },
  );
  // a click elsewhere closes it, as it does every menu
  root.ownerDocument.addEventListener(
    "pointerdown",
    (event) => {
      if (!root.contains(pressedIn(event))) open(false);
    },
    { signal },
  );

  const show = () => {
    const hidden = new Set(store.get("hidden") ?? []);
    for (const [name, control] of controls) control.classList.toggle("difflab-withheld", hidden.has(name));
    more.hidden = [...drawer.children].every((child) => child.classList.contains("difflab-withheld"));
    if (more.hidden) open(false);
  };
  const add = (place: HTMLElement, name: string, control: HTMLElement) => {
    if (controls.has(name)) throw new Error(`This scene has two controls called "${name}".`);
    control.dataset.control = name;
    controls.set(name, control);
    place.append(control);
    show();
  };
  end.append(more);
  if (seed && !store.embedded) {
    const field = seedField(store, signal);
    add(end, "seed", field);
    end.prepend(field);
  }
  add(
    drawer,
    "png",
    button({
      label: "Save picture",
      title: "The picture as it is now, as a PNG",
      onClick: () => savePicture(panel.root),
      signal,
    }),
  );
  store.on("hidden", show, signal);
  root.append(live, end, drawer);
  panel.footer.append(root);
  return {
    root,
    live(name, control) {
      count += 1;
      if (count > MOST)
        throw new Error(`A scene has ${MOST} live controls at most; "${name}" belongs into the drawer.`);
      add(live, name, control);
    },
    drawer(name, control) {
      add(drawer, name, control);
      drawer.append(drawer.querySelector("[data-control=png]")!); // the last, in every scene
    },
  };
}

/** Give a control that stands elsewhere (the time bar, buttons in a chart) a name that `hidden` knows. */
export function named(store: Store<SceneState>, name: string, control: HTMLElement, signal: AbortSignal): HTMLElement {
  control.dataset.control = name;
  const show = () => control.classList.toggle("difflab-withheld", (store.get("hidden") ?? []).includes(name));
  store.on("hidden", show, signal);
  show();
  return control;
}
