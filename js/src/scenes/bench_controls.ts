/** The knobs of LangevinBench: five in sight, the others in the drawer, each shown as it is set here or in Python. */
import { button, segmented, select, slider, toggle, type Slider, type SliderOptions } from "../core/controls";
import { createDeck } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { count, short } from "../core/numbers";
import { element, type Panel } from "../core/panel";
import type { Store } from "../core/store";
import type { State } from "./langevin_bench";

type Knob =
  | "step" | "calls" | "distance" | "levels" | "weight" | "n" | "sigma_min" | "sigma_max" | "leapfrog" | "snr"; // prettier-ignore

type Shape = Pick<SliderOptions, "label" | "min" | "max" | "step" | "log" | "format">;

const KNOBS: Readonly<Record<Knob, Shape>> = {
  step: { label: "step r", min: 0.003, max: 5, log: true, format: short },
  calls: { label: "calls", min: 50, max: 10_000, step: 10, log: true, format: count },
  distance: { label: "distance", min: 0, max: 16, format: short },
  levels: { label: "levels", min: 1, max: 100, step: 1, log: true, format: count },
  weight: { label: "first weight", min: 0.02, max: 0.98, step: 0.01, format: short },
  n: { label: "points", min: 100, max: 5000, step: 100, log: true, format: count },
  sigma_min: { label: "σ lowest", min: 0.01, max: 1, log: true, format: short },
  sigma_max: { label: "σ highest", min: 0.5, max: 60, log: true, format: short },
  leapfrog: { label: "HMC length", min: 1, max: 50, step: 1, log: true, format: count },
  snr: { label: "SNR", min: 0.01, max: 0.9, log: true, format: short },
};

export function benchControls(store: Store<State>, panel: Panel, signal: AbortSignal): void {
  const deck = createDeck(store, panel, signal);
  const sliders = new Map<Knob, Slider>();
  const knob = (name: Knob): HTMLElement => {
    const made = slider({
      ...KNOBS[name],
      value: store.get(name),
      kernel: true,
      onChange: (value) => store.set(name, value),
      signal,
    });
    sliders.set(name, made);
    return made.root;
  };
  for (const name of ["step", "calls", "distance", "levels"] as const) deck.live(name, knob(name));
  const go = button({
    label: "Sample",
    title: "Walk again with these knobs",
    primary: !store.embedded,
    kernel: true,
    onClick: () => store.request("sample"),
    signal,
  });
  deck.live("sample", go);

  const methods = element("div", "difflab-bench-methods difflab-kernel");
  methods.setAttribute("role", "group");
  methods.setAttribute("aria-label", "methods");
  const toggles = Object.entries(store.get("method_labels") ?? {}).map(([name, label]) => {
    const made = toggle({
      label,
      on: false,
      onChange: () => store.set("methods", chosen(store.get("methods"), name)),
      signal,
    });
    methods.append(made.root);
    return [name, made] as const;
  });
  deck.drawer("methods", methods);
  const start = segmented({
    label: "where all points set out from",
    choices: [
      { name: "prior", label: "from noise" },
      { name: "one mode", label: "from one mode" },
    ],
    value: store.get("start"),
    kernel: true,
    onChange: (name) => store.set("start", name as State["start"]),
    signal,
  });
  deck.drawer("start", start.root);
  for (const name of ["weight", "n", "sigma_max", "sigma_min"] as const) deck.drawer(name, knob(name));
  deck.drawer(
    "advise",
    button({
      label: "NCSNv2's ladder",
      title: "Highest level and number of levels by its techniques 1 and 2",
      kernel: true,
      onClick: () => store.request("advise"),
      signal,
    }),
  );
  const annealedStep = select({
    label: "step of the annealed walk",
    choices: [
      { name: "v2", label: "annealed: r as NCSNv2 counts" },
      { name: "v1", label: "annealed: r / 2 (NCSN)" },
      { name: "advised", label: "annealed: r by technique 4" },
    ],
    value: store.get("annealed_step"),
    kernel: true,
    onChange: (name) => store.set("annealed_step", name as State["annealed_step"]),
    signal,
  });
  deck.drawer("annealed_step", annealedStep.root);
  const denoise = toggle({
    label: "denoise at the end",
    title: "End on E[x₀ | x] of the lowest level, for one more call",
    on: store.get("denoise"),
    kernel: true,
    onChange: (on) => store.set("denoise", on),
    signal,
  });
  deck.drawer("denoise", denoise.root);
  for (const name of ["leapfrog", "snr"] as const) deck.drawer(name, knob(name));

  const refresh = onNextFrame(() => {
    const natural = store.get("natural") ?? {};
    const reach = (name: "distance" | "sigma_min" | "sigma_max", low: number, high: number) => {
      const size = natural[name];
      if (size) sliders.get(name)!.setRange(low * size, high * size);
    };
    reach("distance", 1 / 8, 2);
    reach("sigma_min", 1 / 10, 10);
    reach("sigma_max", 1 / 40, 3);
    for (const [name, made] of sliders) made.set(store.get(name));
    // one mode has no distance, and all of the weight
    sliders.get("distance")!.root.hidden = !natural.distance;
    sliders.get("weight")!.root.hidden = !natural.distance;
    for (const [name, made] of toggles) made.set((store.get("methods") ?? []).includes(name));
    start.set(store.get("start"));
    annealedStep.set(store.get("annealed_step"));
    denoise.set(store.get("denoise"));
  }, signal);
  const names = [...sliders.keys(), "natural", "methods", "start", "annealed_step", "denoise"] as const;
  store.on(names, refresh, signal);
  refresh();
}

const MOST = 4;

/** The methods after a press on `name`: never none, and of more than four an adjusted one makes room for the other. */
export function chosen(now: readonly string[], name: string): string[] {
  if (now.includes(name)) return now.length > 1 ? now.filter((other) => other !== name) : [...now];
  if (now.length < MOST) return [...now, name];
  const gives = name === "hmc" ? "mala" : "hmc";
  return [...now.filter((other) => other !== gives), name].slice(-MOST);
}
