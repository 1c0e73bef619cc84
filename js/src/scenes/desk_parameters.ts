/** The formula of a schedule and the sliders of its parameters. */
import { select, slider, type Chooser, type Slider } from "../core/controls";
import { format, short } from "../core/numbers";
import { element } from "../core/panel";
import { drawable, type Schedule } from "../core/schedule";

export interface Param {
  name: string;
  label: string;
  min: number;
  max: number;
  default: number;
  log?: boolean;
}

export interface ScheduleChoice {
  name: string;
  label: string;
  params: Param[];
  /** Parameters that have no slider. */
  fixed?: Record<string, unknown>;
  /** The browser has no formula: Python sends a table at each movement. */
  kernel?: boolean;
}

/** A sentence for each value that its slider cannot reach. It stands all the same: a script may know why. */
export function beyondSliders(schedule: Schedule, choices: readonly ScheduleChoice[]): string[] {
  const params = choices.find((c) => c.name === schedule.name)?.params ?? [];
  return params.flatMap(({ name, label, min, max }) => beyond(label, schedule.params[name], min, max));
}

export function beyond(
  label: string,
  value: number | undefined,
  min: number,
  max: number,
  show: (x: number) => string = format,
): string[] {
  if (value === undefined || (min <= value && value <= max)) return [];
  const end = value > max ? `ends at ${show(max)}` : `begins at ${show(min)}`;
  return [`${label} = ${show(value)} lies beyond its slider, which ${end}.`];
}

/** How a schedule is called beside others: its formula and what its sliders say. */
export function nameOf(schedule: Schedule, choices: readonly ScheduleChoice[]): string {
  const choice = "table" in schedule.params ? undefined : choices.find((c) => c.name === schedule.name);
  const values = (choice?.params ?? []).map((p) => short(schedule.params[p.name] ?? p.default));
  return [choice?.label ?? schedule.name, values.join(", ")].filter(Boolean).join(" ");
}

/** The schedule of a choice before anybody moved its sliders. */
export function usual(choice: ScheduleChoice): Schedule {
  const params = Object.fromEntries(choice.params.map((p) => [p.name, p.default]));
  return { name: choice.name, params: { ...choice.fixed, ...params } };
}

export interface Formulas extends Chooser {
  /** Show this one, also when it is none of the choices. */
  show(schedule: Schedule): void;
}

/** The list of formulas; one that comes from elsewhere is added by its name. `hasKernel`: others than formulas can be had. */
export function formulaChooser(
  choices: readonly ScheduleChoice[],
  hasKernel: boolean,
  onChoose: (schedule: Schedule) => void,
  signal: AbortSignal,
): Formulas {
  const met = new Map<string, Schedule>(); // where each one's sliders were left
  const others = new Map<string, string>();
  const keyOf = (schedule: Schedule) =>
    "table" in schedule.params || !choices.some((c) => c.name === schedule.name)
      ? `${schedule.name} ${String(schedule.params.table ?? "")}`
      : schedule.name;
  const offered = () => [
    ...choices
      .filter((c) => hasKernel || !c.kernel || (met.has(c.name) && drawable(met.get(c.name)!)))
      .map(({ name, label }) => ({ name, label })),
    ...[...others].map(([name, label]) => ({ name, label })),
  ];
  const chooser = select({
    label: "formula of the schedule",
    choices: offered(),
    value: "",
    onChange: (key) => onChoose(met.get(key) ?? usual(choices.find((c) => c.name === key)!)),
    signal,
  });
  let length = 0;
  return Object.assign(chooser, {
    show(schedule: Schedule) {
      const key = keyOf(schedule);
      met.set(key, schedule);
      if (!choices.some((c) => c.name === key)) others.set(key, schedule.name);
      const list = offered();
      if (list.length !== length) chooser.setChoices(list);
      length = list.length;
      chooser.set(key);
    },
  });
}

export interface ParameterSliders {
  readonly root: HTMLElement;
  /** Follow this schedule: build its sliders, or move them. `hold`: leave them where the hand is. */
  show(schedule: Schedule, hold: boolean): void;
}

/** One slider for each parameter; `onMove` at every movement, `onRest` on release. */
export function parameterSliders(
  choices: readonly ScheduleChoice[],
  onMove: (name: string, value: number) => void,
  onRest: () => void,
  signal: AbortSignal,
): ParameterSliders {
  const root = element("div", "difflab-desk-parameters");
  let inputs = new Map<string, Slider>();
  let builtFor = "";
  let own = new AbortController();
  signal.addEventListener("abort", () => own.abort());
  const build = (choice: ScheduleChoice | undefined, schedule: Schedule) => {
    own.abort();
    own = new AbortController();
    inputs = new Map(
      (choice?.params ?? []).map((p) => [
        p.name,
        slider({
          ...p,
          value: schedule.params[p.name] ?? p.default,
          format: short,
          onInput: (value) => onMove(p.name, value),
          onChange: onRest,
          kernel: choice!.kernel,
          signal: own.signal,
        }),
      ]),
    );
    root.replaceChildren(...[...inputs.values()].map((s) => s.root));
  };
  return {
    root,
    show(schedule, hold) {
      const choice = "table" in schedule.params ? undefined : choices.find((c) => c.name === schedule.name);
      const name = choice?.name ?? "none";
      if (builtFor !== name) build(choice, schedule);
      else if (!hold)
        for (const p of choice?.params ?? []) {
          const [input, value] = [inputs.get(p.name)!, schedule.params[p.name] ?? p.default];
          if (input.value !== value) input.set(value);
        }
      builtFor = name;
    },
  };
}
