/** The bars of WhereTheBitsGo on a chart's canvas: stacked, cut where they dwarf the others, numbered where they are cut. */
import type { Brush } from "../core/chart";
import { format } from "../core/numbers";
import type { Totals } from "./totals_strip";

export interface EndTerm {
  optimal: number | null;
  learned: number | null;
}

/** The traits, as plain numbers. */
export interface Bits {
  edges: ArrayLike<number>;
  optimal: ArrayLike<number>;
  learned: ArrayLike<number> | null;
  learnedError: ArrayLike<number> | null;
  L_0: EndTerm | null;
  L_T: number | null;
  unit: string;
  steps: number;
  totals: Totals;
}

/** What is on screen: heights that move towards the numbers. */
export interface Heights {
  optimal: Float64Array;
  learned: Float64Array | null;
}

export const END_ROOM = 0.085; // of the t axis, on either side of the chain, for L_0 and L_T
const END_WIDTH = 0.038;
const MOST_CUT = 3;
const DWARFS = 2.2;

/**
 * What the axis shows, with a round number at its top so that it rests while training moves the bars.
 *
 * For continuous data the terms grow like 1/k towards the data: up to three bars that dwarf all others are left to be
 * cut. L_0 and L_T do not count.
 */
export function barRange(bits: Bits): [number, number] {
  const { optimal, learned } = bits;
  const heights = Array.from(optimal, (v, i) => Math.max(v, learned?.[i] ?? v)).sort((a, b) => b - a);
  let cut = 0;
  for (let m = 1; m <= MOST_CUT && m < heights.length; m++)
    if (heights[m - 1] > DWARFS * heights[m] && heights[m] > 0) cut = m;
  const high = roundUp(1.02 * heights[cut]);
  const lowest = Math.min(0, ...Array.from(optimal), ...Array.from(learned ?? []));
  const ends = [bits.L_0?.optimal, bits.L_0?.learned, bits.L_T];
  const below = ends.some((v) => v != null && v < 0) ? -0.12 * high : 0;
  return [Math.min(below, 1.05 * lowest), high];
}

function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.2, 1.4, 1.6, 2, 2.5, 3, 4, 5, 6, 8, 10].find((m) => m * power >= value)!;
}

/** Everything under the axis lines. `lit` is the bar under the clock. */
export function paintBars(brush: Brush, bits: Bits, shown: Heights, lit: number): void {
  const { edges } = bits;
  for (let i = 0; i < shown.optimal.length; i++) {
    const gap = Math.min(1.5 * brush.pixel, 0.2 * (brush.x(edges[i + 1]) - brush.x(edges[i])));
    const [left, right] = [brush.x(edges[i]), brush.x(edges[i + 1]) - gap];
    paintBar(brush, left, right, shown.optimal[i], shown.learned?.[i] ?? null, i === lit ? 1 : 0.82);
    const error = bits.learnedError?.[i];
    if (i === lit && error && shown.learned) whisker(brush, (left + right) / 2, shown.learned[i], error);
  }
  for (const { at, optimal, learned } of endTerms(bits))
    paintBar(brush, brush.x(at - END_WIDTH / 2), brush.x(at + END_WIDTH / 2), optimal ?? learned!, learned, 0.82);
}

/** L_0 and L_T beside the chain: where they stand, and what they are. */
function endTerms({ L_0, L_T }: Bits): { at: number; name: string; optimal: number | null; learned: number | null }[] {
  const place = END_ROOM / 2 + 0.008;
  return [
    { at: -place, name: "L₀", optimal: L_0?.optimal ?? null, learned: L_0?.learned ?? null },
    { at: 1 + place, name: "L_T", optimal: L_T, learned: null },
  ].filter((end) => end.optimal !== null || end.learned !== null);
}

/** One stacked bar. `learned` is the whole height, not what is above. */
function paintBar(b: Brush, left: number, right: number, optimal: number, learned: number | null, alpha: number): void {
  const { canvas, box, pixel } = b;
  const zero = b.y(0);
  const end = b.y(Math.abs(learned ?? 0) > Math.abs(optimal) ? learned! : optimal);
  const isCut = end < box.top || end > box.bottom;
  // of a cut bar the tip shows what the network pays above the optimum: not to scale, as the gap in the bar says
  const tip = isCut && learned !== null && learned > optimal ? 7 * pixel : 0;
  const inside = (v: number) => Math.min(box.bottom, Math.max(box.top + (v === optimal ? tip : 0), b.y(v)));
  canvas.globalAlpha = alpha;
  canvas.fillStyle = b.colors.exact;
  fill(canvas, left, right, zero, inside(optimal));
  if (learned !== null) {
    canvas.fillStyle = b.colors.learned;
    if (learned > optimal) fill(canvas, left, right, inside(optimal), inside(learned));
    else {
      // below the optimum by the noise of sampling: a mark, not a bar
      canvas.globalAlpha = 1;
      fill(canvas, left, right, inside(learned) - pixel, inside(learned) + pixel);
    }
  }
  canvas.globalAlpha = 1;
  if (isCut) cutMark(b, left, right, end < box.top ? box.top + 14 * pixel : box.bottom - 8 * pixel);
}

function fill(canvas: CanvasRenderingContext2D, left: number, right: number, y0: number, y1: number): void {
  canvas.fillRect(left, Math.min(y0, y1), right - left, Math.abs(y1 - y0));
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
  let line = 0;
  let right = 0;
  // clear of every bar that reaches up into these lines
  const under = box.top + (14 + 13 * MOST_CUT) * pixel;
  for (let i = 0; i < shown.optimal.length; i++)
    if (b.y(Math.max(shown.optimal[i], shown.learned?.[i] ?? 0)) < under) right = b.x(bits.edges[i + 1]);
  for (let i = 0; i < bits.optimal.length; i++) {
    if (b.y(Math.max(shown.optimal[i], shown.learned?.[i] ?? 0)) >= box.top) continue;
    const y = box.top + (22 + 13 * line++) * pixel;
    const words = format(bits.optimal[i], 2);
    b.text(words, right + 5 * pixel, y, "exact");
    const above = bits.learned ? bits.learned[i] - bits.optimal[i] : 0;
    const start = right + 5 * pixel + b.canvas.measureText(`${words} `).width;
    if (above > 0) b.text(`+ ${format(above, 2)}`, start, y, "learned");
  }
  for (const { at, optimal, learned } of endTerms(bits)) {
    const x = b.x(at);
    const top = Math.max(0, optimal ?? 0, learned ?? 0);
    const y = Math.max(box.top + 24 * pixel, b.y(top) - 5 * pixel);
    const told = optimal ?? learned!;
    b.text(format(told, 2), x, y, optimal === null ? "learned" : "exact", "center");
    // a second number only where there is a difference to see
    const apart =
      optimal !== null &&
      learned !== null &&
      format(learned, 2) !== format(optimal, 2) &&
      Math.abs(b.y(learned) - b.y(optimal)) > pixel;
    if (apart) b.text(format(learned, 2), x, y - 13 * pixel, "learned", "center");
  }
}

/** "L₀", "0 data", "0.5", "1 noise", "L_T" under the axis. */
export function nameEnds(b: Brush, bits: Bits): void {
  const y = b.box.bottom + 14 * b.pixel;
  const at = (words: string, t: number, align: CanvasTextAlign) => b.text(words, b.x(t), y, "mute", align);
  at("0 data", 0, "left");
  at("0.5", 0.5, "center");
  at("1 noise", 1, "right");
  for (const end of endTerms(bits)) at(end.name, end.at, "center");
}
