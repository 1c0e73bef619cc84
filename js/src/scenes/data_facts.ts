/** What is diffused, in facts: the panel beside the points in the Lab's Data tab. */
import { createPanel, element } from "../core/panel";
import type { Store } from "../core/store";
import type { State } from "./lab";
import "./scenes.css";

export interface Fact {
  label: string;
  value: string | number;
}

export function dataFacts(lab: Store<State>, el: HTMLElement, signal: AbortSignal): void {
  const panel = createPanel(el, { title: "Data" });
  const list = element("dl", "difflab-facts");
  panel.body.append(list);
  const show = panel.guard(() => {
    const presets = lab.get("presets") ?? [];
    panel.setNote(presets.find((p) => p.name === lab.get("preset"))?.label ?? "");
    list.replaceChildren(
      ...(lab.get("facts") ?? []).flatMap(({ label, value }) => {
        const [term, told] = [element("dt", ""), element("dd", "")];
        term.textContent = label;
        told.textContent = String(value);
        return [term, told];
      }),
    );
  });
  lab.on(["facts", "preset", "presets"], show, signal);
  show();
}
