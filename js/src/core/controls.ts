/**
 * Native controls in the look of the panels: all reachable by keyboard and labelled. What a handler throws appears in
 * the panel's error line. Options with `kernel: true` are greyed by style.css when Python stopped.
 */
import { format as formatNumber } from "./numbers";
import { element, watched } from "./panel";

type Listener = { signal: AbortSignal };

function listen(el: HTMLElement, type: string, f: () => void, signal: AbortSignal): void {
  el.addEventListener(type, watched(el, f), { signal });
}

export interface Slider {
  root: HTMLElement;
  input: HTMLInputElement;
  readonly value: number;
  /** Show a value that came from elsewhere; calls no handler. */
  set(value: number): void;
  setRange(min: number, max: number): void;
  setDisabled(disabled: boolean): void;
}

export interface SliderOptions extends Listener {
  label: string;
  min: number;
  max: number;
  /** Distance of two values; left out, the slider is continuous (1000 positions). */
  step?: number;
  /** Equal distances are equal ratios; needs min > 0. */
  log?: boolean;
  value: number;
  format?: (value: number) => string;
  /** At every movement. */
  onInput?: (value: number) => void;
  /** On release. */
  onChange?: (value: number) => void;
  kernel?: boolean;
}

const POSITIONS = 1000;

export function slider(options: SliderOptions): Slider {
  const { label, step, log = false, format = formatNumber, onInput, onChange, signal } = options;
  let { min, max, value } = options;
  const root = element("label", "difflab-row");
  if (options.kernel) root.classList.add("difflab-kernel");
  const name = element("span", "difflab-row-label");
  name.textContent = label;
  const input = element("input", "difflab-range");
  input.type = "range";
  input.min = "0";
  const output = element("output", "");
  root.append(name, input, output);

  // The native input runs over positions, so that log scales and steps are one arithmetic.
  const linearSteps = () => (step && !log ? Math.round((max - min) / step) : POSITIONS);
  const position = (v: number) => {
    const u = log ? Math.log(v / min) / Math.log(max / min) : (v - min) / (max - min);
    return Math.round(Math.min(1, Math.max(0, u)) * linearSteps());
  };
  const valueAt = (p: number) => {
    const u = p / linearSteps();
    const raw = log ? min * (max / min) ** u : min + u * (max - min);
    const snapped = step ? Math.round(raw / step) * step : raw;
    return Math.min(max, Math.max(min, Number(snapped.toPrecision(12))));
  };
  const show = () => {
    output.textContent = format(value);
    input.setAttribute("aria-valuetext", format(value));
  };
  const place = () => {
    input.max = String(linearSteps());
    input.value = String(position(value));
    show();
  };
  place();
  listen(
    input,
    "input",
    () => {
      value = valueAt(Number(input.value));
      show();
      onInput?.(value);
    },
    signal,
  );
  listen(input, "change", () => onChange?.(value), signal);
  return {
    root,
    input,
    get value() {
      return value;
    },
    set(v) {
      value = v;
      place();
    },
    setRange(low, high) {
      min = low;
      max = high;
      place();
    },
    setDisabled(disabled) {
      input.disabled = disabled;
    },
  };
}

export interface ButtonOptions extends Listener {
  label: string;
  /** The one filled button of a page. */
  primary?: boolean;
  title?: string;
  kernel?: boolean;
  onClick: () => void;
}

export function button({ label, primary, title, kernel, onClick, signal }: ButtonOptions): HTMLButtonElement {
  const el = element("button", "difflab-button");
  el.type = "button";
  el.textContent = label;
  if (primary) el.classList.add("difflab-primary");
  if (kernel) el.classList.add("difflab-kernel");
  if (title) el.title = title;
  listen(el, "click", onClick, signal);
  return el;
}

export interface Toggle {
  root: HTMLButtonElement;
  /** Show a state chosen elsewhere; calls no handler. */
  set(on: boolean): void;
}
export interface ToggleOptions extends Listener {
  label: string;
  title?: string;
  on: boolean;
  kernel?: boolean;
  onChange: (on: boolean) => void;
}

