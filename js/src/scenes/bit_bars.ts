/** The bars of WhereTheBitsGo on a chart's canvas: stacked, cut where they dwarf the others, numbered where they are cut. */
import type { Brush } from "../core/chart";
import { format } from "../core/numbers";
import type { ColorName } from "../core/theme";
import { extent, type BitAxis } from "./bit_axis";
import type { Totals } from "./totals_strip";

export interface EndTerm {
  optimal: number | null;
  optimal_error?: number | null;
  learned: number | null;
  gap?: number | null;
  gap_error?: number | null;
}

/** What is to be drawn, as plain numbers. Heights are of the axis: of a bar over t, or per unit of log-SNR. */
export interface Bits {
  axis: BitAxis;
  /** "learned" stacks what the network pays on the optimum, "gap" is that alone. */
  view: "learned" | "optimal" | "gap";
  edges: ArrayLike<number>;
  optimal: ArrayLike<number>;
  /** What of it the best variance would cost. */
  least: ArrayLike<number> | null;
  learned: ArrayLike<number> | null;
  learnedError: ArrayLike<number> | null;
  gap: ArrayLike<number> | null;
  gapError: ArrayLike<number> | null;
  /** The learned part was measured with another schedule and is drawn faint. */
  carried: boolean;
  /** Highest point of the curve that stands over the bars, 0 for none. */
  curveTop: number;
  L_0: EndTerm | null;
  L_T: number | null;
  unit: string;
  steps: number;
  totals: Totals;
}

/** What is on screen: heights that move towards the numbers. In the gap's view `optimal` is 0 and `learned` the gap. */
export interface Heights {
  optimal: Float64Array;
  learned: Float64Array | null;
}

const END_WIDTH = 0.45; // of the room beside the chain
const MOST_CUT = 3;
const DWARFS = 2.2;

/** The heights that `bits` ask for. */
export function heightsOf({ view, optimal, learned, gap }: Bits): Heights {
  if (view === "gap") return { optimal: new Float64Array(optimal.length), learned: gap && Float64Array.from(gap) };
  const own = view === "learned" ? learned : null;
  return { optimal: Float64Array.from(optimal), learned: own && Float64Array.from(own) };
}

/**
 * What the axis shows, with a round number at its top so that it rests while training moves the bars.
 *
 * For continuous data the terms grow like 1/k towards the data: up to three bars that dwarf all others are left to be
 * cut. L_0 and L_T do not count.
 */
export function barRange(bits: Bits): [number, number] {
  const { optimal, learned } = heightsOf(bits);
  const isGap = bits.view === "gap";
  const all = Array.from(optimal, (v, i) => Math.max(v, (learned?.[i] ?? v) + (isGap ? (bits.gapError?.[i] ?? 0) : 0)));
  if (isGap && bits.axis.name === "step") all.push(bits.L_0?.gap ?? 0); // of one size with the others, unlike L_0 itself
  const heights = all.sort((a, b) => b - a);
  let cut = 0;
  for (let m = 1; m <= MOST_CUT && m < heights.length; m++)
    if (heights[m - 1] > DWARFS * heights[m] && heights[m] > 0) cut = m;
  const high = roundUp(Math.max(1.02 * (heights[cut] ?? 0), 1.15 * bits.curveTop));
  const lowest = Math.min(0, ...optimal, ...(learned ?? []));
  const below = endTerms(bits).some(({ optimal, learned }) => Math.min(optimal ?? 0, learned ?? 0) < 0);
  return [Math.min(below && bits.axis.name === "step" ? -0.12 * high : 0, 1.05 * lowest), high];
}

function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.4, 1.6, 2, 2.5, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value)!;
}

