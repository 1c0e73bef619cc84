/**
 * The bound as a whole, under its bars: entropy, optimal and learned on one short axis, each with its number, in the unit
 * of the bars' axis. Entropy is the line that no bound gets below: from it to the green mark is what T steps cost, from green
 * to vermilion what the network costs.
 */
import { format, withError } from "../core/numbers";
import { element } from "../core/panel";
import "./scenes.css";

export interface Totals {
  optimal?: number | null;
  optimal_error?: number | null;
  learned?: number | null;
  learned_error?: number | null;
  gap?: number | null;
  gap_error?: number | null;
  entropy?: number | null;
  entropy_error?: number | null;
  /** What the optimum pays for the chosen variance above the best one. */
  variance_cost?: number | null;
}

const ROWS = [
  { name: "entropy", colour: "exact", shape: "line", words: "entropy" },
  { name: "optimal", colour: "exact", shape: "dot", words: "optimal" },
  { name: "learned", colour: "learned", shape: "diamond", words: "learned" },
] as const;

export function totalsStrip() {
  const root = element("div", "difflab-totals");
  const axis = element("div", "difflab-totals-axis");
  axis.setAttribute("aria-hidden", "true");
  const words = element("div", "difflab-totals-words");
  root.append(axis, words);
  let span = 0;
  return {
    root,
    /** `steady`: the axis does not shrink, for numbers that are on their way. */
    show(totals: Totals, steady = false) {
      const known = ROWS.filter((row) => totals[row.name] != null);
      const values = known.map((row) => totals[row.name] as number);
      const held = known[0]?.name === "entropy";
      span = Math.max(steady ? span : 0, held ? roundUp(reach(values)) : 0);
      const place = held ? positions(values, span) : positions(values);
      axis.hidden = known.length < 2;
      axis.replaceChildren(
        ...known.slice(1).map((row, i) => {
          const part = element("b", "difflab-totals-part");
          part.style.left = `${100 * Math.min(place[i], place[i + 1])}%`;
          part.style.width = `${100 * Math.abs(place[i + 1] - place[i])}%`;
          part.style.setProperty("--mark", `var(--difflab-${row.colour})`);
          return part;
        }),
        ...known.map((row, i) => {
          const mark = element("i", `difflab-mark-${row.shape}`);
          mark.style.left = `${100 * place[i]}%`;
          mark.style.setProperty("--mark", `var(--difflab-${row.colour})`);
          return mark;
        }),
      );
      words.replaceChildren(
        ...known.map((row) => {
          const item = element("span", "");
          const mark = element("i", `difflab-mark-${row.shape}`);
          mark.style.setProperty("--mark", `var(--difflab-${row.colour})`);
          const number = element("b", row.colour === "exact" ? "difflab-exact" : "");
          const error = totals[`${row.name}_error`];
          number.textContent = error ? withError(totals[row.name], error) : format(totals[row.name]);
          item.append(mark, `${row.words} `, number);
          return item;
        }),
        ...extras(totals),
      );
    },
  };
}

/** "of it for the variance 0.289", "gap 0.12 ± 0.01": what is part of the other numbers. */
function extras({ variance_cost, gap, gap_error }: Totals): HTMLElement[] {
  const parts: [string, string, string][] = [];
  if (variance_cost != null && variance_cost > 5e-4) parts.push(["variance costs", format(variance_cost), "exact"]);
  if (gap != null) parts.push(["gap", withError(gap, gap_error), "learned"]);
  return parts.map(([label, value, colour]) => {
    const item = element("span", "difflab-totals-extra");
    const number = element("b", `difflab-${colour}`);
    number.textContent = value;
    item.append(`${label} `, number);
    return item;
  });
}

/** How far the others lie from the first one. */
const reach = ([first, ...others]: readonly number[]) => Math.max(0, ...others.map((v) => Math.abs(v - first)));

/**
 * Where the marks stand, 0.04 to 0.96: the axis spans what is to be compared, it does not start at zero. With a `span` the
 * first one stands still at 0.04 and the axis reaches so far beyond it.
 */
export function positions(values: readonly number[], span?: number): number[] {
  const low = span === undefined ? Math.min(...values) : values[0];
  const width = span ?? Math.max(...values) - low;
  const alone = span === undefined ? 0.5 : 0.04;
  return values.map((v) => (width > 0 ? Math.max(0, 0.04 + (0.92 * (v - low)) / width) : alone));
}

/** The next round number, so that the axis rests while training moves the marks. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 5, 10].find((m) => m * power >= value * 0.9999)!;
}
