/**
 * What the schedule desk draws: the curves over t, the betas of the chain, the curve under the hand, and where the steps of
 * a schedule lie on the data's mmse. Schedules that are pinned are thin and dashed, each in a dash of its own.
 */
import type { Axis, Brush, ChartView, Curve } from "../core/chart";
import { count, format, short } from "../core/numbers";
import { alphaSigma, chainTable, logSnr, type Schedule } from "../core/schedule";
import { mmseAt, type About, type Curve as MmseCurve } from "./optimal_terms";

/** A schedule to compare with; `name` with its L_T, as it is written beside its curve. */
export interface Pin {
  readonly schedule: Schedule;
  readonly name: string;
}

const POINTS = 401;
const Y_TOP = 1.06; // room above alpha = 1
const DASHES = [[2, 3], [7, 4], [2, 3, 7, 3], [11, 3]]; // prettier-ignore
const TIME_AXIS: Axis = { label: "t", range: [0, 1], ticks: [0, 0.5, 1], format: String };
/** Of a curve that is drawn by hand. */
export const DRAWN_RANGE = [-16, 16] as const;
/** log-SNR of the mmse's axis, from noise to data. */
const MMSE_RANGE = [-11, 13] as const;
/** Height of a row of steps under the mmse, and of the strokes in it, as shares of the curve's. */
const [ROW, STROKE] = [0.11, 0.075];
const RUGS_MOST = 400; // more steps are too dense to be told apart

type Values = (number | null)[];

const TIMES = Float64Array.from({ length: POINTS }, (_, i) => i / (POINTS - 1));
const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);

/** At t = 0 the log-SNR is infinite: its curve begins with the chain's first noise level. */
function logSnrs(schedule: Schedule, T: number): Values {
  const first = 1 / Math.max(T, POINTS - 1);
  return Array.from(TIMES, (t, i) => finite(logSnr(schedule, i === 0 ? first : t)));
}

function logBetas(schedule: Schedule, T: number): Values {
  const { beta } = chainTable(schedule, T);
  return Array.from(TIMES, (t) => finite(Math.log10(beta[Math.max(1, Math.round(t * T))])));
}

const withDash = (pins: readonly Pin[]) => pins.map((pin, i) => ({ ...pin, dash: DASHES[i % DASHES.length] }));
const compared = (pins: readonly Pin[]) => (pins.length ? ` Beside it ${pins.map((p) => p.name).join("; ")}.` : "");

/** alpha and sigma share the axis 0..1; log-SNR and beta have scales of their own, told by their ends. */
export function curvesOf(schedule: Schedule, T: number, pins: readonly Pin[] = []): ChartView {
  const levels = Array.from(TIMES, (t) => alphaSigma(schedule, t));
  const exploding = Math.max(...levels.map((l) => l.sigma)) > 1.5;
  const alpha = levels.map((l) => l.alpha);
  const sigma = levels.map((l, i) => (exploding ? (i === 0 ? null : finite(Math.log10(l.sigma))) : l.sigma));
  const snr = logSnrs(schedule, T);
  const variance = logBetas(schedule, T);
  const others = withDash(pins).map((pin) => ({ ...pin, snr: logSnrs(pin.schedule, T) }));
  const betaEnds = ends(variance);
  const sigmaEnds = exploding ? ends(sigma) : undefined;
  const sigmaRange = sigmaEnds && ([sigmaEnds[0], sigmaEnds[0] + Y_TOP * (sigmaEnds[1] - sigmaEnds[0])] as const);
  const snrRange = padded(ends([snr, ...others.map((o) => o.snr)].flat()));
  const raised = (e: readonly number[]) => e.map((v) => short(10 ** v, 2)).join("…");
  const from = snr.find((v) => v !== null)!;
  const to = logSnr(schedule, 1);
  const curves: Curve[] = [
    { colour: "alpha", label: alpha[POINTS - 1] === 1 ? "alpha = 1" : "alpha" },
    { colour: "sigma", range: sigmaRange, label: sigmaEnds ? `sigma ${raised(sigmaEnds)} (log)` : "sigma" },
    { colour: "log-snr", range: snrRange, label: `log-SNR ${format(from, 2)}…${format(to, 2)}` },
    { colour: "beta", range: padded(betaEnds), dash: [5, 4], width: 1.5, label: `beta ${raised(betaEnds)} (log)` },
  ];
  const data: Values[] = [alpha, sigma, snr, variance];
  for (const { schedule: other, name, dash, snr: its } of others) {
    curves.push(
      { colour: "alpha", dash, width: 1 },
      { colour: "log-snr", range: snrRange, dash, width: 1, label: name },
    );
    data.push(
      Array.from(TIMES, (t) => alphaSigma(other, t).alpha),
      its,
    );
  }
  return {
    x: TIME_AXIS,
    y: { label: "", range: [0, Y_TOP], ticks: [0, 0.5, 1], format: String },
    curves,
    data: [TIMES, ...data],
    summary:
      `Curves over t of a ${schedule.name} schedule with ${T} steps: log-SNR falls from ${format(from)} to ` +
      `${format(to)}, beta runs from ${raised([variance[0] ?? NaN, variance[POINTS - 1] ?? NaN])}.${compared(pins)}`,
  };
}

