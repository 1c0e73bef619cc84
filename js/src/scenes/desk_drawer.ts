/** What stands in the desk's drawer: schedules to compare with, and NCSNv2's advice with a button that takes it. */
import { button } from "../core/controls";
import { element } from "../core/panel";
import type { Pin } from "./desk_views";

export interface Advice {
  sigma_max: number;
  sigma_min: number;
  levels: number;
  sentence: string;
}

const MOST = 4;

export interface PinBox {
  readonly root: HTMLElement;
  show(pins: readonly Pin[], full: boolean): void;
}

export function pinBox(
  { pin, unpin }: { pin: () => void; unpin: (index: number) => void },
  signal: AbortSignal,
): PinBox {
  const root = element("div", "difflab-pins");
  const add = button({ label: "Pin this schedule", title: "Keep its curves to compare with", onClick: pin, signal });
  const list = element("ul", "");
  list.setAttribute("aria-label", "pinned schedules");
  root.append(add, list);
  let own = new AbortController();
  signal.addEventListener("abort", () => own.abort());
  return {
    root,
    show(pins, known) {
      add.disabled = known || pins.length >= MOST;
      add.title =
        pins.length >= MOST ? `At most ${MOST} schedules` : known ? "It is pinned" : "Keep its curves to compare with";
      own.abort();
      own = new AbortController();
      list.replaceChildren(
        ...pins.map(({ name }, i) => {
          const item = element("li", "");
          const words = element("span", "");
          words.textContent = name;
          const remove = button({ label: "×", title: `Unpin ${name}`, onClick: () => unpin(i), signal: own.signal });
          remove.setAttribute("aria-label", `unpin ${name}`);
          item.append(words, remove);
          return item;
        }),
      );
    },
  };
}

export interface AdviceBox {
  readonly root: HTMLElement;
  show(advice: Advice | null, hasKernel: boolean): void;
}

export function adviceBox(take: () => void, signal: AbortSignal): AdviceBox {
  const root = element("div", "difflab-advice");
  const words = element("p", "difflab-quiet");
  const apply = button({
    label: "Take NCSNv2's levels",
    title: "A geometric schedule with these ends, in as many steps",
    onClick: take,
    signal,
  });
  root.append(words, apply);
  return {
    root,
    show(advice, hasKernel) {
      words.textContent =
        advice?.sentence ?? (hasKernel ? "NCSNv2's advice is being worked out." : "NCSNv2's advice needs Python.");
      apply.hidden = !advice;
    },
  };
}
