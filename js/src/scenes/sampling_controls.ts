/** Which sampler, how many steps, "Sample", and how good the samples are. */
import { button, readout, select, slider } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { count, withError } from "../core/numbers";
import { element } from "../core/panel";
import type { Store } from "../core/store";
import type { State } from "./reverse_trajectories";

/** `label` says what was measured; errors are one standard error, any number may be missing. */
export interface Quality {
  label: string;
  learned: number | null;
  learned_error: number | null;
  exact: number | null;
  exact_error: number | null;
}

/** `onSample` is called when the user asks for samples. */
export function samplingControls(store: Store<State>, onSample: () => void, signal: AbortSignal): HTMLElement {
  const root = element("div", "difflab-sampling");
  const sampler = select({
    label: "sampler",
    choices: store.get("samplers") ?? [],
    value: store.get("sampler"),
    kernel: true,
    onChange: (name) => store.set("sampler", name),
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
    onChange: (n) => store.set("steps", n),
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
  const row = element("div", "difflab-row difflab-sampling-row");
  row.append(sampler.root, steps.root, go);
  const learned = readout("");
  const exact = readout("");
  const evaluations = readout("evaluations");
  const numbers = element("div", "difflab-numbers");
  numbers.append(learned.root, exact.root, evaluations.root);
  root.append(row, numbers);

  const refresh = onNextFrame(() => {
    sampler.setChoices(store.get("samplers") ?? []);
    sampler.set(store.get("sampler"));
    const [low = 1, high = 1000] = store.get("step_range") ?? [];
    steps.setRange(low, high);
    steps.set(store.get("steps"));
    const running = store.get("live") !== null && store.get("live") !== undefined;
    go.disabled = running;
    const spent = store.get("evaluations") ?? 0;
    evaluations.set(spent ? count(spent) : "");
    const quality = store.get("quality");
    const label = quality?.label ?? "";
    learned.setLabel(`${label}, learned`);
    exact.setLabel(`${label}, exact`);
    learned.root.hidden = !quality || quality.learned === null;
    exact.root.hidden = !quality || quality.exact === null;
    learned.set(quality?.learned == null ? "" : withError(quality.learned, quality.learned_error));
    exact.set(quality?.exact == null ? "" : withError(quality.exact, quality.exact_error), { exact: true });
    // Embedded, the panel is small: the numbers then stand above the pictures.
    numbers.hidden = store.embedded || (!quality && !spent);
  }, signal);
  store.on(TRAITS, refresh, signal);
  refresh();
  return root;
}

const TRAITS = ["sampler", "samplers", "steps", "step_range", "live", "evaluations", "quality"] as const;
