/**
 * A curve that is drawn by hand and can only fall: knots at fixed times, pulled by a mouse, a pen, a finger or keys.
 *
 * Where the hand leads a knot, its neighbours give way, so that the curve falls after every movement and needs no repair.
 */
import { arrow, bindKeys, followHand, History, undoKey, type Spot } from "./drawing";
import { format } from "./numbers";
import { element } from "./panel";
import type { Range } from "./chart";

/** Least fall between two knots. */
const GAP = 0.05;
/** A key moves a knot by this share of the range; with shift ten times as far. */
const STEP = 1 / 160;

export interface Knots {
  readonly times: readonly number[];
  readonly values: readonly number[];
}

/** `values` with the one at `index` led to `value`: those before it stay above, those after it below. */
export function pulled(values: readonly number[], index: number, value: number, [low, high]: Range): number[] {
  const n = values.length;
  const out = [...values];
  out[index] = Math.min(high - GAP * index, Math.max(low + GAP * (n - 1 - index), value));
  for (let i = index - 1; i >= 0; i--) out[i] = Math.max(out[i], out[i + 1] + GAP);
  for (let i = index + 1; i < n; i++) out[i] = Math.min(out[i], out[i - 1] - GAP);
  return out;
}

/** `knots` after a stroke from one place to another, both (t, value): every knot in between is led to the line. */
export function stroked(
  { times, values }: Knots,
  from: readonly [number, number],
  to: readonly [number, number],
  range: Range,
): number[] {
  const forward = to[0] >= from[0];
  const [first, last] = forward ? [from, to] : [to, from];
  const touched = times.map((_, i) => i).filter((i) => first[0] <= times[i] && times[i] <= last[0]);
  const near = nearest(times, to[0]);
  if (!touched.includes(near)) touched.push(near);
  if (!forward) touched.reverse(); // the knot under the hand is led last, and stays where the hand is
  let out: readonly number[] = values;
  for (const i of touched) {
    const u = last[0] > first[0] ? Math.min(1, Math.max(0, (times[i] - first[0]) / (last[0] - first[0]))) : 1;
    const value = last[0] > first[0] ? first[1] + u * (last[1] - first[1]) : to[1];
    out = pulled(out, i, i === near ? to[1] : value, range);
  }
  return [...out];
}

export function nearest(times: readonly number[], t: number): number {
  return times.reduce((best, time, i) => (Math.abs(time - t) < Math.abs(times[best] - t) ? i : best), 0);
}

export interface CurveSurface {
  /** Lies over the chart; focusable. */
  readonly root: HTMLElement;
  /** The knot that keys move. */
  readonly current: number;
  readonly canUndo: boolean;
  /** Begin anew with these knots; what was drawn before is forgotten. */
  begin(knots: Knots): void;
  undo(): void;
  /** The knots as they were at `begin`; can be undone. */
  reset(): void;
  /** Cover this part of the surface's parent, in its pixels. */
  place(box: { left: number; top: number; width: number; height: number }): void;
}

/**
 * `range` is that of the surface's height, the times run over its width. `onDraw` hears of every movement, `onSelect` when
 * another knot is the keys' one. `quantity` names what is drawn.
 */
export function createCurveSurface(
  options: { quantity: string; range: Range; onDraw: (knots: Knots) => void; onSelect: () => void },
  signal: AbortSignal,
): CurveSurface {
  const { quantity, range, onDraw, onSelect } = options;
  const [low, high] = range;
  const root = element("div", "difflab-curve-surface");
  root.tabIndex = 0;
  root.setAttribute("role", "slider");
  root.setAttribute("aria-orientation", "vertical");
  root.setAttribute("aria-valuemin", String(low));
  root.setAttribute("aria-valuemax", String(high));
  root.setAttribute("aria-label", `${quantity}, drawn by hand: left and right choose a knot, up and down move it`);
  let times: readonly number[] = [0, 1];
  let started: readonly number[] = [high, low];
  let history = new History<readonly number[]>(started);
  let values = started;
  let current = 0;
  let last: readonly [number, number] | null = null;

  const tell = () => {
    root.setAttribute("aria-valuenow", String(Number(values[current].toFixed(3))));
    const where = `knot ${current + 1} of ${times.length}, t = ${format(times[current], 2)}`;
    root.setAttribute("aria-valuetext", `${quantity} ${format(values[current])} at ${where}`);
  };
  const show = (next: readonly number[]) => {
    values = next;
    tell();
    onDraw({ times, values });
  };
  const at = ({ x, y }: Spot): [number, number] => [
    Math.min(1, Math.max(0, x / root.clientWidth)),
    high - (y / root.clientHeight) * (high - low),
  ];
  const lead = (spot: Spot) => {
    const to = at(spot);
    const next = stroked({ times, values }, last ?? to, to, range);
    current = nearest(times, to[0]);
    last = to;
    show(next);
  };
  followHand(
    root,
    {
      down(spot) {
        last = null;
        lead(spot);
      },
      move: (spots) => spots.forEach(lead),
      up() {
        history.push(values);
        onDraw({ times, values }); // now it can be undone
      },
      cancel: () => show(history.now),
    },
    signal,
  );
  const select = (index: number) => {
    current = Math.min(times.length - 1, Math.max(0, index));
    tell();
    onSelect();
  };
  const surface: CurveSurface = {
    root,
    get current() {
      return current;
    },
    get canUndo() {
      return history.canUndo;
    },
    begin(knots) {
      times = knots.times;
      values = started = knots.values;
      history = new History(started);
      current = Math.min(current, times.length - 1);
      tell();
    },
    undo: () => show(history.undo()),
    reset() {
      history.push(started);
      show(started);
    },
    place(box) {
      for (const side of ["left", "top", "width", "height"] as const) root.style[side] = `${box[side]}px`;
    },
  };
  bindKeys(
    root,
    (event) => {
      const step = undoKey(event);
      if (step) {
        show(step < 0 ? history.undo() : history.redo());
        return true;
      }
      if (event.ctrlKey || event.metaKey || event.altKey) return false;
      if (event.key === "Home" || event.key === "End") {
        select(event.key === "Home" ? 0 : times.length - 1);
        return true;
      }
      const direction = arrow(event.key);
      if (!direction) return false;
      if (direction[0]) select(current + direction[0]);
      if (direction[1]) {
        const far = direction[1] * (event.shiftKey ? 10 : 1) * STEP * (high - low);
        history.push(pulled(values, current, values[current] + far, range));
        show(history.now);
      }
      return true;
    },
    signal,
  );
  return surface;
}
