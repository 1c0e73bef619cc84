/**
 * The short tour: a card that goes from panel to panel, opens the tab where it stands and says what to look for.
 *
 * Nothing is locked meanwhile: everything on the page can be tried while the card waits.
 */
import { button } from "../core/controls";
import { element } from "../core/panel";
import type { Cell } from "./lab_layouts";
import "./lab_tour.css";

interface Stop {
  tab: string;
  cell: Cell;
  title: string;
  text: string;
}

export const STOPS: readonly Stop[] = [
  {
    tab: "overview",
    cell: "forward",
    title: "Data become noise",
    text: "Predict first: at which t do the eight modes melt into one cloud? Then press space, or drag the bar below.",
  },
  {
    tab: "noise",
    cell: "desk",
    title: "You decide how fast",
    text: "Drag the slider, or draw the curve by hand. The gauge says whether the last step is really noise.",
  },
  {
    tab: "train",
    cell: "floor",
    title: "A flat loss is not a broken one",
    text: "Press Train. The green floor is what no network gets below; only what stands above it can be learned.",
  },
  {
    tab: "train",
    cell: "score",
    title: "Learned minus exact",
    text: "Where is the network wrong first: between the modes or on them? Watch the difference fade as it trains.",
  },
  {
    tab: "sample",
    cell: "reverse",
    title: "Noise becomes data",
    text: "Press Sample, colour by the mode where each point ends, and scrub back to see when its fate is decided.",
  },
  {
    tab: "bits",
    cell: "bits",
    title: "Where the bits go",
    text: "Each bar is what one stretch of the chain pays. Drag the schedule: the bars slosh, and their sum hardly moves.",
  },
];

/** `root` is the Lab, `open` opens one of its tabs. */
export function labTour(root: HTMLElement, open: (tab: string) => void, signal: AbortSignal) {
  const card = element("aside", "difflab-tour");
  card.hidden = true;
  card.tabIndex = -1;
  card.setAttribute("aria-label", "Tour of the Lab");
  const title = element("h2", "");
  const text = element("p", "");
  text.setAttribute("role", "status");
  const where = element("span", "difflab-status");
  const back = button({ label: "Back", onClick: () => go(at - 1), signal });
  const next = button({ label: "Next", onClick: () => go(at + 1), signal });
  const end = button({ label: "End tour", onClick: () => go(-1), signal });
  const row = element("div", "difflab-tour-row");
  row.append(where, back, next, end);
  card.append(title, text, row);
  let at = -1;
  let from: Element | null = null;

  const go = (to: number) => {
    root.querySelector(".difflab-toured")?.classList.remove("difflab-toured");
    at = to >= STOPS.length ? -1 : to;
    const stop = STOPS[at];
    card.hidden = !stop;
    if (!stop) {
      (from as HTMLElement | null)?.focus();
      return;
    }
    open(stop.tab);
    const cell = root.querySelector(`[data-cell="${stop.cell}"]`);
    cell?.classList.add("difflab-toured");
    cell?.scrollIntoView({ block: "nearest" });
    title.textContent = stop.title;
    text.textContent = stop.text;
    where.textContent = `${at + 1} of ${STOPS.length}`;
    back.disabled = at === 0;
    next.textContent = at === STOPS.length - 1 ? "Done" : "Next";
    end.hidden = at === STOPS.length - 1;
  };
  card.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape") return;
      go(-1);
      event.stopPropagation();
    },
    { signal },
  );
  return {
    root: card,
    start() {
      from = (root.getRootNode() as Document | ShadowRoot).activeElement;
      go(0);
      card.focus();
    },
  };
}
