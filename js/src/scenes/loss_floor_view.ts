/** What LossFloor's two charts show: the loss over its floor, and what is left above it on a logarithmic axis. */
import type { Axis, Brush, ChartView, Curve } from "../core/chart";
import { format, short, withError } from "../core/numbers";
import { logTicks } from "./log_ticks";
import { logRange, spiky, type Measured } from "./loss_profile";

/** A loss over noise levels, ready to be drawn. */
export interface Picture {
  /** Where each level stands: t, or minus log-SNR, so that data are on the left of both. */
  x: readonly number[];
  axis: "t" | "log-SNR";
  /** What the loss is of, as the axis says it. */
  label: string;
  floor: Measured | null;
  excess: Measured | null;
  learned: Measured | null;
  /** As high as the floor could be; null where it is not known. */
  bound: readonly number[] | null;
  errors: boolean;
}

const known = (values: readonly number[]) => values.map((v) => (Number.isFinite(v) ? v : null));

function xAxis({ x, axis }: Picture): Axis {
  const [low, high] = [x[0], x[x.length - 1]];
  if (axis === "t") return { label: "t: 0 is data, 1 is noise", range: [0, 1] };
  return { label: "log-SNR: data on the left", range: [low, high], format: (value) => short(-value) };
}

/** The loss: linear where it can be, so that floor and loss compare by eye. */
export function lossView(picture: Picture): ChartView {
  const { x, floor, learned, bound, errors } = picture;
  const shown = [...((learned ?? floor)?.value ?? bound ?? [])];
  const log = spiky(shown);
  const highest = Math.max(...shown.filter(Number.isFinite), Number.EPSILON);
  const [low, high] = log ? logRange(shown) : [0, 1.12 * highest];
  // what is below a logarithmic axis is not drawn on its end, as if it were there
  const y = (value: number) => (!log ? value : value >= low ? Math.log10(value) : NaN);
  const curves: Curve[] = [];
  const data: (number | null)[][] = [[...x]];
  const add = (curve: Curve, values: readonly number[]) => {
    curves.push(curve);
    data.push(known(values.map(y)));
  };
  add({ colour: "noise", dash: [5, 4], width: 1.2, label: "one Gaussian of this spread" }, bound ?? x.map(() => NaN));
  add({ colour: "exact", width: 2.2 }, floor?.value ?? x.map(() => NaN));
  add({ colour: "learned", width: 1.6 }, learned?.value ?? x.map(() => NaN));
  return {
    x: xAxis(picture),
    y: {
      label: picture.label,
      range: log ? [Math.log10(low), Math.log10(high)] : [0, high],
      ...(log && { ticks: logTicks(low, high).map(Math.log10), format: power }),
    },
    curves,
    data,
    under: (brush) => floor && area(brush, x, floor.value.map(y)),
    over: (brush) => errors && learned && bars(brush, x, learned, y, low),
    summary: summaryOf(picture),
  };
}

/** What was measured above the floor. */
export function excessView(picture: Picture): ChartView {
  const { x, excess, errors } = picture;
  const values = excess?.value ?? [];
  const [low, high] = logRange(values);
  const y = (value: number) => (value >= low ? Math.log10(value) : NaN);
  const drawn = excess ? values.map(y) : x.map(() => NaN);
  return {
    x: xAxis(picture),
    y: {
      label: "above the floor, on its own axis",
      range: [Math.log10(low), Math.log10(high)],
      ticks: excess ? logTicks(low, high).map(Math.log10) : [],
      format: power,
    },
    curves: [{ colour: "learned", width: 1.6 }],
    data: [[...x], known(drawn)],
    over: (brush) => {
      if (excess && errors) bars(brush, x, excess, y, low);
      if (!excess) middle(brush, "no network has been measured yet");
    },
    summary: excess
      ? `The excess over the floor is largest at ${where(picture, values)}: ${format(Math.max(...values.filter(Number.isFinite)))}.`
      : "No network has been measured yet.",
  };
}

function summaryOf(picture: Picture): string {
  const { label, floor, learned } = picture;
  if (!floor) return `${label}: the exact floor is being computed.`;
  const highest = (values: readonly number[]) =>
    `highest at ${where(picture, values)}: ${format(Math.max(...values.filter(Number.isFinite)))}`;
  const words = `${label}: the exact floor is ${highest(floor.value)}`;
  return learned ? `${words}; the learned loss is ${highest(learned.value)}.` : `${words}.`;
}

function where({ x, axis }: Picture, values: readonly number[]): string {
  const best = values.reduce((b, v, i) => (Number.isFinite(v) && !(v <= values[b]) ? i : b), 0);
  return axis === "t" ? `t = ${x[best].toFixed(2)}` : `log-SNR ${format(-x[best])}`;
}

/** A tick of a logarithmic axis, which has no room for "10,000". */
const power = (value: number) =>
  short(10 ** value)
    .replace(/^(\d)0,000$/, "$1e4")
    .replace(/^(\d)00,000$/, "$1e5");

/** "0.271 ± 0.003" of one level. */
export const at = (part: Measured | null, level: number): string =>
  part ? withError(part.value[level], part.error[level]) : "";

function area({ canvas, colors, box, x: px, y: py }: Brush, x: readonly number[], y: readonly number[]): void {
  const points = x.map((v, i) => [px(v), py(y[i])]).filter((p) => p.every(Number.isFinite));
  if (points.length < 2) return;
  canvas.globalAlpha = 0.12;
  canvas.fillStyle = colors.exact;
  canvas.beginPath();
  canvas.moveTo(points[0][0], box.bottom);
  for (const [a, b] of points) canvas.lineTo(a, b);
  canvas.lineTo(points[points.length - 1][0], box.bottom);
  canvas.fill();
  canvas.globalAlpha = 1;
}

/** One standard error to either side. */
function bars(brush: Brush, x: readonly number[], part: Measured, y: (v: number) => number, low: number): void {
  const { canvas, colors, pixel, box } = brush;
  canvas.strokeStyle = colors.learned;
  canvas.lineWidth = pixel;
  canvas.beginPath();
  part.value.forEach((value, i) => {
    const error = part.error[i];
    if (!Number.isFinite(value) || !(error > 0) || !(value + error > low)) return;
    const [top, bottom] = [brush.y(y(value + error)), brush.y(y(Math.max(value - error, low)))];
    canvas.moveTo(brush.x(x[i]), Math.max(top, box.top));
    canvas.lineTo(brush.x(x[i]), Math.min(bottom, box.bottom));
  });
  canvas.stroke();
}

function middle(brush: Brush, words: string): void {
  const { box, pixel } = brush;
  brush.text(words, (box.left + box.right) / 2, (box.top + box.bottom) / 2 + 4 * pixel, "mute", "center");
}
