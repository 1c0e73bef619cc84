/** One column of ReverseTrajectories: its heading, its picture at the clock's time, and the numbers of its samples. */
import { CloudPainter, dimOf, drawPaths, viewScale, type Drawn, type Look } from "../core/cloud";
import { readout, type Readout } from "../core/controls";
import type { Mixture } from "../core/density";
import type { Fates } from "../core/fate";
import { imageAt, sheet, type Sheet } from "../core/images";
import { count, format, withError } from "../core/numbers";
import { categories } from "../core/palette";
import { element } from "../core/panel";
import { alphaSigma, type Schedule } from "../core/schedule";
import type { View } from "../core/splat";
import { createStage, type Stage, type Surface } from "../core/stage";
import { colors, rgb } from "../core/theme";
import { blendAt, frame, pathOf, type Trajectory } from "../core/trajectory";
import { drawStrip } from "./image_strip";
import { isEmpty, kindOf, type Column } from "./reverse_runs";

/** What all columns share at one moment. */
export interface Scenery {
  look: Look;
  /** Of the samples on screen. */
  schedule: Schedule;
  mixture: Mixture | null;
  /** The time shown: the clock's, or that of a run under way. */
  t: number;
  /** By the mode where each point ends. */
  byMode: boolean;
  strip: boolean;
  picked: readonly number[];
  /** Where there is nothing yet: noise. */
  waiting: Float32Array;
  /** The samples belong to another schedule than the desk's. */
  old: boolean;
}

/** Whose denoiser; by which method; and, where there is no room for numbers, how good the samples are. */
export interface Heading {
  kind: string;
  method: string;
  quality: string;
}

export interface ColumnView {
  root: HTMLElement;
  stage: Stage;
  show(column: Column, heading: Heading, fates: () => Fates | null): void;
  /** The sample under a place of the canvas, in CSS pixels, or -1. */
  at(x: number, y: number): number;
}

const PATHS = 7;
/** How far back in time a path is drawn: a random walk's whole way would cover the picture. */
const TAIL = 0.2;
/** CSS pixels around a point that still are the point. */
const REACH = 16;
const SMALLEST_IMAGE = 34;
/** How much of a colour is left where nothing is decided yet. */
const PALE = 0.45;
/** Points by category are darker than a crowd of one colour: each must be seen for itself. */
const TINTED_INK = 2;