/** Everything under the axis lines. `lit` is the bar under the clock. */
export function paintBars(brush: Brush, bits: Bits, shown: Heights, lit: number): void {
  const { edges, view } = bits;
  const faint = bits.carried ? 0.45 : 1;
  for (let i = 0; i < shown.optimal.length; i++) {
    const gap = Math.min(1.5 * brush.pixel, 0.2 * (brush.x(edges[i + 1]) - brush.x(edges[i])));
    const [left, right] = [brush.x(edges[i]), brush.x(edges[i + 1]) - gap];
    const learned = shown.learned?.[i] ?? null;
    const strength = i === lit ? 1 : 0.82;
    paintBar(brush, left, right, shown.optimal[i], learned, strength, faint);
    if (view !== "gap" && bits.least) paintExtra(brush, left, right, bits.least[i], shown.optimal[i]);
    const error = view === "gap" ? bits.gapError?.[i] : i === lit ? bits.learnedError?.[i] : null;
    if (error && learned !== null) whisker(brush, (left + right) / 2, learned, error);
  }
  if (bits.axis.name === "log_snr") return; // heights are per unit of log-SNR there, and the ends have no width
  const half = (END_WIDTH * bits.axis.room) / 2;
  for (const { at, optimal, learned } of endTerms(bits)) {
    paintBar(brush, brush.x(at - half), brush.x(at + half), optimal ?? 0, learned, 0.82, faint);
    const error = view === "gap" ? bits.L_0?.gap_error : null;
    if (error && learned !== null) whisker(brush, brush.x(at), learned, error);
  }
}

/** L_0 and L_T beside the chain: where they stand, and what they are. */
function endTerms({ axis, view, L_0, L_T }: Bits) {
  const [low, high] = extent(axis);
  const aside = axis.room * 0.41;
  const first = view === "gap" ? 0 : (L_0?.optimal ?? null);
  const last = view === "gap" ? null : L_T; // no network changes it
  const learned = view === "gap" ? (L_0?.gap ?? null) : view === "learned" ? (L_0?.learned ?? null) : null;
  return [
    { at: low + aside, name: "L₀", optimal: view === "gap" && learned === null ? null : first, learned },
    { at: high - aside, name: "L_T", optimal: last, learned: null },
  ].filter((end) => end.optimal !== null || end.learned !== null);
}

/** One stacked bar. `learned` is the whole height, not what is above; `faint` is the strength of its part. */
function paintBar(
  b: Brush,
  left: number,
  right: number,
  optimal: number,
  learned: number | null,
  alpha: number,
  faint: number,
): void {
  const { canvas, box, pixel } = b;
  const zero = b.y(0);
  const end = b.y(Math.abs(learned ?? 0) > Math.abs(optimal) ? learned! : optimal);
  const isCut = end < box.top - 0.5 * pixel || end > box.bottom + 0.5 * pixel;
  // of a cut bar the tip shows what the network pays above the optimum: not to scale, as the gap in the bar says
  const tip = isCut && learned !== null && learned > optimal && b.y(optimal) < box.top + 7 * pixel ? 7 * pixel : 0;
  const inside = (v: number) => Math.min(box.bottom, Math.max(box.top + (v === optimal ? tip : 0), b.y(v)));
  canvas.globalAlpha = alpha;
  canvas.fillStyle = b.colors.exact;
  fill(canvas, left, right, zero, inside(optimal));
  if (learned !== null) {
    canvas.fillStyle = b.colors.learned;
    canvas.globalAlpha = alpha * faint;
    if (learned > optimal) fill(canvas, left, right, inside(optimal), inside(learned));
    else {
      // below the optimum by the noise of sampling: a mark, not a bar
      canvas.globalAlpha = faint;
      fill(canvas, left, right, inside(learned) - pixel, inside(learned) + pixel);
    }
  }
  canvas.globalAlpha = 1;
  if (isCut) cutMark(b, left, right, end < box.top ? box.top + 14 * pixel : box.bottom - 8 * pixel);
}

function fill(canvas: CanvasRenderingContext2D, left: number, right: number, y0: number, y1: number): void {
  canvas.fillRect(left, Math.min(y0, y1), right - left, Math.abs(y1 - y0));
}

/** The part of the green that only the choice of the variance costs: hatched with the panel's own colour. */
function paintExtra(b: Brush, left: number, right: number, least: number, optimal: number): void {
  const { canvas, box, pixel } = b;
  const above = box.top + 7 * pixel; // of a cut bar the tip is the network's
  const [low, high] = [b.y(Math.max(0, least)), b.y(optimal) < box.top ? above : b.y(optimal)];
  if (low - high < 1.5 * pixel) return;
  canvas.save();
  canvas.beginPath();
  canvas.rect(left, high, right - left, low - high);
  canvas.clip();
  canvas.globalAlpha = 0.55;
  canvas.strokeStyle = b.colors.panel;
  canvas.lineWidth = 2 * pixel;
  canvas.beginPath();
  const pitch = 5 * pixel;
  // one pattern for all bars: the lines go on from one to the next
  const rise = low - high;
  for (let x = Math.floor((left - rise) / pitch) * pitch - (high % pitch); x < right + pitch; x += pitch) {
    canvas.moveTo(x, low);
    canvas.lineTo(x + rise, high);
  }
  canvas.stroke();
  canvas.restore();
}

