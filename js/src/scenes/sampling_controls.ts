/** The deck of ReverseTrajectories: which sampler with how many steps, in which columns, coloured by what, and "Sample". */
import { button, segmented, select, slider, type Slider } from "../core/controls";
import { createDeck } from "../core/deck";
import { onNextFrame } from "../core/frame";
import { count, short } from "../core/numbers";
import { element, type Panel } from "../core/panel";
import type { Store } from "../core/store";
import { MOST, type Knob, type Of, type Run, type State } from "./reverse_runs";

/** Tried in turn for a new column. */
const NEXT = ["DDIM", "Heun", "Default", "DPMSolver", "Ancestral"];
const USUAL = { points: 2000, images: 100 };
const MANY = { points: 20_000, images: 400 };
const SEVERAL = "";

/** `onSample` is called when the user asks for samples. */
export function samplingControls(store: Store<State>, panel: Panel, onSample: () => void, signal: AbortSignal): void {
  const deck = createDeck(store, panel, signal);
  const runs = () => store.get("runs") ?? [];
  const chosen = () => Math.min(store.get("column") ?? 0, runs().length);
  const isMeant = (index: number) => chosen() === 0 || chosen() === index + 1;
  /** The runs that the controls speak of: of the chosen column, or all. */
  const meant = () => runs().filter((_, index) => isMeant(index));
  const change = (to: Partial<Run>) =>
    store.set("runs", runs().map((run, i) => (isMeant(i) ? fitting({ ...run, ...to }, run) : run))); // prettier-ignore

  const sampler = select({
    label: "sampler",
    choices: store.get("samplers") ?? [],
    value: store.get("sampler"),
    kernel: true,
    onChange: (name) => name !== SEVERAL && change({ sampler: name }),
    signal,
  });
  const [min = 1, max = 1000] = store.get("step_range") ?? [];
  const steps = slider({
    label: "steps",
    min,
    max,
    step: 1,
    log: true,
    value: store.get("steps"),
    format: count,
    kernel: true,
    onChange: (n) => change({ steps: n }),
    signal,
  });
  const columns = columnControls(store, runs, chosen, signal);
  const colour = segmented({
    label: "colour points by",
    choices: [
      { name: "denoiser", label: "Denoiser" },
      { name: "mode", label: "Final mode" },
    ],
    value: store.get("colour"),
    onChange: (name) => store.set("colour", name as State["colour"]),
    signal,
  });
  const go = button({
    label: "Sample",
    // A page has one filled button: in the Lab that is the Lab's own.
    primary: !store.embedded,
    kernel: true,
    onClick: () => {
      onSample();
      store.request("sample");
    },
    signal,
  });
  deck.live("sampler", sampler.root);
  deck.live("steps", steps.root);
  deck.live("columns", columns.root);
  deck.live("colour", colour.root);
  deck.live("sample", go);

  const picture = segmented({
    label: "pictures",
    choices: [
      { name: "sheet", label: "All at t" },
      { name: "strip", label: "Over time" },
    ],
    value: store.get("picture"),
    onChange: (name) => store.set("picture", name as State["picture"]),
    signal,
  });
  const knobs = knobControls(store, meant, (to) => change({ knobs: to }), signal);
  const budget = segmented({
    label: "what the slider counts",
    choices: [
      { name: "steps", label: "Steps" },
      { name: "evaluations", label: "Evaluations" },
    ],
    value: store.get("budget"),
    kernel: true,
    onChange: (name) => store.set("budget", name as State["budget"]),
    signal,
  });
  const grid = select({
    label: "times",
    choices: store.get("grids") ?? [],
    value: store.get("grid"),
    kernel: true,
    onChange: (name) => store.set("grid", name),
    signal,
  });
  const kind = () => (store.get("kind") === "images" ? "images" : "points");
  const n = slider({
    label: "samples",
    min: 10,
    max: MANY[kind()],
    step: 10,
    log: true,
    value: store.get("n") ?? USUAL[kind()],
    format: count,
    kernel: true,
    onChange: (value) => store.set("n", value),
    signal,
  });
  deck.drawer("knobs", knobs.root);
  deck.drawer("budget", worded("count", budget.root));
  deck.drawer("grid", worded("times", grid.root));
  deck.drawer("n", n.root);
  deck.drawer("picture", worded("pictures", picture.root));
  budget.root.parentElement!.classList.add("difflab-kernel");
  grid.root.parentElement!.classList.add("difflab-kernel");

  const refresh = onNextFrame(() => {
    const speaks = meant();
    const one = new Set(speaks.map((run) => run.sampler)).size === 1;
    const choices = store.get("samplers") ?? [];
    sampler.setChoices(one ? choices : [{ name: SEVERAL, label: "several samplers" }, ...choices]);
    sampler.set(one ? speaks[0].sampler : SEVERAL);
    const [low = 1, high = 1000] = store.get("step_range") ?? [];
    const unit = store.get("budget") ?? "steps";
    steps.root.firstElementChild!.textContent = unit;
    steps.setRange(low, Math.max(high, speaks[0]?.steps ?? high));
    steps.set(speaks[0]?.steps ?? store.get("steps"));
    columns.refresh();
    colour.set(store.get("colour"));
    colour.root.hidden = kind() === "images" || !store.get("mixture");
    go.disabled = Boolean(store.get("live"));
    knobs.refresh();
    budget.set(unit);
    grid.set(store.get("grid"));
    n.setRange(10, MANY[kind()]);
    n.set(store.get("n") ?? USUAL[kind()]);
    picture.set(store.get("picture"));
    picture.root.parentElement!.hidden = kind() !== "images";
  }, signal);
  store.on(TRAITS, refresh, signal);
  refresh();
}

