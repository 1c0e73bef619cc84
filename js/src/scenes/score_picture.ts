/** ScoreMap's picture for points: a square of heat and arrows, and at its side the key that says how large is large. */
import {
  colourTable,
  contour,
  drawArrows,
  drawContour,
  drawKey,
  HeatPainter,
  type ColourTable,
  type Key,
  type Place,
} from "../core/field";
import type { Surface } from "../core/stage";
import type { Colors } from "../core/theme";
import { rootMeanSquare, type Fields, type ScoreField } from "./score_field";

export type View = "exact" | "learned" | "difference";
export type Heat = "along" | "size" | "x" | "y" | "none";

export interface Look {
  view: View;
  heat: Heat;
  weighted: boolean;
  arrows: boolean;
  contours: boolean;
  /** Whether a difference is drawn on a scale of its own, or on the exact field's. */
  fitted: boolean;
}

/** CSS pixels: the key's column, the least width of an arrow's cell, the most cells along a side. */
const KEY = 76;
const ARROW_CELL = 15;
const MOST_ARROWS = 24;
const HEAT_CELL = 3.5;
const MOST_HEAT = 96;
/** Top of the heat over the root mean square under p_t; weighted by p_t even a large value is a small one. */
const TOP = 2.5;
const WEIGHTED_TOP = 1;
/** p_t over its largest value on the contours: where a Gaussian has 1, 2 and 3 standard deviations. */
const CONTOURS = [-0.5, -2, -4.5];

/** The square that the field fills on a canvas of this size, its key beside it. */
export function placeOf({ width, height, ratio }: Surface): Place {
  const side = Math.max(1, Math.floor(Math.min(height, width - KEY * ratio)));
  const x = Math.max(0, Math.min((width - side) / 2, width - side - KEY * ratio)); // centred where the key has room
  return { x: Math.floor(x), y: Math.floor((height - side) / 2), side };
}

/** The field of a view; null where it is not known. */
export function fieldOf({ exact, difference }: Fields, view: View): Float32Array | null {
  if (view === "exact") return exact;
  if (view === "difference") return difference;
  return exact && difference ? exact.map((value, k) => value + difference[k]) : null;
}

/** One number a cell: the norm, or a signed component along the exact arrow, x or y; times p_t over its largest value. */
export function heatOf(field: Float32Array, fields: Fields, heat: Heat, weighted: boolean): Float32Array {
  const out = new Float32Array(field.length / 2);
  for (let k = 0; k < out.length; k++) {
    const [u, v] = [field[2 * k], field[2 * k + 1]];
    if (heat === "x") out[k] = u;
    else if (heat === "y") out[k] = v;
    else if (heat === "along" && fields.exact) {
      const [a, b] = [fields.exact[2 * k], fields.exact[2 * k + 1]];
      const norm = Math.hypot(a, b);
      out[k] = norm > 0 ? (u * a + v * b) / norm : 0;
    } else out[k] = Math.hypot(u, v);
    if (weighted && fields.density) out[k] *= fields.density[k];
  }
  return out;
}

/** A word in the middle of a picture that has nothing to show yet. */
export function drawWord({ context, width, height }: Surface, word: string, colour: string, font: string): void {
  context.font = font;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = colour;
  context.fillText(word, width / 2, height / 2);
}

export class ScorePainter {
  private readonly heat = new HeatPainter();
  private readonly tables = new Map<string, ColourTable>();

  /** Draws the view at t; returns where, and whether anything was known. */
  draw(surface: Surface, field: ScoreField, t: number, look: Look, color: Colors, font: string): boolean {
    const { context, ratio } = surface;
    const place = placeOf(surface);
    const css = place.side / ratio;
    const n = Math.max(24, Math.min(MOST_HEAT, Math.round(css / HEAT_CELL)));
    const fields = field.on(t, n);
    const shown = fieldOf(fields, look.view);
    if (!shown) return false; // see drawWord
    const signed = look.heat === "x" || look.heat === "y" || (look.heat === "along" && look.view === "difference");
    const measure = look.heat === "along" && look.view !== "difference" ? "size" : look.heat;
    const own = look.view === "difference" && look.fitted;
    const reference = rootMeanSquare(own ? shown : (fields.exact ?? shown), fields.density);
    const top = reference * (look.weighted ? WEIGHTED_TOP : TOP);
    const range = [signed ? -top : 0, top] as const;
    const table = this.table(look.view, signed, color);
    context.fillStyle = color.panel;
    context.save();
    context.beginPath();
    context.rect(place.x, place.y, place.side, place.side);
    context.clip();
    if (look.heat !== "none")
      this.heat.draw(context, heatOf(shown, fields, measure, look.weighted), place, table, range);
    if (look.contours && fields.logDensity) {
      context.strokeStyle = color.mute;
      context.lineWidth = ratio;
      context.globalAlpha = 0.6;
      for (const level of CONTOURS) drawContour(context, contour(fields.logDensity, level), n, place);
      context.globalAlpha = 1;
    }
    const cells = Math.max(8, Math.min(MOST_ARROWS, Math.floor(css / ARROW_CELL)));
    if (look.arrows) {
      const few = field.on(t, cells);
      const strength = look.weighted ? few.density : null;
      drawArrows(context, fieldOf(few, look.view)!, place, { reference, colour: color.ink, strength, ratio });
    }
    context.restore();
    context.strokeStyle = color.line;
    context.lineWidth = ratio;
    context.strokeRect(place.x, place.y + ratio / 2, place.side, place.side - ratio);
    const key: Key | null =
      look.heat === "none" && !look.arrows
        ? null
        : {
            table: look.heat === "none" ? null : table,
            range,
            reference: look.arrows ? reference : null,
            length: (0.46 * place.side) / cells,
          };
    const beside = { x: place.x + place.side + 8 * ratio, y: place.y, side: Math.min(place.side, 260 * ratio) };
    drawKey(context, key, beside, { ink: color.ink, mute: color.mute, line: color.line, font, ratio });
    return true;
  }

  private table(view: View, signed: boolean, color: Colors): ColourTable {
    const stops = signed
      ? [color.data, color.panel, color.learned]
      : [color.panel, view === "exact" ? color.exact : view === "learned" ? color.learned : color.gap];
    const name = stops.join();
    if (!this.tables.has(name)) this.tables.set(name, colourTable(stops));
    return this.tables.get(name)!;
  }
}
