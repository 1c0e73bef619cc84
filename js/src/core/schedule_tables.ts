/**
 * Schedules without a closed form here: sampled once by Python (difflab/scenes/schedule_table.py), cubics in between.
 *
 * What is sampled is log-SNR over logit t, where it is smooth up to both ends whether or not they are infinite: with its
 * exact slopes a cubic is off by at most h^4/384 of the fourth derivative, h = 0.026. The log of sqrt(alpha^2 + sigma^2),
 * which is 0 where variance is preserved, is sampled likewise.
 *
 * A table crosses once. The browser names the schedule by its parameters only, so tables are remembered by them.
 */
import { hermite } from "./monotone_cubic";
import { byLogSnr, type AlphaSigma } from "./schedule_formulas";
import type { NDArray } from "./wire";

/** Rows of (4 or 2, n) float64: log-SNR, its slope over logit t, log size, its slope; first and last column at t = 0+, 1. */
export type Table = NDArray<Float64Array>;

interface Described {
  readonly name: string;
  readonly params: object;
  readonly table?: Table;
}

const REACH = Math.log((1 - 1e-9) / 1e-9); // Python's FIRST_T
const MOST = 256; // tables of one page

const byQuestion = new Map<string, Table>();
const byObject = new WeakMap<object, Table>();

/** The table of a schedule that brings one, or brought one before; undefined if none ever came. */
export function tableOf(schedule: Described): Table | undefined {
  if (schedule.table) {
    remember(schedule);
    return schedule.table;
  }
  const known = byObject.get(schedule);
  if (known) return known;
  const found = byQuestion.get(question(schedule));
  if (found) byObject.set(schedule, found);
  return found;
}

/** Keep the table of `schedule` for when it is named without. */
export function remember(schedule: Described): void {
  if (!schedule.table || byObject.get(schedule) === schedule.table) return;
  byObject.set(schedule, schedule.table);
  const key = question(schedule);
  byQuestion.delete(key);
  byQuestion.set(key, schedule.table);
  if (byQuestion.size > MOST) byQuestion.delete(byQuestion.keys().next().value!);
}

const question = ({ name, params }: Described) => JSON.stringify([name, ordered(params)]);

function ordered(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => [k, ordered(v)]);
}

/** Columns without those of the two ends, as splines over logit t. */
const splines = new WeakMap<Table, { x: Float64Array; rows: Float64Array[] }>();

function sampled(table: Table): { x: Float64Array; rows: Float64Array[] } {
  let found = splines.get(table);
  if (!found) {
    const [rows, n] = table.shape;
    const x = Float64Array.from({ length: n - 2 }, (_, i) => REACH * ((2 * i) / (n - 3) - 1));
    const cut = Array.from({ length: rows }, (_, r) => table.data.subarray(r * n + 1, (r + 1) * n - 1));
    splines.set(table, (found = { x, rows: cut }));
  }
  return found;
}

export function tableAt(table: Table, t: number): AlphaSigma {
  const n = table.shape[1];
  if (t >= 1) return leveled(table.data[n - 1], table.shape[0] > 2 ? table.data[3 * n - 1] : 0);
  const { x, rows } = sampled(table);
  const at = Math.min(REACH, Math.max(-REACH, Math.log(t) - Math.log1p(-t)));
  const logSnr = hermite({ x, y: rows[0], slope: rows[1] }, at);
  return leveled(logSnr, rows.length > 2 ? hermite({ x, y: rows[2], slope: rows[3] }, at) : 0);
}

/** Whether the level just above t = 0 is the data itself. */
export const tableReachesData = (table: Table): boolean => table.data[0] === Infinity;

function leveled(logSnr: number, logSize: number): AlphaSigma {
  const size = Math.exp(logSize);
  const { alpha, sigma } = byLogSnr(logSnr);
  return { alpha: size * alpha, sigma: size * sigma };
}