const TRAITS = [
  "runs", "column", "samplers", "step_range", "live", "colour", "kind", "mixture", "budget", "grid", "n", "picture",
  "has_network", "results",
] as const; // prettier-ignore

/** Another sampler has other knobs: those of the one before mean nothing to it. */
function fitting(run: Run, before: Run): Run {
  if (run.sampler === before.sampler) return run;
  const { knobs: _, ...rest } = run;
  return rest;
}

/** All columns or one of them; whose denoiser the one is; one more, one less. */
function columnControls(store: Store<State>, runs: () => Run[], chosen: () => number, signal: AbortSignal) {
  const root = element("div", "difflab-columns");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "columns");
  const which = segmented({
    label: "column shown",
    choices: [],
    value: "0",
    onChange: (name) => store.set("column", Number(name)),
    signal,
  });
  const of = select({
    label: "denoiser of this column",
    choices: [
      { name: "exact", label: "exact" },
      { name: "learned", label: "learned" },
    ],
    value: "exact",
    kernel: true,
    onChange: (name) =>
      store.set("runs", runs().map((run, i) => (i + 1 === chosen() ? { ...run, of: name as Of } : run))), // prettier-ignore
    signal,
  });
  const more = button({
    label: "+",
    title: "Add a column",
    kernel: true,
    onClick: () => {
      const all = runs();
      const last = all[all.length - 1];
      const taken = new Set(all.map((run) => run.sampler));
      const next = NEXT.find((name) => !taken.has(name)) ?? last.sampler;
      store.set("runs", [
        ...all,
        { sampler: next, steps: last.steps, of: store.get("has_network") ? last.of : "exact" },
      ]);
    },
    signal,
  });
  more.setAttribute("aria-label", "Add a column");
  const less = button({
    label: "−",
    title: "Remove the last column",
    kernel: true,
    onClick: () => {
      store.set("runs", runs().slice(0, -1));
      if (chosen() > runs().length || store.get("column") > runs().length) store.set("column", 0);
    },
    signal,
  });
  less.setAttribute("aria-label", "Remove the last column");
  const name = element("span", "difflab-quiet");
  name.textContent = "columns";
  root.append(name, which.root, of.root, less, more);
  let names = "";
  return {
    root,
    refresh(): void {
      const all = runs();
      const choices = [
        { name: "0", label: "All" },
        ...all.map((_, i) => ({ name: String(i + 1), label: String(i + 1) })),
      ];
      if (names !== String(all.length)) which.setChoices(choices);
      names = String(all.length);
      which.set(String(chosen()));
      which.root.hidden =
        all.length < 2 || (!store.get("has_network") && all.filter((r) => r.of === "exact").length < 2);
      name.hidden = which.root.hidden && !store.hasKernel; // a page of one column has nothing to choose
      of.root.hidden = chosen() === 0 || !store.get("has_network");
      if (chosen()) of.set(all[chosen() - 1].of);
      more.disabled = all.length >= MOST;
      less.disabled = all.length <= 1;
    },
  };
}

/** Sliders and selects for the knobs of the sampler, where all columns that are meant have the same one. */
function knobControls(
  store: Store<State>,
  meant: () => Run[],
  turn: (knobs: Run["knobs"]) => void,
  signal: AbortSignal,
) {
  const root = element("div", "difflab-knobs difflab-kernel");
  let shown = "";
  let setters: (() => void)[] = [];
  let building = new AbortController();
  signal.addEventListener("abort", () => building.abort(), { once: true });
  const value = (knob: Knob) => meant()[0]?.knobs?.[knob.name] ?? knob.default;
  const set = (knob: Knob, to: number | string) => turn({ ...meant()[0]?.knobs, [knob.name]: to });
  const build = (knob: Knob): HTMLElement => {
    const options = { label: knob.label, signal: building.signal };
    if (knob.choices) {
      const choices = knob.choices.map((name) => ({ name, label: name }));
      const chooser = select({ ...options, choices, value: String(value(knob)), onChange: (to) => set(knob, to) });
      setters.push(() => chooser.set(String(value(knob))));
      return worded(knob.label, chooser.root);
    }
    const bounds = { min: knob.min!, max: knob.max!, step: knob.step };
    const s: Slider = slider({ ...options, ...bounds, value: Number(value(knob)), format: short, onChange: (to) => set(knob, to) }); // prettier-ignore
    setters.push(() => s.set(Number(value(knob))));
    return s.root;
  };
  return {
    root,
    refresh(): void {
      const samplers = new Set(meant().map((run) => run.sampler));
      const name = samplers.size === 1 ? [...samplers][0] : "";
      if (name !== shown) {
        shown = name;
        building.abort();
        building = new AbortController();
        setters = [];
        root.replaceChildren(...(store.get("knobs")?.[name] ?? []).map(build));
      }
      root.hidden = root.childElementCount === 0;
      setters.forEach((f) => f());
    },
  };
}

/** A control with its word before it, as a slider has. */
function worded(words: string, control: HTMLElement): HTMLElement {
  const row = element("div", "difflab-row");
  const label = element("span", "difflab-row-label");
  label.textContent = words;
  row.append(label, control);
  return row;
}