/** The sign of a bar that goes on beyond the axis: two slanted gaps. */
function cutMark(b: Brush, left: number, right: number, y: number): void {
  const { canvas, pixel } = b;
  canvas.strokeStyle = b.colors.panel;
  canvas.lineWidth = 1.5 * pixel;
  canvas.beginPath();
  for (const dy of [0, 4 * pixel]) {
    canvas.moveTo(left - pixel, y + dy + 2 * pixel);
    canvas.lineTo(right + pixel, y + dy - 2 * pixel);
  }
  canvas.stroke();
}

function whisker(b: Brush, x: number, value: number, error: number): void {
  b.canvas.strokeStyle = b.colors.ink;
  b.canvas.lineWidth = b.pixel;
  b.canvas.beginPath();
  b.canvas.moveTo(x, b.y(value - error));
  b.canvas.lineTo(x, b.y(value + error));
  b.canvas.stroke();
}

/** The numbers of the cut bars, in lines beside them, and of L_0 and L_T. */
export function writeNumbers(b: Brush, bits: Bits, shown: Heights): void {
  const { box, pixel } = b;
  const top = (i: number) => Math.max(shown.optimal[i], shown.learned?.[i] ?? 0);
  let line = 0;
  let right = 0;
  // clear of every bar that reaches up into these lines
  const under = box.top + (14 + 13 * MOST_CUT) * pixel;
  for (let i = 0; i < shown.optimal.length; i++) if (b.y(top(i)) < under) right = b.x(bits.edges[i + 1]);
  const room = box.right - right > 90 * pixel; // where nearly all bars are cut, the axis says enough
  for (let i = 0; i < shown.optimal.length && line < MOST_CUT && room; i++) {
    if (b.y(top(i)) >= box.top - 0.5 * pixel) continue;
    const y = box.top + (22 + 13 * line++) * pixel;
    const words = bits.view === "gap" ? "" : format(shown.optimal[i], 2);
    if (words) b.text(words, right + 5 * pixel, y, "exact");
    const above = shown.learned ? shown.learned[i] - shown.optimal[i] : 0;
    const start = right + 5 * pixel + (words ? b.canvas.measureText(`${words} `).width : 0);
    if (above > 0) b.text(`${words ? "+ " : ""}${format(above, 2)}`, start, y, "learned");
  }
  const floor = bits.axis.name === "log_snr" ? box.bottom - 5 * pixel : null; // no bar to stand on
  for (const { at, optimal, learned } of endTerms(bits)) {
    const x = b.x(at);
    const isGap = bits.view === "gap";
    const high = Math.max(0, optimal ?? 0, (learned ?? 0) + (isGap ? (bits.L_0?.gap_error ?? 0) : 0));
    const y = floor ?? Math.max(box.top - 2 * pixel, b.y(high) - 5 * pixel); // over the bar, also over one that is cut
    const [told, colour]: [number, ColorName] = isGap || optimal === null ? [learned!, "learned"] : [optimal, "exact"];
    b.text(tiny(told), x, y, colour, "center");
    // a second number only where there is a difference to see
    const apart = !isGap && optimal !== null && learned !== null && format(learned, 2) !== format(optimal, 2);
    if (apart && (floor !== null || Math.abs(b.y(learned) - b.y(optimal)) > pixel))
      b.text(format(learned, 2), x, y - 13 * pixel, "learned", "center");
  }
}

/** What is lost in the rounding of its own sum is no number to read. */
const tiny = (value: number) => (Math.abs(value) < 1e-12 ? "≈ 0" : format(value, 2));

/** The axis' words, and "L₀" and "L_T" at its ends. */
export function nameEnds(b: Brush, bits: Bits): void {
  const y = b.box.bottom + 14 * b.pixel;
  for (const { at, words, align } of bits.axis.marks) b.text(words, b.x(at), y, "mute", align);
  for (const end of endTerms(bits)) b.text(end.name, b.x(end.at), y, "mute", "center");
}
