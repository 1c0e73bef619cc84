/** The Lab's first line: tabs, the state of training, seed, preset, tour, and the one filled button. */
import { button, chip, select } from "../core/controls";
import { named } from "../core/deck";
import { element } from "../core/panel";
import { seedField } from "../core/seed";
import type { Store } from "../core/store";
import type { State } from "./lab";
import { TABS, tabOf } from "./lab_layouts";
import { stateChip, trainButtons } from "./training_controls";
import type { State as MonitorState } from "./training_monitor";

export function labHeader(
  lab: Store<State>,
  monitor: Store<MonitorState>,
  onTour: () => void,
  signal: AbortSignal,
): HTMLElement {
  const header = element("header", "difflab-header");
  const name = element("h1", "");
  name.textContent = "Diffusion Lab";
  const right = element("div", "difflab-header-right");
  const status = element("span", "difflab-status");
  status.setAttribute("role", "status");
  right.append(status, stateChip(monitor, signal), named(lab, "seed", seedField(lab, signal), signal));
  const tour = button({ label: "Tour", title: "Six stops, a minute", onClick: onTour, signal });
  const presets = lab.get("presets") ?? [];
  const preset = select({
    label: "preset",
    choices: presets.map(({ name, label }) => ({ name, label: `Preset: ${label}` })),
    value: lab.get("preset"),
    kernel: true,
    onChange: (name) => lab.request("preset", { name }),
    signal,
  });
  lab.on("preset", () => preset.set(lab.get("preset")), signal);
  const save = button({
    label: "Save page",
    title: "One file that opens anywhere, without Python",
    kernel: true,
    onClick: () => lab.request("save_page"),
    signal,
  });
  save.hidden = !lab.hasKernel;
  const use = button({
    label: "Use drawing",
    title: "Makes what is drawn the data; the trained network is put away",
    kernel: true,
    onClick: () => lab.request("use_drawing"),
    signal,
  });
  const offer = () => (use.hidden = !lab.hasKernel || !lab.get("drawing_waits"));
  lab.on("drawing_waits", offer, signal);
  offer();
  const presetChip = chip(presets.find((p) => p.name === preset.value)?.label).root;
  const { main } = trainButtons(monitor, signal, { primary: true, start: "Train" });
  right.append(
    named(lab, "use", use, signal),
    named(lab, "preset", lab.hasKernel ? preset.root : presetChip, signal),
    named(lab, "tour", tour, signal),
    named(lab, "save", save, signal),
    named(lab, "train", main, signal),
  );
  const error = element("p", "difflab-error");
  error.setAttribute("role", "alert");
  header.append(name, tabs(lab, signal), right, error);
  const messages = () => {
    status.textContent = status.title = lab.get("status") ?? "";
    error.textContent = lab.get("error") ?? "";
    error.hidden = error.textContent === "";
  };
  lab.on("status", messages, signal);
  lab.on("error", messages, signal);
  messages();
  return header;
}

function tabs(lab: Store<State>, signal: AbortSignal): HTMLElement {
  const list = element("div", "difflab-tabs");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "layouts of the Lab");
  const buttons = TABS.map(({ name, label }) => {
    const tab = element("button", "");
    tab.type = "button";
    tab.textContent = label;
    tab.dataset.name = name;
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => lab.set("tab", name), { signal });
    return tab;
  });
  list.append(...buttons);
  list.addEventListener(
    "keydown",
    (event) => {
      const at = buttons.indexOf((list.getRootNode() as Document | ShadowRoot).activeElement as HTMLButtonElement);
      const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      const next = buttons[(to + buttons.length) % buttons.length];
      next.focus();
      next.click();
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );
  const show = () => {
    const tab = tabOf(lab.get("tab"));
    for (const el of buttons) {
      const on = el.dataset.name === tab;
      el.setAttribute("aria-selected", String(on));
      el.tabIndex = on ? 0 : -1;
    }
  };
  lab.on("tab", show, signal);
  show();
  return list;
}