export function createColumn(parent: HTMLElement, scenery: () => Scenery, signal: AbortSignal): ColumnView {
  const root = element("div", "difflab-side");
  const heading = element("p", "difflab-quiet difflab-heading");
  const parts = ["", "difflab-method", "difflab-quality"].map((name) => element("span", name));
  heading.append(...parts);
  const numbers = element("div", "difflab-numbers difflab-column-numbers");
  root.append(heading);
  const painter = new CloudPainter();
  let column: Column | null = null;
  let fates: () => Fates | null = () => null;
  let drawn: { view: View; x: readonly [Float32Array, Float32Array]; mixed: readonly [number, number] } | null = null;
  let laid: Sheet | null = null;

  const draw = (surface: Surface) => {
    drawn = laid = null;
    if (!column) return;
    const scene = scenery();
    const { look, schedule, t } = scene;
    const empty = isEmpty(column);
    const time = empty ? 1 : t;
    const level = alphaSigma(schedule, time);
    const view = painter.view(surface, look, level);
    const color = colors(root);
    const { trajectory, live } = column;
    if (!empty && !live && trajectory && look.images && scene.strip) {
      drawStrip(surface, look, schedule, trajectory, scene.picked, t, color);
      stage.describe(describe(column, scene, time));
      return;
    }
    surface.context.globalAlpha = scene.old && !empty ? 0.4 : 1;
    const found = scene.byMode && !look.images && !live && trajectory ? fates() : null;
    // grey behind would hide which colours are pale
    if (scene.mixture && !empty && !found) painter.marginal(surface, scene.mixture, view, level, color.noise);
    const style: Drawn = { points: empty ? color.noise : color[kindOf(column)], border: color.line };
    let x: readonly [Float32Array, Float32Array] = [scene.waiting, scene.waiting];
    let mixed: readonly [number, number] = [viewScale(level), 0];
    if (live)
      [x, mixed] = [
        [live, live],
        [1, 0],
      ];
    else if (trajectory) {
      const { before, after, u } = blendAt(trajectory.times, time);
      [x, mixed] = [
        [frame(trajectory, before), frame(trajectory, after)],
        [1 - u, u],
      ];
      if (found) {
        style.ink = TINTED_INK;
        style.tint = tintOf(found, scene.mixture!, u < 0.5 ? before : after, color);
      }
      if (look.images && scene.picked.length) style.tint = pickedFrames(x[0].length / dimOf(look), scene.picked, color);
    }
    painter.samples(surface, look, view, x, mixed, level, style);
    if (!empty) drawn = { view, x, mixed };
    if (look.images)
      laid = sheet(
        x[0].length / dimOf(look),
        look.shape,
        surface.width,
        surface.height,
        SMALLEST_IMAGE * surface.ratio,
      );
    else if (trajectory && !live) drawWays(surface, view, trajectory, scene, time, wayColour(found, scene, color));
    stage.describe(describe(column, scene, time));
  };
  const stage = createStage(root, draw, signal);
  root.append(numbers);
  parent.append(root);
  const readouts = [
    readout("energy distance"),
    readout("modes off by"),
    readout("half decided at"),
    readout("evaluations"),
  ];
  numbers.append(...readouts.map((r) => r.root));

  return {
    root,
    stage,
    show(next, words, of) {
      column = next;
      fates = of;
      const empty = isEmpty(next);
      const kind = kindOf(next);
      const said = empty ? ["pure noise, where sampling starts"] : [words.kind, words.method, words.quality];
      parts.forEach((part, i) => part.textContent !== (said[i] ?? "") && (part.textContent = said[i] ?? ""));
      heading.classList.toggle("difflab-exact", !empty && kind === "exact");
      heading.classList.toggle("difflab-learned", !empty && kind === "learned");
      numbers.hidden = empty || !next.result;
      fill(readouts, next, kind);
      stage.redraw();
    },
    at(x, y) {
      const ratio = stage.canvas.width / Math.max(1, stage.root.clientWidth);
      const { look } = scenery();
      if (look.images) return laid && drawn ? imageAt(laid, look.shape, x * ratio, y * ratio) : -1;
      return drawn ? nearest(drawn.x, drawn.mixed, drawn.view, x * ratio, y * ratio, REACH * ratio) : -1;
    },
  };
}

function fill([distance, modes, half, evaluations]: Readout[], { result }: Column, kind: string): void {
  if (!result) return;
  distance.setLabel(`energy distance, ${kind}`);
  distance.set(result.energy_distance === null ? "" : withError(result.energy_distance, result.energy_distance_error), {
    exact: kind === "exact",
  });
  modes.root.hidden = result.mode_gap === null;
  const percent = (share: number | null, digits = 1) => (100 * (share ?? 0)).toFixed(digits);
  modes.set(result.mode_gap === null ? "" : `${percent(result.mode_gap)} %`);
  if (result.mode_gap !== null) {
    const chance = `by chance ${percent(result.mode_gap_floor)} ± ${percent(result.mode_gap_floor_std)}`;
    modes.set(`${percent(result.mode_gap)} %`, { why: "" });
    const small = element("small", "");
    small.textContent = ` ${chance}`;
    modes.root.querySelector("b")!.append(small);
  }
  half.root.hidden = result.mode_gap === null && result.decided_half_t === null;
  half.set(result.decided_half_t === null ? "never" : `t = ${result.decided_half_t.toFixed(2)}`);
  evaluations.set(count(result.evaluations));
}

