/**
 * Where the name of a curve goes: beside its own line, clear of the other lines and of the names already placed.
 *
 * Every size of panel and every schedule has its own free room, so the place is searched: some hundred candidates along
 * the curve, above and below; the one that covers the least of any curve wins, the earlier one if equal.
 */
export interface Point {
  x: number;
  y: number;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const PLACES = 20;
/** Above or below the anchor, which is under this share of the name's width. */
const SIDES = [true, false].flatMap((above) => [0.5, 0, 1].map((share) => [above, share] as const));

/** A box, and which of the candidates it is: given back at the next drawing, the name stays unless it has to move. */
export interface Place {
  box: Box;
  choice: number;
}

/** Pixels of line that a name covers before it leaves its place: names must not hop while a slider is dragged. */
const PATIENCE = 30;

/** `curves` in pixels; `size` of the text; `inside` is what the name must stay in. Null when the curve is not there. */
export function placeLabel(
  own: readonly Point[],
  curves: readonly (readonly Point[])[],
  taken: readonly Box[],
  size: { width: number; height: number },
  inside: Box,
  before?: number,
): Place | null {
  let best: Place | null = null;
  let least = Infinity;
  let choice = -1;
  for (let i = 0; i <= PLACES; i++) {
    const anchor = own[Math.round((i / PLACES) * (own.length - 1))];
    for (const [above, share] of SIDES) {
      choice++;
      if (!anchor || !Number.isFinite(anchor.y)) continue;
      const left = Math.min(inside.right - size.width, Math.max(inside.left, anchor.x - share * size.width));
      const top = above ? anchor.y - 1.35 * size.height : anchor.y + 0.35 * size.height;
      const box = { left, top, right: left + size.width, bottom: top + size.height };
      const outside = Math.max(0, inside.top - box.top) + Math.max(0, box.bottom - inside.bottom);
      let cost = 10 * outside;
      for (const other of taken) if (overlaps(box, other)) cost += 300;
      for (const curve of curves) if (cost < least + PATIENCE) cost += lengthInside(box, curve);
      cost += 0.1 * Math.abs(i - PLACES / 2); // near the middle when all else is equal
      if (choice === before) cost -= PATIENCE;
      if (cost < least) [best, least] = [{ box, choice }, cost];
    }
  }
  return best;
}

/** The same line with points at most `step` pixels of height apart: a steep stretch must not slip through a name. */
export function dense(line: readonly Point[], step: number): Point[] {
  const out: Point[] = [];
  line.forEach((p, i) => {
    const before = line[i - 1];
    const pieces = before ? Math.min(200, Math.ceil(Math.abs(p.y - before.y) / step)) : 1;
    for (let j = 1; j < pieces; j++) {
      const u = j / pieces;
      out.push({ x: before.x + u * (p.x - before.x), y: before.y + u * (p.y - before.y) });
    }
    out.push(p);
  });
  return out;
}

/** How much of a line lies under the box, in pixels: what of it would be hidden, however densely it is sampled. */
function lengthInside(box: Box, line: readonly Point[]): number {
  let length = 0;
  for (let i = 1; i < line.length; i++)
    if (holds(box, line[i])) length += Math.hypot(line[i].x - line[i - 1].x, line[i].y - line[i - 1].y) || 0;
  return length;
}

function holds({ left, top, right, bottom }: Box, { x, y }: Point): boolean {
  return x > left - 2 && x < right + 2 && y > top - 2 && y < bottom + 2;
}

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