/** The noise that each of T steps adds, on an axis of powers of ten. */
export function betasOf(schedule: Schedule, T: number, pins: readonly Pin[] = []): ChartView {
  const own = logBetas(schedule, T);
  const others = withDash(pins).map((pin) => ({ ...pin, beta: logBetas(pin.schedule, T) }));
  const [low, high] = padded(ends([own, ...others.map((o) => o.beta)].flat()));
  const powers = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i);
  const every = Math.ceil(powers.length / 5);
  return {
    x: TIME_AXIS,
    y: {
      label: `beta, variance added by each of ${count(T)} steps`,
      range: [low, high],
      ticks: powers.filter((p) => p % every === 0),
      format: (p) => short(10 ** p, 2),
    },
    curves: [
      { colour: "beta", label: others.length ? "beta" : "" },
      ...others.map(({ name, dash }): Curve => ({ colour: "beta", dash, width: 1, label: name })),
    ],
    data: [TIMES, own, ...others.map((o) => o.beta)],
    summary:
      `beta of each of ${T} steps of a ${schedule.name} schedule, from ` +
      `${format(10 ** (own[0] ?? NaN))} to ${format(10 ** (own[POINTS - 1] ?? NaN))}.${compared(pins)}`,
  };
}

/** The log-SNR under the hand, with its knots; `current` is the one that keys move. */
export function drawingOf(
  schedule: Schedule,
  T: number,
  pins: readonly Pin[],
  knots: { times: readonly number[]; values: readonly number[]; current: number },
): ChartView {
  const others = withDash(pins).map((pin) => ({ ...pin, snr: logSnrs(pin.schedule, T) }));
  const levels = Array.from(TIMES, (t) => alphaSigma(schedule, t));
  return {
    x: TIME_AXIS,
    y: { label: "log-SNR", range: DRAWN_RANGE, ticks: [-15, -10, -5, 0, 5, 10, 15] },
    curves: [
      { colour: "log-snr", width: 2.5 },
      { colour: "alpha", range: [0, Y_TOP], width: 1, label: "alpha" },
      { colour: "sigma", range: [0, Y_TOP], width: 1, label: "sigma" },
      ...others.map(({ name, dash }): Curve => ({ colour: "log-snr", dash, width: 1, label: name })),
    ],
    data: [
      TIMES,
      logSnrs(schedule, T),
      levels.map((l) => l.alpha),
      levels.map((l) => l.sigma),
      ...others.map((o) => o.snr),
    ],
    over: (brush) => knots.times.forEach((t, i) => dot(brush, t, knots.values[i], i === knots.current)),
    summary:
      `log-SNR over t, drawn by hand through ${knots.times.length} knots, from ${format(knots.values[0])} to ` +
      `${format(knots.values[knots.values.length - 1])}.${compared(pins)}`,
  };
}

function dot(brush: Brush, t: number, value: number, current: boolean): void {
  const { canvas, colors, pixel } = brush;
  canvas.beginPath();
  canvas.arc(brush.x(t), brush.y(value), (current ? 5.5 : 3.5) * pixel, 0, 2 * Math.PI);
  canvas.fillStyle = current ? colors["log-snr"] : colors.panel;
  canvas.setLineDash([]);
  canvas.strokeStyle = colors["log-snr"];
  canvas.lineWidth = 1.5 * pixel;
  canvas.fill();
  canvas.stroke();
}

/** What the mmse view knows of the data. */
export interface Known {
  readonly curve: MmseCurve;
  readonly about: About & { readonly of: string };
}

/** Data left, noise right, as on every axis: x is minus the log-SNR. */
export const placeOf = (level: number): number => Math.min(MMSE_RANGE[1], Math.max(MMSE_RANGE[0], level)) * -1;

