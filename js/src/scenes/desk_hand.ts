/**
 * Drawing on the desk: a button that turns the chart into a surface, and takes back what was drawn.
 *
 * The knots are a `Tabulated` schedule, which the browser evaluates by the same monotone cubic as Python. Drawing begins with
 * the curve that is there.
 */
import { createCurveSurface, type CurveSurface, type Knots } from "../core/curve_surface";
import { button } from "../core/controls";
import { element } from "../core/panel";
import { logSnr, type Schedule } from "../core/schedule";
import { DRAWN_RANGE } from "./desk_views";

const TIMES = [0.02, ...Array.from({ length: 16 }, (_, i) => (i + 1) / 16)];
const MOST_KNOTS = 33; // a table with more than a hand can hold is drawn anew, through our own
const GAP = 0.05;

export interface DeskHand {
  /** Draw, Undo, Reset. */
  readonly root: HTMLElement;
  readonly surface: HTMLElement;
  readonly drawing: boolean;
  /** The knots, and the one that keys move. */
  knots(): Knots & { current: number };
  stop(): void;
  /** Another hand changed the schedule: the knots follow it. */
  follow(schedule: Schedule): void;
  /** Lie over the plot inside `chart`. */
  place(chart: HTMLElement): void;
}

export function deskHand(
  {
    schedule,
    propose,
    redraw,
    rest,
  }: {
    schedule: () => Schedule;
    propose: (drawn: Schedule) => void;
    redraw: () => void;
    rest: () => void;
  },
  signal: AbortSignal,
): DeskHand {
  let drawing = false;
  let knots: Knots = { times: TIMES, values: TIMES.map((t) => -t) };
  let sent: Schedule | null = null;
  const surface: CurveSurface = createCurveSurface(
    {
      quantity: "log-SNR",
      range: DRAWN_RANGE,
      onDraw(next) {
        knots = next;
        undo.disabled = !surface.canUndo;
        propose((sent = scheduleOf(next)));
      },
      onSelect: redraw,
    },
    signal,
  );
  surface.root.addEventListener("pointerup", rest, { signal });
  surface.root.addEventListener("keyup", rest, { signal });

  const show = () => {
    draw.setAttribute("aria-pressed", String(drawing));
    undo.hidden = reset.hidden = surface.root.hidden = !drawing;
  };
  const set = (wanted: boolean) => {
    drawing = wanted;
    show();
    if (drawing) {
      knots = knotsOf(schedule());
      surface.begin(knots);
      undo.disabled = true;
    }
    redraw();
  };
  const draw = button({
    label: "Draw",
    title: "Draw the log-SNR by hand",
    onClick() {
      set(!drawing);
      if (drawing) surface.root.focus({ preventScroll: true });
    },
    signal,
  });
  const undo = button({
    label: "Undo",
    title: "Take back the last stroke (Ctrl+Z)",
    onClick: () => (surface.undo(), rest()),
    signal,
  });
  const reset = button({
    label: "Reset",
    title: "The curve as it was when drawing began",
    onClick: () => (surface.reset(), rest()),
    signal,
  });
  const root = element("div", "difflab-desk-hand");
  root.append(draw, undo, reset);
  show();
  return {
    root,
    surface: surface.root,
    get drawing() {
      return drawing;
    },
    knots: () => ({ ...knots, current: surface.current }),
    stop() {
      if (drawing) set(false);
    },
    follow(now) {
      if (!drawing || same(now, sent)) return;
      if (now.name !== "Tabulated" || "table" in now.params) return set(false);
      knots = knotsOf(now);
      surface.begin(knots);
      undo.disabled = true;
    },
    place(chart) {
      const plot = chart.querySelector<HTMLElement>(".u-over");
      if (!plot || !drawing) return;
      const [outer, inner] = [surface.root.parentElement!.getBoundingClientRect(), plot.getBoundingClientRect()];
      surface.place({
        left: inner.left - outer.left,
        top: inner.top - outer.top,
        width: inner.width,
        height: inner.height,
      });
    },
  };
}

const scheduleOf = ({ times, values }: Knots): Schedule => ({
  name: "Tabulated",
  params: { values: values.map((v) => Number(v.toFixed(4))), t: [...times] },
});

const same = (a: Schedule, b: Schedule | null) => b !== null && JSON.stringify(a.params) === JSON.stringify(b.params);

/** Knots of a drawn schedule, or ours on any other one; within the range of the picture, and falling. */
function knotsOf(schedule: Schedule): Knots {
  const { t, values } = schedule.params;
  const drawn = schedule.name === "Tabulated" && Array.isArray(t) && t.length > 1 && t.length <= MOST_KNOTS;
  const times: readonly number[] = drawn ? t : TIMES;
  const wanted: readonly number[] = drawn ? values : TIMES.map((at) => logSnr(schedule, at));
  const [low, high] = DRAWN_RANGE;
  const fallen: number[] = [];
  wanted.forEach((value, i) => {
    const most = Math.min(i ? fallen[i - 1] - GAP : high, value);
    fallen.push(Math.max(low + GAP * (wanted.length - 1 - i), most));
  });
  return { times, values: fallen };
}
