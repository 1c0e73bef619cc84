/**
 * Lab: the scenes linked on one clock and one schedule.
 *
 * Its tabs are layouts of the same six panels, so that nothing is ever built twice; lab.css says which panel stands
 * where. A drag on the desk reaches forward noising and reverse trajectories in the same frame, because in the Lab
 * their schedule *is* the desk's.
 */
import type { Choice } from "../core/controls";
import { named } from "../core/deck";
import { linked } from "../core/linked";
import { element, sentence } from "../core/panel";
import type { Clock, Scene, SceneState, Store } from "../core/store";
import { bindTimeKeys, timeBar } from "../core/timebar";
import { atT } from "./at_t";
import { dataFacts, type Fact } from "./data_facts";
import { drawData } from "./draw_data";
import { forwardNoising } from "./forward_noising";
import "./lab.css";
import { labHeader } from "./lab_header";
import { CELLS, LAYOUTS, tabOf, type Cell } from "./lab_layouts";
import { labTour } from "./lab_tour";
import { langevinBench } from "./langevin_bench";
import { lossFloor } from "./loss_floor";
import { reverseTrajectories } from "./reverse_trajectories";
import { scheduleDesk } from "./schedule_desk";
import { scoreMap } from "./score_map";
import { trainingMonitor } from "./training_monitor";
import { whereTheBitsGo } from "./where_the_bits_go";

const CHILDREN = ["forward", "desk", "bits", "monitor", "floor", "score", "reverse", "langevin", "draw"] as const;
type Child = (typeof CHILDREN)[number];

/** The traits that hold its scenes are references, for `store.child`. */
export interface State extends SceneState, Record<Child, unknown> {
  preset: string;
  presets: Choice[];
  tab: string;
  facts: Fact[];
  /** Something new stands on the sheet, and using it would cost the trained network. */
  drawing_waits: boolean;
}

type Mount = (cell: HTMLElement, clock: Clock, signal: AbortSignal) => void | Promise<void>;

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
    cell.hidden = true;
    grid.append(cell);
  }

  const found = await Promise.all(CHILDREN.map(async (name) => [name, await store.child(name)] as const));
  if (signal.aborted) return;
  const child = Object.fromEntries(found) as Record<Child, Store>;
  const desk = child.desk;
  // one schedule: the desk's, in the same frame, before the kernel has heard of it
  const under = (name: Child) => linked(child[name], { schedule: desk });
  const bitsUnder = linked(child.bits, { schedule: desk, steps: desk });
  const scenes: Record<Cell, Mount> = {
    forward: (cell) => forwardNoising(under("forward"), cell, clock, signal),
    draw: (cell) => drawData(child.draw, cell, clock, signal),
    facts: (cell) => dataFacts(store, cell, signal),
    desk: (cell) => scheduleDesk(desk, cell, clock, signal),
    at_t: (cell) => atT({ desk, bits: bitsUnder, floor: child.floor, reverse: child.reverse }, cell, clock, signal),
    bits: (cell) => whereTheBitsGo(bitsUnder, cell, clock, signal),
    monitor: (cell) => trainingMonitor(child.monitor, cell, clock, signal),
    floor: (cell) => lossFloor(under("floor"), cell, clock, signal),
    score: (cell) => scoreMap(under("score"), cell, clock, signal),
    reverse: (cell) => reverseTrajectories(under("reverse"), cell, clock, signal),
    langevin: (cell) => langevinBench(child.langevin, cell, clock, signal),
  };

  const time = timeBar(clock, () => desk.get("schedule"), signal);
  desk.on("schedule", () => time.refresh(), signal);
  bindTimeKeys(root, clock, signal);
  const tour = labTour(root, (tab) => store.set("tab", tab), signal);
  const header = labHeader(store, child.monitor, tour.start, signal);
  root.append(header, grid, named(store, "time", time.root, signal), tour.root);

  const mounted = new Set<Cell>();
  const mount = (name: Cell) => {
    if (mounted.has(name)) return;
    mounted.add(name);
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
      Promise.resolve(scenes[name](cell, clock, signal)).catch(failed);
    } catch (error) {
      failed(error);
    }
  };
  /** A scene is built when its tab is first opened: what nobody has seen yet costs nothing. */
  const show = () => {
    const tab = tabOf(store.get("tab"));
    root.dataset.tab = tab;
    const shown = LAYOUTS[tab];
    for (const [name, cell] of cells) cell.hidden = !shown.includes(name);
    grid.append(...shown.map((name) => cells.get(name)!)); // the order of the keyboard, and on a phone that of reading
    for (const name of shown) mount(name);
  };
  store.on("tab", show, signal);
  show();
};
