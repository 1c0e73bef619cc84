/**
 * A schedule of one's own, for a scene that stands alone: its formula, and a slider for each parameter.
 *
 * A formula that the browser knows is drawn in the same frame; Python hears of it at most ten times a second. One that it does
 * not know is asked for, and drawn when its table comes.
 */
import { select, slider, type Slider } from "../core/controls";
import { short } from "../core/numbers";
import { element } from "../core/panel";
import { complaint, drawable, type Schedule } from "../core/schedule";
import type { SceneState, Store } from "../core/store";
import { throttle } from "../core/throttle";

interface Param {
  name: string;
  label: string;
  min: number;
  max: number;
  default: number;
  log?: boolean;
}

/** One entry of `choices`: SCHEDULES in difflab/scenes/choices.py. */
interface ScheduleChoice {
  name: string;
  label: string;
  params: Param[];
  /** Parameters without a slider. */
  fixed?: Record<string, unknown>;
  /** The browser has no formula: each movement is Python's. */
  kernel?: boolean;
}

interface ScheduleState extends SceneState {
  schedule: Schedule;
  choices: ScheduleChoice[];
}

export interface ScheduleControls {
  readonly formula: HTMLElement;
  /** One place for each of two sliders; empty, and hidden, where the formula has fewer. */
  readonly params: readonly [HTMLElement, HTMLElement];
}

const SEND_EVERY_MS = 100;

/** `say` gets a sentence for a schedule that cannot be used, and "" when it can. */
export function scheduleControls(
  store: Store<ScheduleState>,
  say: (sentence: string) => void,
  signal: AbortSignal,
): ScheduleControls {
  const offered = (store.get("choices") ?? []).filter((choice) => store.hasKernel || !choice.kernel);
  const remembered = new Map<string, Schedule>();
  const send = throttle<Schedule>((value) => store.set("schedule", value), SEND_EVERY_MS, signal);
  const params = [element("div", "difflab-param"), element("div", "difflab-param")] as const;
  let inputs: [string, Slider][] = [];
  let built = "";
  let abort = new AbortController();
  signal.addEventListener("abort", () => abort.abort());

  const choiceOf = (name: string) => offered.find((choice) => choice.name === name);
  const propose = (schedule: Schedule) => {
    const wrong = complaint(schedule);
    say(wrong ?? "");
    if (wrong) return;
    if (drawable(schedule)) store.setLocal("schedule", schedule);
    send.send(schedule);
  };
  const formula = select({
    label: "formula of the schedule",
    choices: offered,
    value: store.get("schedule").name,
    onChange(name) {
      const { params, fixed } = choiceOf(name)!;
      const usual = Object.fromEntries(params.map((p) => [p.name, p.default]));
      propose(remembered.get(name) ?? { name, params: { ...fixed, ...usual } });
    },
    signal,
  });

  const build = (schedule: Schedule) => {
    built = schedule.name;
    abort.abort();
    abort = new AbortController();
    const list = (choiceOf(schedule.name)?.params ?? []).slice(0, params.length);
    inputs = list.map((p) => [
      p.name,
      slider({
        ...p,
        value: schedule.params[p.name] ?? p.default,
        format: short,
        onInput(value) {
          const now = store.get("schedule");
          propose({ name: now.name, params: { ...now.params, [p.name]: value } });
        },
        onChange: () => send.flush(),
        signal: abort.signal,
      }),
    ]);
    params.forEach((place, i) => {
      place.replaceChildren(...(inputs[i] ? [inputs[i][1].root] : []));
      place.hidden = !inputs[i];
    });
  };
  /** The schedule changed, from here or from a script: controls follow. */
  const follow = () => {
    const schedule = store.get("schedule");
    remembered.set(schedule.name, schedule);
    const names = choiceOf(schedule.name) ? offered : [...offered, { name: schedule.name, label: schedule.name }];
    if (formula.root.children.length !== names.length || formula.value !== schedule.name) {
      formula.setChoices(names);
      formula.set(schedule.name);
    }
    if (built !== schedule.name) build(schedule);
    for (const [name, input] of inputs) {
      const value = schedule.params[name];
      if (typeof value === "number" && input.value !== value) input.set(value);
    }
  };
  store.on("schedule", follow, signal);
  follow();
  return { formula: formula.root, params };
}
