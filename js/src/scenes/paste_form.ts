/** A box for numbers from elsewhere: what is pasted is read at once, and what cannot be read is said in one sentence. */
import { button } from "../core/controls";
import { count, short } from "../core/numbers";
import { element, sentence } from "../core/panel";
import type { DrawingDesk } from "./drawing_desk";
import { classesIn, fitted } from "./drawn_points";
import { parsePoints } from "./pasted_points";

/** Put the points of a text on the sheet; returns what to say of it. Throws an Error with one sentence. */
export function paste(text: string, desk: DrawingDesk): string {
  const read = parsePoints(text);
  const { points, scale } = fitted(read);
  desk.commit({ mode: "points", points, scaled: scale });
  const n = points.classes.length;
  const kinds = classesIn(points);
  const scaled = scale === 1 ? "as they are" : `scaled by ${short(scale)}`;
  return `${count(n)} ${n === 1 ? "point" : "points"}${kinds > 1 ? ` in ${kinds} classes` : ""}, ${scaled}`;
}

export function pasteForm(desk: DrawingDesk, signal: AbortSignal): HTMLElement {
  const root = element("div", "difflab-paste");
  const label = element("label", "");
  const name = element("span", "");
  name.textContent = "Paste points: x y, or x y class, one a line";
  const box = element("textarea", "");
  box.rows = 3;
  box.spellcheck = false;
  box.placeholder = "0.5, 1.2\n0.7, 0.9";
  label.append(name, box);
  const said = element("p", "difflab-quiet");
  said.setAttribute("role", "status");
  const read = () => {
    try {
      said.textContent = paste(box.value, desk);
      said.classList.remove("difflab-error");
    } catch (error) {
      said.textContent = sentence(error);
      said.classList.add("difflab-error");
    }
  };
  // the text stands in the box only after the event
  box.addEventListener("paste", () => setTimeout(read), { signal });
  root.append(label, button({ label: "Draw these", onClick: read, signal }), said);
  return root;
}
