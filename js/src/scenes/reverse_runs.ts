/** What ReverseTrajectories knows of its columns: the runs that were asked for, and what has come of them. */
import type { LookState } from "../core/cloud";
import type { Choice } from "../core/controls";
import { readMixture, type Mixture } from "../core/density";
import { fatesOf, type Fates } from "../core/fate";
import { readTrajectory, type Trajectory } from "../core/trajectory";
import type { Schedule } from "../core/schedule";
import type { SceneState, Store } from "../core/store";
import type { NDArray } from "../core/wire";

export type Of = "exact" | "learned";

export interface Run {
  sampler: string;
  steps: number;
  of: Of;
  knobs?: Record<string, number | string>;
}

/** Numbers are null where they are not known, or not yet. */
export interface Result {
  run: Run;
  evaluations: number;
  steps: number;
  decided_half_t: number | null;
  energy_distance: number | null;
  energy_distance_error: number | null;
  /** Total variation between the shares of the modes and their weights; what as many true samples have (mean, std). */
  mode_gap: number | null;
  mode_gap_floor: number | null;
  mode_gap_floor_std: number | null;
}

/** Of the first column of each kind. `label` says what was measured; errors are one standard error. */
export interface Quality {
  label: string;
  learned: number | null;
  learned_error: number | null;
  exact: number | null;
  exact_error: number | null;
}

/** A number between two ends, or one of some choices. */
export interface Knob {
  name: string;
  label: string;
  default: number | string;
  choices?: string[];
  min?: number;
  max?: number;
  step?: number;
}

export interface State extends SceneState, LookState {
  schedule: Schedule;
  runs: Run[];
  results: (Result | null)[];
  /** Of each column: (frames,), falling to 0, and (frames, n, d). */
  times_1: NDArray | null;
  times_2: NDArray | null;
  times_3: NDArray | null;
  times_4: NDArray | null;
  frames_1: NDArray | null;
  frames_2: NDArray | null;
  frames_3: NDArray | null;
  frames_4: NDArray | null;
  /** What the samples were drawn under. */
  computed_for: { schedule: Schedule; n: number | null; budget: string; grid: string } | null;
  /** (n, d) of the column under way, at `live_t`. */
  live: NDArray | null;
  live_t: number;
  live_column: number;
  sampler: string;
  samplers: Choice[];
  steps: number;
  step_range: [number, number];
  knobs: Record<string, Knob[]>;
  grid: string;
  grids: Choice[];
  /** What the steps of a run count. */
  budget: "steps" | "evaluations";
  /** Samples of a column; null for the usual number. */
  n: number | null;
  has_network: boolean;
  colour: "denoiser" | "mode";
  picture: "sheet" | "strip";
  /** Which column is shown, counted from 1; 0 for all. */
  column: number;
  /** Samples whose whole path is drawn. */
  picked: number[];
  evaluations: number;
  quality: Quality | null;
}

export const MOST = 4;
const COLUMNS = [1, 2, 3, 4] as const;

/** One column as it can be drawn now. */
export interface Column {
  index: number;
  run: Run;
  result: Result | null;
  trajectory: Trajectory | null;
  live: Float32Array | null;
}

/** The columns that there are, also those that are not shown. */
export function readColumns(store: Store<State>): Column[] {
  const results = store.get("results") ?? [];
  const live = store.get("live");
  const liveColumn = store.get("live_column") ?? 0;
  return (store.get("runs") ?? []).slice(0, MOST).map((run, index) => {
    const k = COLUMNS[index];
    return {
      index,
      run,
      result: results[index] ?? null,
      trajectory: readTrajectory(store.get(`times_${k}`), store.get(`frames_${k}`)),
      live: live && liveColumn === index ? (live.data as Float32Array) : null,
    };
  });
}

export const isEmpty = ({ trajectory, live }: Column): boolean => !trajectory && !live;

/** Whose denoiser made what is on screen. */
export const kindOf = ({ result, run }: Column): Of => result?.run.of ?? run.of;

/** Those to be drawn: all or the chosen one; learned ones, unless chosen, from their first samples on. */
export function shownColumns(columns: readonly Column[], chosen: number): Column[] {
  const one = columns[chosen - 1];
  if (one) return [one];
  const some = columns.filter((column) => column.run.of === "exact" || !isEmpty(column));
  return some.length ? some : columns.slice(0, 1);
}

/** Whether what is on screen is what the controls ask for. */
export function isCurrent(columns: readonly Column[]): boolean {
  return columns.every(
    ({ run, result }) => !result || JSON.stringify(sorted(run)) === JSON.stringify(sorted(result.run)),
  );
}

const sorted = (run: Run) => [run.of, run.sampler, run.steps, Object.entries(run.knobs ?? {}).sort()];

/** "DDIM · 20 steps", with what was turned: "DDIM, eta 0.5 · 20 steps". */
export function nameOf(run: Run, samplers: readonly Choice[], unit: string): string {
  const label = samplers.find(({ name }) => name === run.sampler)?.label ?? run.sampler;
  const turned = Object.entries(run.knobs ?? {}).map(([name, value]) => `, ${name.replaceAll("_", " ")} ${value}`);
  if (run.sampler === "RK45") return label; // it takes as many as it needs
  return `${label}${turned.join("")} · ${run.steps} ${run.steps === 1 ? unit.slice(0, -1) : unit}`;
}

/** One short word for each column that tells it from the others: whose denoiser, else which sampler, else its number. */
export function shortNames(columns: readonly Column[], samplers: readonly Choice[]): string[] {
  const run = ({ result, run }: Column) => result?.run ?? run;
  const label = (c: Column) => samplers.find(({ name }) => name === run(c).sampler)?.label ?? run(c).sampler;
  const tries = [kindOf, label, (c: Column) => `${kindOf(c)} ${label(c)}`];
  for (const name of tries) {
    const names = columns.map(name);
    if (new Set(names).size === names.length) return names;
  }
  return columns.map(({ index }) => `${index + 1}`);
}

const known = new WeakMap<Float32Array, { key: string; mixture: unknown; fates: Fates }>();

/** The fates of a column under the schedule of its samples, worked out once for its frames; null where they have none. */
export function fatesFor(store: Store<State>, { trajectory }: Column): Fates | null {
  const raw = store.get("mixture");
  const schedule = store.get("computed_for")?.schedule ?? store.get("schedule");
  if (!trajectory || trajectory.dim !== 2 || !raw) return null;
  const key = JSON.stringify(schedule);
  const before = known.get(trajectory.frames);
  if (before?.key === key && before.mixture === raw) return before.fates;
  const mixture: Mixture | null = readMixture(raw);
  if (!mixture) return null;
  const fates = fatesOf(trajectory, mixture, schedule);
  known.set(trajectory.frames, { key, mixture: raw, fates });
  return fates;
}
