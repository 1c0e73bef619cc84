/** The Lab's tabs: which panels stand in each. lab.css says where, by the tab's name and the panel's. */
import type { Choice } from "../core/controls";

/** All of them; each tab says in which order they are read. */
export const CELLS = [
  "forward",
  "draw",
  "facts",
  "desk",
  "at_t",
  "bits",
  "monitor",
  "floor",
  "score",
  "reverse",
  "langevin",
] as const;

export type Cell = (typeof CELLS)[number];

export const TABS: Choice[] = [
  { name: "overview", label: "Overview" },
  { name: "data", label: "Data" },
  { name: "noise", label: "Noise" },
  { name: "train", label: "Train" },
  { name: "sample", label: "Sample" },
  { name: "bits", label: "Bits" },
];

/** In the order of reading, which is also that of the keyboard. */
export const LAYOUTS: Readonly<Record<string, readonly Cell[]>> = {
  overview: ["forward", "desk", "at_t", "bits", "monitor", "score"],
  data: ["draw", "forward", "facts"],
  noise: ["desk", "forward", "at_t"],
  train: ["monitor", "floor", "score", "at_t"],
  sample: ["reverse", "langevin"],
  bits: ["bits", "desk", "at_t"],
};

/** The tab's name, or the first one's for what is none. */
export const tabOf = (name: unknown): string => (typeof name === "string" && name in LAYOUTS ? name : "overview");