/** The data's mmse, which no schedule changes, and where the steps of these ones lie on it. */
export function mmseOf(schedule: Schedule, T: number, pins: readonly Pin[], known: Known): ChartView {
  const { curve, about } = known;
  const [low, high] = MMSE_RANGE;
  const x = Float64Array.from({ length: POINTS }, (_, i) => -high + (i / (POINTS - 1)) * (high - low));
  const mmse = Array.from(
    mmseAt(
      curve,
      about,
      x.map((v) => -v),
    ),
    (v) => v / about.dim,
  );
  const unit = about.half_range === null ? "nats" : "bits";
  const scale = about.half_range === null ? 1 : 1 / Math.LN2;
  const rate = mmse.map((m, i) => (scale * m * Math.exp(-x[i])) / 2);
  const top = Math.max(...mmse) * Y_TOP;
  const every = strideOf(T);
  const some = every > 1 ? `, one in ${every} drawn` : "";
  const rugs = [{ schedule, name: `its ${count(T)} steps${some}` }, ...pins];
  return {
    x: {
      label: "log-SNR",
      range: [-high, -low],
      ticks: [-10, -5, 0, 5, 10],
      format: (v) => short(-v).replace(/^−?0$/, "0"),
    },
    y: { label: `mmse per dim, exact (${about.of})`, range: [-ROW * rugs.length * top, top], ticks: ticksTo(top) },
    curves: [
      { colour: "exact", label: "mmse" },
      {
        colour: "exact",
        dash: [5, 4],
        width: 1.5,
        range: [-ROW * rugs.length * Math.max(...rate) * Y_TOP, Math.max(...rate) * Y_TOP],
        label: `½ SNR·mmse ≤ ${format(Math.max(...rate), 2)} ${unit}`,
      },
    ],
    data: [x, mmse, rate],
    under: (brush) => {
      errorBand(brush, known);
      rugs.forEach((rug, i) => steps(brush, rug, T, top * -ROW * (i + 1), top * STROKE, i === 0));
    },
    summary:
      `The exact mmse of the data per dimension over log-SNR, from ${format(mmse[POINTS - 1])} in noise to ` +
      `${format(mmse[0], 2)} near the data; the ${T} steps of a ${schedule.name} schedule lie from log-SNR ` +
      `${format(logSnr(schedule, 1))} to ${format(levelOf(schedule, 1, T))}.${compared(pins)}`,
  };
}

const strideOf = (T: number) => Math.max(1, Math.round(T / RUGS_MOST));

function ticksTo(top: number): number[] {
  const step = [0.1, 0.2, 0.25, 0.5, 1, 2, 5].find((s) => top / s <= 4.5) ?? top;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, i) => i * step);
}

/** log-SNR of step k. */
function levelOf(schedule: Schedule, k: number, T: number): number {
  const { alpha, sigma } = chainTable(schedule, T);
  return 2 * Math.log(alpha[k] / sigma[k]);
}

/** Two standard errors on both sides of the curve. */
function errorBand(brush: Brush, { curve, about }: Known): void {
  const { canvas, colors } = brush;
  const side = (sign: number) =>
    Array.from(curve.logSnr, (level, i) => [
      brush.x(-level),
      brush.y((curve.mse[i] + sign * 2 * curve.error[i]) / about.dim),
    ]);
  const outline = [...side(1), ...side(-1).reverse()];
  canvas.save();
  canvas.globalAlpha = 0.2;
  canvas.fillStyle = colors.exact;
  canvas.beginPath();
  outline.forEach(([px, py]) => canvas.lineTo(px, py));
  canvas.fill();
  canvas.restore();
}

/** A rug: one stroke for each step of the chain, at its log-SNR. */
function steps(brush: Brush, rug: Pin, T: number, y: number, height: number, own: boolean): void {
  const { canvas, colors, pixel, box } = brush;
  const { alpha, sigma } = chainTable(rug.schedule, T);
  canvas.save();
  canvas.setLineDash([]); // a dashed curve leaves its dashes
  canvas.strokeStyle = colors["log-snr"];
  canvas.lineWidth = (own ? 1.2 : 0.8) * pixel;
  canvas.globalAlpha = T > 100 ? 0.55 : 1;
  canvas.beginPath();
  for (let k = 1; k <= T; k += strideOf(T)) {
    const level = 2 * Math.log(alpha[k] / sigma[k]);
    if (!(MMSE_RANGE[0] <= level && level <= MMSE_RANGE[1])) continue;
    canvas.moveTo(brush.x(-level), brush.y(y));
    canvas.lineTo(brush.x(-level), brush.y(y + height));
  }
  canvas.stroke();
  canvas.restore();
  // named where there is room: schedules that end early leave it at the left or the right
  const words = rug.name;
  canvas.font = `${10.5 * pixel}px ${getComputedStyle(canvas.canvas).fontFamily}`;
  const width = canvas.measureText(words).width + 8 * pixel;
  canvas.fillStyle = colors.panel;
  canvas.globalAlpha = 0.85;
  canvas.fillRect(box.left + 2 * pixel, brush.y(y + height), width, brush.y(y) - brush.y(y + height));
  canvas.globalAlpha = 1;
  canvas.fillStyle = own ? colors["log-snr"] : colors.mute;
  canvas.textAlign = "left";
  canvas.textBaseline = "middle";
  canvas.fillText(words, box.left + 6 * pixel, brush.y(y + height / 2));
}

function ends(values: readonly (number | null)[]): [number, number] {
  const known = values.filter((v) => v !== null);
  return [Math.min(...known), Math.max(...known)];
}

function padded([low, high]: readonly [number, number]): [number, number] {
  const room = 0.04 * (high - low) || 0.5;
  return [low - room, high + room];
}