/** Full colours for those that are decided, pale ones of the same hue for the others. */
function tintOf(
  { ends, decided }: Fates,
  mixture: Mixture,
  at: number,
  color: ReturnType<typeof colors>,
): Drawn["tint"] {
  const modes = mixture.weights.length;
  const full = categories(modes, color.dark);
  const pale = full.map((c) => blended(c, color.panel, PALE));
  const first = at * ends.length;
  return {
    categories: Uint16Array.from(ends, (k, i) => (decided[first + i] ? k : modes + k)),
    palette: [...full, ...pale],
  };
}

/** The whole way of a sample has the colour of the mode where it ends. */
function wayColour(found: Fates | null, { mixture }: Scenery, color: ReturnType<typeof colors>): (i: number) => string {
  if (!found) return () => color.ink;
  const palette = categories(mixture!.weights.length, color.dark);
  return (i) => palette[found.ends[i]];
}

function blended(css: string, ground: string, share: number): string {
  const [a, b] = [rgb(css), rgb(ground)];
  return `rgb(${a.map((v, i) => Math.round(share * v + (1 - share) * b[i])).join(",")})`;
}

/** The frames of picked images are drawn in ink. */
function pickedFrames(n: number, picked: readonly number[], color: ReturnType<typeof colors>): Drawn["tint"] {
  const marked = new Uint8Array(n);
  for (const i of picked) if (i < n) marked[i] = 1;
  return { categories: marked, palette: [color.line, color.brand] };
}

/** Whole ways of the picked samples; without any, where the first few were a moment ago. */
function drawWays(
  surface: Surface,
  view: View,
  run: Trajectory,
  { picked, schedule }: Scenery,
  t: number,
  ink: (i: number) => string,
): void {
  const size = (time: number) => viewScale(alphaSigma(schedule, time));
  const way = (i: number, since?: number) => pathOf(run, i, t, since, size);
  const chosen = picked.filter((i) => i < run.samples);
  for (const i of chosen) {
    // what is still to come, paler: where it ends
    surface.context.globalAlpha = 0.35;
    drawPaths(surface, view, [toCome(run, i, t, size)], ink(i));
    surface.context.globalAlpha = 1;
    drawPaths(surface, view, [way(i)], ink(i));
  }
  if (chosen.length) return;
  for (let i = 0; i < Math.min(PATHS, run.samples); i++) drawPaths(surface, view, [way(i, t + TAIL)], ink(i), true);
}

/** The way from time t to the data, as large as what is seen at t. */
function toCome(run: Trajectory, i: number, t: number, size: (t: number) => number): Float64Array {
  return pathOf(run, i, 0, t, size).map((x) => (x * size(t)) / size(0));
}

function nearest(
  [x, y]: readonly [Float32Array, Float32Array],
  [a, b]: readonly [number, number],
  view: View,
  px: number,
  py: number,
  reach: number,
): number {
  let best = -1;
  let least = reach * reach;
  for (let i = 0; i + 1 < x.length; i += 2) {
    const dx = view.x0 + view.scale * (a * x[i] + b * y[i]) - px;
    const dy = view.y0 - view.scale * (a * x[i + 1] + b * y[i + 1]) - py;
    const square = dx * dx + dy * dy;
    if (square < least) [best, least] = [i / 2, square];
  }
  return best;
}

function describe(column: Column, { look, byMode, picked, old }: Scenery, t: number): string {
  const what = look.images ? "images" : "points";
  if (isEmpty(column)) return `Pure noise: no ${what} have been sampled yet.`;
  const half = column.result?.decided_half_t ?? null;
  const fate = byMode && half !== null ? ` Coloured by final mode; half are decided at t = ${format(half)}.` : "";
  const chosen = picked.length ? ` ${picked.length} picked.` : "";
  const stale = old ? " Sampled under another schedule." : "";
  return `Reverse trajectories of the ${kindOf(column)} denoiser at t = ${t.toFixed(2)}.${fate}${chosen}${stale}`;
}
