/** The table beside the curves of several runs: how each one is doing. Pressing a name brings its curve to the front. */
import { count, format, withError } from "../core/numbers";
import { element } from "../core/panel";
import type { ColorName } from "../core/theme";
import "./run_table.css";

export interface RunRow {
  name: string;
  state: string;
  step: number;
  loss: number | null;
  error: number | null;
  /** Over the exact floor. */
  excess: number | null;
  speed: number | null;
  differs: string;
  note: string;
}

/** How a run's curve is drawn: runs differ in colour first, in dashes where colours are used up. */
export interface Stroke {
  colour: ColorName;
  dash?: number[];
}

const COLOURS: ColorName[] = ["learned", "data", "gap", "beta", "ink", "noise"];
const DASHES = [undefined, [6, 3], [2, 3], [9, 3, 2, 3]];

export function strokeOf(run: number): Stroke {
  const dash = DASHES[Math.floor(run / COLOURS.length) % DASHES.length];
  return { colour: COLOURS[run % COLOURS.length], ...(dash && { dash }) };
}

/** The run whose loss is lowest, beyond doubt or not; -1 where none has one. */
export function lowest(rows: readonly RunRow[]): number {
  let best = -1;
  rows.forEach((row, i) => {
    if (row.loss !== null && (best < 0 || row.loss < rows[best].loss!)) best = i;
  });
  return best;
}

export interface RunTable {
  root: HTMLElement;
  show(rows: readonly RunRow[], chosen: number): void;
}

/** `choose` hears of the run whose name was pressed. */
export function runTable(choose: (run: number) => void, signal: AbortSignal): RunTable {
  const root = element("div", "difflab-runs");
  const table = element("table", "");
  const head = element("thead", "");
  const body = element("tbody", "");
  table.append(head, body);
  root.append(table);
  root.addEventListener(
    "click",
    (event) => {
      const pressed = (event.target as Element).closest<HTMLElement>("button[data-run]");
      if (pressed) choose(Number(pressed.dataset.run));
    },
    { signal },
  );
  let columns = "";
  const shown: Row[] = [];
  return {
    root,
    show(rows, chosen) {
      const differ = rows.some((row) => row.differs);
      const fast = rows.some((row) => row.speed);
      const known = rows.some((row) => row.excess !== null);
      const titles = [
        "run",
        ...(differ ? ["differs in"] : []),
        "state",
        "step",
        "loss",
        ...(known ? ["above the floor"] : []),
        ...(fast ? ["steps/s"] : []),
      ];
      if (titles.join() !== columns) {
        columns = titles.join();
        head.replaceChildren(lineOf("th", titles));
        shown.length = 0;
        body.replaceChildren();
      }
      // rows stay the same elements, so that the focus does
      while (shown.length > rows.length) shown.pop()!.root.remove();
      while (shown.length < rows.length) {
        const row = newRow(shown.length, titles);
        shown.push(row);
        body.append(row.root);
      }
      const best = lowest(rows);
      rows.forEach((row, i) => shown[i].show(row, i === chosen, i === best && rows.length > 1));
    },
  };
}

interface Row {
  root: HTMLElement;
  show(row: RunRow, chosen: boolean, best: boolean): void;
}

function newRow(run: number, titles: readonly string[]): Row {
  const root = lineOf("td", Array<string>(titles.length).fill(""));
  const cells = [...root.children] as HTMLElement[];
  const name = element("button", "difflab-run-name");
  name.type = "button";
  name.dataset.run = String(run);
  const mark = element("i", "difflab-run-mark");
  mark.setAttribute("aria-hidden", "true");
  mark.append(lineSample(strokeOf(run)));
  const title = element("span", "");
  name.append(mark, title);
  const note = element("small", "difflab-run-note");
  cells[0].append(name, note);
  const put = (cell: HTMLElement, text: string) => {
    if (cell.textContent !== text) cell.textContent = text;
  };
  return {
    root,
    show(row, chosen, best) {
      put(title, row.name);
      put(note, row.note);
      note.hidden = !row.note;
      note.classList.toggle("difflab-error", row.state === "failed" || row.state === "lost");
      name.setAttribute("aria-pressed", String(chosen));
      root.classList.toggle("difflab-chosen", chosen);
      const words: Record<string, string> = {
        "differs in": row.differs,
        state: row.state,
        step: count(row.step),
        loss: row.loss === null ? "" : withError(row.loss, row.error) + (best ? " (lowest)" : ""),
        "above the floor": row.excess === null ? "" : format(row.excess),
        "steps/s": row.speed ? format(row.speed) : "",
      };
      titles.forEach((title, i) => i > 0 && put(cells[i], words[title]));
    },
  };
}

function lineOf(kind: "td" | "th", texts: string[]): HTMLTableRowElement {
  const line = element("tr", "");
  line.append(
    ...texts.map((text) => {
      const cell = element(kind, "");
      cell.textContent = text;
      if (kind === "th") cell.setAttribute("scope", "col");
      return cell;
    }),
  );
  return line;
}

const SVG = "http://www.w3.org/2000/svg";

function lineSample({ colour, dash }: Stroke): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", "22");
  svg.setAttribute("height", "8");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", "M0 4H22");
  line.setAttribute("stroke", `var(--difflab-${colour})`);
  line.setAttribute("stroke-width", "2");
  if (dash) line.setAttribute("stroke-dasharray", dash.join(" "));
  svg.append(line);
  return svg;
}
