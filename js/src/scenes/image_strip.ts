/** A few images over time, one row each: clean data at the left, noise at the right, as on every axis of t. */
import { dimOf, viewScale, type Look } from "../core/cloud";
import { SheetPainter, type Sheet } from "../core/images";
import { alphaSigma, type Schedule } from "../core/schedule";
import type { Surface } from "../core/stage";
import type { Colors } from "../core/theme";
import { blendAt, frame, type Trajectory } from "../core/trajectory";

const SMALLEST = 30; // CSS pixels
const WORDS = 16;
const MOST_COLUMNS = 12;

const painter = { sheets: null as SheetPainter | null };

/** The times of the columns: evenly spread over what was kept, from data to noise. */
export function stripTimes(columns: number): number[] {
  return Array.from({ length: columns }, (_, k) => (columns === 1 ? 0 : k / (columns - 1)));
}

/** How many rows and columns there is room for, and how large an image is, in whole device pixels per pixel. */
export function stripLayout(
  { width, height, ratio }: Pick<Surface, "width" | "height" | "ratio">,
  [h, w]: readonly [number, number],
  wanted: number,
): Sheet {
  const gap = Math.round(3 * ratio);
  const atLeast = Math.max(1, Math.ceil((SMALLEST * ratio) / w));
  const columns = Math.max(2, Math.min(MOST_COLUMNS, Math.floor((width + gap) / (atLeast * w + gap))));
  const scale = Math.max(1, Math.floor((width - gap * (columns - 1)) / (columns * w)));
  const room = height - WORDS * ratio;
  const rows = Math.max(1, Math.min(wanted, Math.floor((room + gap) / (scale * h + gap))));
  const [across, down] = [columns * w * scale + (columns - 1) * gap, rows * h * scale + (rows - 1) * gap];
  return {
    columns,
    rows,
    scale,
    gap,
    x: Math.max(0, Math.floor((width - across) / 2)),
    y: Math.max(0, Math.floor((room - down) / 2)),
    count: columns * rows,
  };
}

/** Rows of the picked samples, or of the first ones; the column of the clock's time is framed. */
export function drawStrip(
  surface: Surface,
  look: Look,
  schedule: Schedule,
  run: Trajectory,
  picked: readonly number[],
  t: number,
  color: Colors,
): void {
  const { context, ratio } = surface;
  const chosen = picked.filter((i) => i < run.samples);
  const samples = chosen.length ? chosen : Array.from({ length: run.samples }, (_, i) => i);
  const at = stripLayout(surface, look.shape, samples.length);
  const times = stripTimes(at.columns);
  const dim = dimOf(look);
  const values = new Float32Array(at.count * dim);
  times.forEach((time, column) => {
    const { before, after, u } = blendAt(run.times, time);
    const [a, b] = [frame(run, before), frame(run, after)];
    const shrink = 1 / viewScale(alphaSigma(schedule, time));
    for (let row = 0; row < at.rows; row++) {
      const [to, from] = [(row * at.columns + column) * dim, samples[row] * dim];
      for (let i = 0; i < dim; i++) values[to + i] = shrink * ((1 - u) * a[from + i] + u * b[from + i]);
    }
  });
  painter.sheets ??= new SheetPainter();
  painter.sheets.draw(context, values, values, [1, 0], look, at, { border: color.line });
  const [side, tall] = [look.shape[1] * at.scale, look.shape[0] * at.scale];
  const left = (k: number) => at.x + k * (side + at.gap);
  const bottom = at.y + at.rows * tall + (at.rows - 1) * at.gap;
  const now = Math.round(t * (at.columns - 1));
  context.strokeStyle = color.brand;
  context.lineWidth = 2 * ratio;
  context.strokeRect(left(now) - 1.5 * ratio, at.y - 1.5 * ratio, side + 3 * ratio, bottom - at.y + 3 * ratio);
  context.fillStyle = color.mute;
  context.font = `${11 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`;
  context.textBaseline = "top";
  const words = (text: string, x: number, align: CanvasTextAlign) => {
    context.textAlign = align;
    context.fillText(text, x, bottom + 4 * ratio);
  };
  words("0 data", left(0), "left");
  words("1 noise", left(at.columns - 1) + side, "right");
  words("t", (left(0) + left(at.columns - 1) + side) / 2, "center");
}
