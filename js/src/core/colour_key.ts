import { element } from "./panel";
import type { ColorName } from "./theme";

/** What the colours of a panel mean, in the line beside its title: `{ exact: "optimal", learned: "learned above it" }`. */
export function colourKey(words: Partial<Record<ColorName, string>>): HTMLElement {
  const root = element("span", "difflab-key");
  for (const [colour, meaning] of Object.entries(words)) {
    const item = element("span", "");
    const mark = element("i", "");
    mark.style.background = `var(--difflab-${colour})`;
    item.append(mark, meaning);
    root.append(item);
  }
  return root;
}