/** A button that stays pressed. */
export function toggle({ label, title, on, kernel, onChange, signal }: ToggleOptions): Toggle {
  const set = (wanted: boolean) => root.setAttribute("aria-pressed", String((on = wanted)));
  const flip = () => {
    set(!on);
    onChange(on);
  };
  const root = button({ label, title, kernel, onClick: flip, signal });
  set(on);
  return { root, set };
}

export interface Choice {
  name: string;
  label: string;
}
export interface Chooser {
  root: HTMLElement;
  readonly value: string;
  /** Show a choice made elsewhere; calls no handler. */
  set(name: string): void;
  setChoices(choices: Choice[]): void;
}
export interface ChooserOptions extends Listener {
  label: string;
  choices: Choice[];
  value: string;
  kernel?: boolean;
  onChange: (name: string) => void;
}

/** A few buttons of which one is pressed. */
export function segmented({ label, choices, value, kernel, onChange, signal }: ChooserOptions): Chooser {
  const root = element("div", "difflab-segmented");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", label);
  if (kernel) root.classList.add("difflab-kernel");
  let buttons: [string, HTMLButtonElement][] = [];
  const show = () => {
    for (const [name, el] of buttons) el.setAttribute("aria-pressed", String(name === value));
  };
  const fill = (list: Choice[]) => {
    buttons = list.map(({ name, label }) => {
      const pick = () => {
        value = name;
        show();
        onChange(name);
      };
      return [name, button({ label, onClick: pick, signal })];
    });
    root.replaceChildren(...buttons.map(([, el]) => el));
    show();
  };
  fill(choices);
  return {
    root,
    get value() {
      return value;
    },
    set(name) {
      value = name;
      show();
    },
    setChoices: fill,
  };
}

/** A native drop-down; its label is read to screen readers and not drawn. */
export function select({ label, choices, value, kernel, onChange, signal }: ChooserOptions): Chooser {
  const root = element("select", "difflab-select");
  root.setAttribute("aria-label", label);
  if (kernel) root.classList.add("difflab-kernel");
  const fill = (list: Choice[]) => {
    root.replaceChildren(...list.map(({ name, label }) => new Option(label, name)));
    root.value = value;
  };
  fill(choices);
  listen(
    root,
    "change",
    () => {
      value = root.value;
      onChange(value);
    },
    signal,
  );
  return {
    root,
    get value() {
      return value;
    },
    set(name) {
      value = name;
      root.value = name;
    },
    setChoices: fill,
  };
}

export interface Readout {
  root: HTMLElement;
  setLabel(label: string): void;
  /** `unit` follows in the same line; `exact` draws it green; an empty value is a quiet dash with `why` beside it. */
  set(value: string, extra?: { unit?: string; exact?: boolean; why?: string }): void;
}

/** A small label with a number under it. */
export function readout(label: string): Readout {
  const root = element("div", "difflab-readout");
  const name = element("span", "");
  name.textContent = label;
  const number = element("b", "");
  root.append(name, number);
  const set: Readout["set"] = (value, { unit = "", exact = false, why = "" } = {}) => {
    number.textContent = value === "" ? "–" : unit ? `${value} ${unit}` : value;
    number.classList.toggle("difflab-exact", exact && value !== "");
    if (value === "" && why) {
      const reason = element("small", "");
      reason.textContent = ` ${why}`;
      number.append(reason);
    }
  };
  set("");
  return { root, set, setLabel: (text) => (name.textContent = text) };
}

export interface Chip {
  root: HTMLElement;
  /** `dot` is a CSS colour or null. */
  set(text: string, dot?: string | null): void;
}

export function chip(text = "", dot: string | null = null): Chip {
  const root = element("span", "difflab-chip");
  const set: Chip["set"] = (text, dot = null) => {
    root.replaceChildren(text);
    if (dot) {
      const mark = element("span", "difflab-dot");
      mark.style.background = dot;
      root.prepend(mark);
    }
  };
  set(text, dot);
  return { root, set };
}
