/** The controls of ForwardNoising: which formula, what is drawn, in which colours, how many, and one point to follow. */
import { button, select, slider } from "../core/controls";
import type { Deck } from "../core/deck";
import { count, format } from "../core/numbers";
import { element } from "../core/panel";
import { onEnter } from "../core/seed";
import type { Store } from "../core/store";
import { formulaChooser } from "./desk_parameters";
import type { Layer, Picture, State } from "./forward_noising";

const LAYERS: [Layer, string][] = [
  ["points", "Points"],
  ["density", "Density"],
  ["paths", "Paths"],
];

export function addControls(store: Store<State>, deck: Deck, signal: AbortSignal): { fit(picture: Picture): void } {
  const choices = store.get("choices") ?? [];
  // without the two that need a table from Python: a schedule given from there brings its own, and then stands here
  const formula = formulaChooser(choices, false, (schedule) => store.set("schedule", schedule), signal);
  const layers = element("div", "difflab-segmented");
  layers.setAttribute("role", "group");
  layers.setAttribute("aria-label", "what is drawn");
  const toggles = LAYERS.map(([name, label]) => {
    const toggle = () => {
      const on = new Set(store.get("layers"));
      if (!on.delete(name)) on.add(name);
      store.set("layers", LAYERS.map(([layer]) => layer).filter((layer) => on.has(layer))); // prettier-ignore
    };
    const el = button({ label, onClick: toggle, signal });
    layers.append(el);
    return [name, el] as const;
  });
  const colour = button({
    label: "By mode",
    title: "A colour for each mode or class that a sample began in",
    onClick: () => store.set("colour", store.get("colour") === "category" ? "one" : "category"),
    signal,
  });
  const size = select({
    label: "how many samples",
    choices: [],
    value: "",
    kernel: true,
    onChange: (n) => store.set("n", Number(n)),
    signal,
  });
  const paths = slider({
    label: "paths",
    min: 0,
    max: 100,
    step: 1,
    value: store.get("paths") ?? 9,
    format: count,
    onInput: (n) => store.setLocal("paths", n),
    onChange: (n) => store.set("paths", n),
    signal,
  });
  const ink = slider({
    label: "ink",
    min: 0.1,
    max: 10,
    log: true,
    value: store.get("ink") ?? 1,
    format: (x) => format(x, 2),
    onInput: (x) => store.setLocal("ink", x),
    onChange: (x) => store.set("ink", x),
    signal,
  });
  const point = pointField(store, signal);
  deck.live("schedule", formula.root);
  deck.live("layers", layers);
  deck.live("colour", colour);
  deck.live("n", size.root);
  deck.drawer("paths", paths.root);
  deck.drawer("point", point);
  deck.drawer("ink", ink.root);

  const show = () => {
    formula.show(store.get("schedule"));
    const on = new Set(store.get("layers"));
    for (const [name, el] of toggles) el.setAttribute("aria-pressed", String(on.has(name)));
    colour.setAttribute("aria-pressed", String(store.get("colour") === "category"));
    const n = store.get("n");
    const sizes = [...new Set([...(store.get("sizes") ?? []), n])].sort((a, b) => a - b);
    const what = store.get("kind") === "images" ? "images" : "points";
    size.setChoices(sizes.map((s) => ({ name: String(s), label: `${count(s)} ${what}` })));
    size.set(String(n));
    if (paths.value !== store.get("paths")) paths.set(store.get("paths"));
    if (ink.value !== store.get("ink")) ink.set(store.get("ink"));
  };
  store.on(["schedule", "layers", "colour", "n", "sizes", "kind", "paths", "ink"], show, signal);
  show();
  return {
    fit({ look, labels, mixture }) {
      // what there is nothing of is not offered
      layers.hidden = paths.root.hidden = point.hidden = ink.root.hidden = look.images;
      toggles[1][1].hidden = mixture === null;
      colour.hidden = labels === null || store.get("categories") < 2;
      colour.textContent = mixture ? "By mode" : "By class";
    },
  };
}

/** "point 17": the one that is followed; empty for none. */
function pointField(store: Store<State>, signal: AbortSignal): HTMLElement {
  const root = element("label", "difflab-row");
  const name = element("span", "difflab-row-label");
  name.textContent = "point";
  const input = element("input", "difflab-point");
  input.type = "number";
  input.min = "0";
  input.placeholder = "none";
  input.setAttribute("aria-label", "point to follow, or none");
  const hint = element("small", "difflab-quiet");
  hint.textContent = "or click one; Enter picks the next, Escape none";
  root.append(name, input, hint);
  const show = () => {
    const picked = store.get("picked") ?? -1;
    input.max = String(store.get("n") - 1);
    input.value = picked < 0 ? "" : String(picked);
  };
  const commit = () => {
    const wanted = input.value === "" ? -1 : Number(input.value);
    const valid = Number.isInteger(wanted) && wanted >= -1 && wanted < store.get("n");
    if (!valid) show();
    else if (wanted !== store.get("picked")) store.set("picked", wanted);
  };
  input.addEventListener("change", commit, { signal });
  onEnter(input, commit, signal);
  store.on(["picked", "n"], show, signal);
  show();
  return root;
}
