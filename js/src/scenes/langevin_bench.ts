/**
 * LangevinBench: walks by the exact score, abreast at equal score calls. Its clock counts those calls, not t: frames crossed
 * the wire once, and the bar moves through them at display rate.
 */
import { createChart } from "../core/chart";
import { createClock, linkClock } from "../core/clock";
import { segmented } from "../core/controls";
import { named } from "../core/deck";
import { readMixture } from "../core/density";
import { onNextFrame } from "../core/frame";
import { count } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import type { Scene, SceneState, Store } from "../core/store";
import { onThemeChange } from "../core/theme";
import { bindTimeKeys } from "../core/timebar";
import type { NDArray } from "../core/wire";
import { benchChart } from "./bench_chart";
import { createColumn, type Scenery } from "./bench_columns";
import { benchControls } from "./bench_controls";
import { nextCall, readRun, type Outcome } from "./bench_run";
import { axisClock } from "./axis_clock";
import { callsBar } from "./calls_bar";
import { current, type Question } from "./staleness";
import "./langevin_bench.css";

export interface State extends SceneState {
  /** Read by `readMixture`. */
  mixture: unknown;
  extent: number;
  /** What the data suggest for the knobs of these names. */
  natural: Partial<Record<"distance" | "weight" | "sigma_min" | "sigma_max", number>>;
  start_points: NDArray | null;
  method_labels: Record<string, string>;
  step: number;
  calls: number;
  distance: number;
  weight: number;
  levels: number;
  sigma_min: number;
  sigma_max: number;
  annealed_step: "v2" | "v1" | "advised";
  methods: string[];
  start: "prior" | "one mode";
  n: number;
  denoise: boolean;
  leapfrog: number;
  snr: number;
  chart: "mass" | "variance";
  call: number;
  positions: NDArray | null;
  frames: NDArray | null;
  live: NDArray | null;
  mass: NDArray | null;
  mass_error: NDArray | null;
  variance: NDArray | null;
  variance_error: NDArray | null;
  variance_predicted: NDArray | null;
  level: NDArray | null;
  spread: NDArray | null;
  outcomes: Outcome[];
  computed_for: Question | null;
}

const COLUMNS = 4;
/** Seconds from the first call to the last. */
const PERIOD = 8;

const FOUND = [
  "positions", "frames", "live", "mass", "mass_error", "variance", "variance_error", "variance_predicted", "level",
  "spread", "outcomes", "computed_for",
] as const; // prettier-ignore
const ASKED = [
  "step", "calls", "distance", "weight", "levels", "sigma_min", "sigma_max", "annealed_step", "methods", "start", "n",
  "denoise", "leapfrog", "snr", "seed",
] as const; // prettier-ignore

export const langevinBench: Scene<State> = (store, el, _clock, signal) => {
  const panel = createPanel(el, { title: "Langevin bench" });
  followMessages(store, panel, signal);
  panel.root.classList.add("difflab-bench-panel");
  panel.root.classList.toggle("difflab-bench-embedded", store.embedded);
  let scenery = read(store);
  const total = () => scenery.run?.total ?? store.get("calls");
  const positions = () => scenery.run?.positions ?? [0, total()];

  const own = createClock({ period: PERIOD });
  linkClock(sharesOf(store, total), own, signal);
  const call = () => own.t * total();

  const stands = element("div", "difflab-bench");
  panel.body.append(stands);
  const columns = Array.from({ length: COLUMNS }, (_, i) => createColumn(stands, i, () => scenery, call, signal));
  if (!store.embedded) for (const { stage } of columns) stage.canvas.tabIndex = 0;

  const under = element("div", "difflab-bench-under");
  const shown = segmented({
    label: "what the chart shows",
    choices: [
      { name: "mass", label: "mode mass" },
      { name: "variance", label: "variance" },
    ],
    value: store.get("chart"),
    onChange: (name) => store.set("chart", name as State["chart"]),
    signal,
  });
  under.append(named(store, "chart", shown.root, signal));
  const onCalls = axisClock(
    own,
    (share) => share * total(),
    (calls) => calls / total(),
  );
  const chart = createChart(under, { clock: onCalls, minHeight: store.embedded ? 84 : 140 }, signal);
  panel.body.append(under);

  const bar = callsBar(own, total, (from) => nextCall(positions(), from), signal);
  panel.footer.append(named(store, "time", bar.root, signal));
  if (!store.embedded) bindTimeKeys(el, own, signal, 1);
  benchControls(store, panel, signal);

  const write = panel.guard(() => columns.forEach((column) => column.write()));
  const redraw = () => columns.forEach(({ stage }) => stage.redraw());
  const refresh = onNextFrame(
    panel.guard(() => {
      scenery = read(store);
      const { run, methods, mixture, labels, start } = scenery;
      stands.style.setProperty("--columns", String(methods.length));
      stands.style.setProperty("--narrow", String(Math.min(2, methods.length)));
      const stale = run !== null && !run.live && store.hasKernel && !current(store, store.get("computed_for"));
      panel.root.classList.toggle("difflab-bench-stale", stale);
      const n = run ? run.points : (start?.length ?? 0) / 2;
      const points = count(n);
      const now = run ? `${points} points · ${count(run.total)} score calls each` : `${points} points, not sampled yet`;
      panel.setNote(stale ? "of other knobs · press Sample" : now);
      shown.set(store.get("chart"));
      chart.show(benchChart(run, mixture?.weights ?? [], total(), n, store.get("chart"), labels));
      bar.refresh();
      write();
      redraw();
    }),
    signal,
  );
  store.on([...FOUND, ...ASKED, "mixture", "extent", "start_points", "chart"], refresh, signal);
  own.subscribe(() => {
    write();
    redraw();
  }, signal);
  onThemeChange(el, write, signal);
  refresh();
};

function read(store: Store<State>): Scenery {
  const run = readRun(store);
  return {
    run,
    mixture: readMixture(store.get("mixture")),
    methods: run?.methods ?? store.get("methods") ?? [],
    labels: store.get("method_labels") ?? {},
    start: (store.get("start_points")?.data as Float32Array | undefined) ?? null,
    extent: store.get("extent") ?? 6,
    sigmaMin: store.get("sigma_min"),
    sigmaMax: store.get("sigma_max"),
  };
}

/** The store with `t` in the place of `call`, as a share of all calls: what links the walk's clock to Python's. */
function sharesOf(store: Store<State>, total: () => number): Store {
  return {
    ...store,
    get: () => Math.min(1, (store.get("call") ?? 0) / total()),
    set: (_name: string, t: number) => store.set("call", Math.round(t * total())),
    on: (_names, f, signal) => store.on("call", f, signal),
  } as Store;
}
