/**
 * Colours of categories (modes, classes): equal in lightness, so that none stands before the others, and clear of the hues
 * that mean something in this house (exact green, learned vermilion, data blue).
 *
 * In OKLab (Ottosson 2020) equal distances look about equal. The hues are spread over what the house leaves free of the
 * circle, and dealt out so that neighbours in the list, who are often neighbours in the plane, are far apart on it.
 */
import type { OKLab } from "./oklab";
import { hexOf } from "./oklab";

/** Degrees of OKLab's circle that belong to nobody, one arc after the other: between vermilion, green and blue. */
const FREE: readonly (readonly [number, number])[] = [
  [66, 146],
  [184, 218],
  [266, 392],
];
/** Beyond so many, colours come again: nobody tells more apart. */
const MOST = 12;
/** As much chroma as sRGB has at these lightnesses in every free hue. */
const LIGHT = { lightness: 0.66, chroma: 0.112 };
const DARK = { lightness: 0.76, chroma: 0.118 };

const known = new Map<string, string[]>();

/** `n` CSS colours for a light or a dark panel, the same at every call; from the thirteenth on they repeat. */
export function categories(n: number, dark: boolean): string[] {
  const key = `${n} ${dark}`;
  const before = known.get(key);
  if (before) return before;
  const different = Math.min(n, MOST);
  const { lightness, chroma } = dark ? DARK : LIGHT;
  const hues = freeHues(different);
  const order = orderOf(different);
  const colours = Array.from({ length: n }, (_, i) => {
    const angle = (hues[order[i % different]] * Math.PI) / 180;
    const lab: OKLab = [lightness, chroma * Math.cos(angle), chroma * Math.sin(angle)];
    return hexOf(lab);
  });
  known.set(key, colours);
  return colours;
}

/** `n` hues at equal distances along the free arcs, half a distance away from their ends. */
function freeHues(n: number): number[] {
  const total = FREE.reduce((sum, [from, to]) => sum + to - from, 0);
  return Array.from({ length: n }, (_, i) => {
    let along = ((i + 0.5) / n) * total;
    for (const [from, to] of FREE) {
      if (along <= to - from) return from + along;
      along -= to - from;
    }
    return FREE[FREE.length - 1][1];
  });
}

/** The order in which hues are dealt out: near 2/5 of the circle on from one to the next, each once. */
function orderOf(n: number): readonly number[] {
  if (n === 6) return [0, 2, 4, 1, 5, 3]; // no stride but 1 and 5 meets all six
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let best = 1;
  for (let stride = 1; stride < n; stride++)
    if (common(n, stride) === 1 && Math.abs(stride - 0.4 * n) < Math.abs(best - 0.4 * n)) best = stride;
  return Array.from({ length: n }, (_, i) => (i * best) % n);
}
