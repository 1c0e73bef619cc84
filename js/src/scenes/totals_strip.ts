/**
 * The bound as a whole, under its bars: entropy, optimal and learned on one short axis, each with its number, in the unit
 * of the bars' axis. The
 * distance from the entropy line to the green mark is what T steps cost, from green to vermilion what the network costs.
 */
import { format, withError } from "../core/numbers";
import { element } from "../core/panel";
import "./scenes.css";

export interface Totals {
  optimal?: number | null;
  optimal_error?: number | null;
  learned?: number | null;
  learned_error?: number | null;
  entropy?: number | null;
  entropy_error?: number | null;
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
  return {
    root,
    show(totals: Totals) {
      const known = ROWS.filter((row) => totals[row.name] != null);
      const place = positions(known.map((row) => totals[row.name] as number));
      axis.hidden = known.length < 2;
      axis.replaceChildren(
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
      );
    },
  };
}

/** Where the marks stand, 0.04 to 0.96: the axis spans what is to be compared, it does not start at zero. */
export function positions(values: readonly number[]): number[] {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  return values.map((v) => (span > 0 ? 0.04 + (0.92 * (v - low)) / span : 0.5));
}
