/** The controls of WhereTheBitsGo: the schedule's where it stands alone, the axis, the view and the variance. */
import { segmented, select, slider } from "../core/controls";
import { createDeck } from "../core/deck";
import { count } from "../core/numbers";
import type { Panel } from "../core/panel";
import type { Store } from "../core/store";
import { throttle } from "../core/throttle";
import { scheduleControls } from "./schedule_controls";
import type { State } from "./where_the_bits_go";

const SEND_EVERY_MS = 100;
/** What a hand changes: it is followed at once. */
export const BY_HAND = ["schedule", "steps", "variance", "axis", "view", "bins"] as const;

export function bitControls(
  store: Store<State>,
  panel: Panel,
  say: (sentence: string) => void,
  signal: AbortSignal,
): void {
  const deck = createDeck(store, panel, signal);
  const of = store.embedded ? null : scheduleControls(store, say, signal);
  if (of) {
    deck.live("formula", of.formula);
    deck.live("param", of.params[0]);
  }
  const axis = segmented({
    label: "axis",
    choices: [
      { name: "step", label: "t" },
      { name: "log_snr", label: "log-SNR" },
    ],
    value: store.get("axis"),
    onChange: (name) => store.set("axis", name as State["axis"]),
    signal,
  });
  const view = segmented({
    label: "what the bars show",
    choices: [
      { name: "learned", label: "Learned" },
      { name: "optimal", label: "Optimal" },
      { name: "gap", label: "Gap" },
    ],
    value: store.get("view"),
    onChange: (name) => store.set("view", name as State["view"]),
    signal,
  });
  const variance = select({
    label: "variance of the reverse steps",
    choices: (store.get("variances") ?? []).map(({ name, label }) => ({ name, label: `variance: ${label}` })),
    value: store.get("variance"),
    onChange: (name) => store.set("variance", name as State["variance"]),
    signal,
  });
  deck.live("axis", axis.root);
  deck.live("view", view.root);
  deck.live("variance", variance.root);
  if (of) deck.drawer("param_2", of.params[1]);
  const whole = (name: "steps" | "bins", label: string, [min, max]: readonly [number, number], log: boolean) => {
    const sent = throttle<number>((value) => store.set(name, value), SEND_EVERY_MS, signal);
    const control = slider({
      label,
      min,
      max,
      step: 1,
      log,
      value: store.get(name),
      format: count,
      onInput(value) {
        store.setLocal(name, value);
        sent.send(value);
      },
      onChange: () => sent.flush(),
      signal,
    });
    return control;
  };
  const steps = whole("steps", "steps T", store.get("step_range") ?? [10, 1000], true);
  const bins = whole("bins", "bars", [4, 100], false);
  if (of) deck.drawer("steps", steps.root); // in the Lab the desk has them
  deck.drawer("bins", bins.root);
  const follow = () => {
    axis.set(store.get("axis"));
    view.set(store.get("view"));
    variance.set(store.get("variance"));
    if (steps.value !== store.get("steps")) steps.set(store.get("steps"));
    if (bins.value !== store.get("bins")) bins.set(store.get("bins"));
  };
  store.on(BY_HAND, follow, signal);
}
