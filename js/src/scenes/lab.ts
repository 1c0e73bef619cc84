/**
 * Lab: the scenes linked on one clock and one schedule.
 *
 * Its tabs are layouts of the same six panels, so that nothing is ever built twice; lab.css says which panel stands
 * where. A drag on the desk reaches forward noising and reverse trajectories in the same frame, because in the Lab
 * their schedule *is* the desk's.
 */
import { linked } from "../core/linked";
import { element, sentence } from "../core/panel";
import type { Scene, SceneState, Store } from "../core/store";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { Choice } from "../core/controls";
import { atT, type Profile } from "./at_t";
import { dataFacts, type Fact } from "./data_facts";
import { forwardNoising } from "./forward_noising";
import "./lab.css";
import { labHeader } from "./lab_header";
import { reverseTrajectories } from "./reverse_trajectories";
import { scheduleDesk } from "./schedule_desk";
import { staleness } from "./staleness";
import { trainingMonitor } from "./training_monitor";
import { whereTheBitsGo } from "./where_the_bits_go";

export interface State extends SceneState {
  preset: string;
  presets: Choice[];
  tab: string;
  profile: Profile | null;
  facts: Fact[];
  forward: unknown;
  desk: unknown;
  bits: unknown;
  monitor: unknown;
  reverse: unknown;
}

const CHILDREN = ["forward", "desk", "bits", "monitor", "reverse"] as const;
type Child = (typeof CHILDREN)[number];
/** The order of reading, which is also that of the keyboard. */
const CELLS = ["forward", "facts", "desk", "at_t", "bits", "monitor", "reverse"] as const;

export const lab: Scene<State> = async (store, el, clock, signal) => {
  el.classList.add("difflab");
  const root = element("div", "difflab-lab");
  root.tabIndex = -1; // a click anywhere gives the Lab the keys
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Diffusion Lab");
  el.append(root);
  const cells = new Map(CELLS.map((name) => [name, element("div", "difflab-cell")]));
  const grid = element("div", "difflab-grid");
  grid.setAttribute("role", "tabpanel"); // one for all tabs: they are layouts of the same panels
  for (const [name, cell] of cells) {
    cell.dataset.cell = name;
    grid.append(cell);
  }

  const found = await Promise.all(CHILDREN.map(async (name) => [name, await store.child(name)] as const));
  if (signal.aborted) return;
  const child = Object.fromEntries(found) as Record<Child, Store>;
  const { desk, bits, monitor } = child;
  const forward = linked(child.forward, { schedule: desk });
  const reverse = linked(child.reverse, { schedule: desk });

  const header = labHeader(store, monitor, root, signal);
  const time = timeBar(clock, () => desk.get("schedule"), signal);
  desk.on("schedule", () => time.refresh(), signal);
  bindTimeKeys(root, clock, signal);
  root.append(header, grid, time.root);

  const mount = (name: (typeof CELLS)[number], scene: (cell: HTMLElement) => void | Promise<void>) => {
    const cell = cells.get(name)!;
    // one scene that fails says so in its own cell and leaves the others alone
    const failed = (error: unknown) => {
      if (!cell.querySelector(".difflab-panel")) cell.append(element("section", "difflab-panel"));
      const line = element("p", "difflab-error");
      line.setAttribute("role", "alert");
      line.textContent = sentence(error);
      cell.firstElementChild!.append(line);
    };
    try {
      Promise.resolve(scene(cell)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
  mount("forward", (cell) => forwardNoising(forward, cell, clock, signal));
  mount("facts", (cell) => dataFacts(store, cell, signal));
  mount("desk", (cell) => scheduleDesk(desk, cell, clock, signal));
  mount("at_t", (cell) => atT({ lab: store, desk, bits, reverse }, cell, clock, signal));
  mount("bits", (cell) => whereTheBitsGo(bits, cell, clock, signal));
  mount("monitor", (cell) => trainingMonitor(monitor, cell, clock, signal));
  const showAge = () => {
    const stale = age.reason() !== "";
    cells.get("bits")!.classList.toggle("difflab-stale", stale);
    const body = cells.get("bits")!.querySelector<HTMLElement>(".difflab-body");
    const saved = "These bars are of the saved schedule; new ones need Python.";
    if (body) body.dataset.stale = stale ? (store.hasKernel ? "New bars are being computed." : saved) : "";
  };
  const question = () => bits.get("computed_for");
  const age = staleness(desk, bits, "computed_for", question, showAge, signal);
  mount("reverse", (cell) => reverseTrajectories(reverse, cell, clock, signal));
};
