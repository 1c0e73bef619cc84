/** What ScoreMap says in words and numbers: its title, the line under the picture, and a probed point. */
import type { Face } from "../core/faces";
import { format, withError } from "../core/numbers";
import { element } from "../core/panel";
import type { Store } from "../core/store";
import { between, type ScoreField, type Vector } from "./score_field";
import type { State } from "./score_map";
import type { View } from "./score_picture";

const CALLED: Record<Face, string> = { score: "Score", eps: "eps", x0: "x0", v: "v", velocity: "Velocity" };

export function titleOf(face: Face, view: View): string {
  return `${CALLED[face]}, ${view === "difference" ? "learned minus exact" : view}`;
}

export interface Square {
  value: number;
  error: number;
}

/** E |learned - exact|^2 of the field's face at t, interpolated between the levels as the field is; null where not known. */
export function meanSquare(store: Store<State>, field: ScoreField, t: number): Square | null {
  const [times, squares] = [store.get("levels"), store.get("error_at")];
  if (!times || !squares || squares.shape[0] !== times.shape[0] || t < times.data[0]) return null;
  const [i, share] = between(field.schedule, times.data, t);
  const factor = field.squareFactor(t);
  const at = (c: number) => {
    const [a, b] = [squares.data[2 * i + c], squares.data[2 * i + 2 + c]];
    return factor * (a + share * (b - a));
  };
  return { value: at(0), error: at(1) };
}

export interface Context {
  t: number;
  images: boolean;
  face: Face;
  learned: boolean;
  stale: boolean;
  /** Whether the truth is the training set's. */
  finite: boolean;
  exactKnown: boolean;
  square: Square | null;
  /** The lowest level, where the picture is below it; else null. */
  lowest: number | null;
  /** In the Lab's overview: short. */
  brief: boolean;
}

/** The line under the picture: the divergence, or why there is none. */
export function numberLine(now: Context): (Node | string)[] {
  if (now.finite && !now.exactKnown) return ["The exact field of the training set is being computed."];
  const least = now.lowest === null ? "" : `; this is t = ${format(now.lowest, 1)}`;
  if (now.finite && now.t === 0 && !now.images) return [`A finite set has no score at t = 0${least}.`];
  if (now.stale) return ["The network's field belongs to another schedule."];
  if (!now.learned)
    return [now.brief ? "Train to see the difference." : "The exact field: train to see the difference."];
  if (!now.square) return [`Nothing is learned at t = 0${least}.`];
  const number = element("b", "");
  number.textContent = withError(now.square.value, now.square.error);
  return [number, ` ${nameOf(now)}`];
}

function nameOf({ face, brief, images }: Context): string {
  if (images) return brief ? "mean square for x0" : "mean square for x0: E|learned − exact|², summed over the pixels";
  const name = face === "score" ? "Fisher divergence" : `mean square for ${face}`;
  return brief ? name : `${name}: E|learned − exact|² under p_t, interpolated between levels`;
}

export interface Probed {
  at: Vector;
  exact: Vector | null;
  difference: Vector | null;
}

/** The numbers of one point. */
export function probeLine({ at, exact, difference }: Probed, view: View, { brief }: Context): (Node | string)[] {
  const learned: Vector | null = exact && difference && [exact[0] + difference[0], exact[1] + difference[1]];
  const parts: [View, Vector | null, string][] = [
    ["exact", exact, "difflab-of-exact"],
    ["learned", learned, "difflab-of-learned"],
    ["difference", difference, ""],
  ];
  const out: (Node | string)[] = [`at ${pair(at)}: `];
  for (const [name, value, colour] of parts) {
    if (!value || (brief && name !== view)) continue;
    const part = element("span", colour);
    part.textContent = `${name} ${pair(value)}`;
    if (out.length > 1) out.push(" · ");
    out.push(part);
  }
  if (out.length === 1) out.push("not known");
  return out;
}

const pair = ([x, y]: Vector) => `(${format(x, 2)}, ${format(y, 2)})`;
