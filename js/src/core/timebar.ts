/** The one time bar: step, slow, run, a slider from 0 data to 1 noise, and the log-SNR along it; and the keys of the clock. */
import { format } from "./numbers";
import { element } from "./panel";
import { pressedIn } from "./pressed";
import { logSnr, type Schedule } from "./schedule";
import type { Clock } from "./store";
import { scrub, togglePlay, transport, type Transport } from "./transport";

export interface TimeBarOptions {
  /** Where play and step lead: to noise (1, the default) or to data (-1). */
  direction?: 1 | -1;
  /** The time after one step from `t`; 0.02 further when left out. */
  step?: (t: number) => number;
}

const STEP = 0.02;

/** `schedule` gives the schedule of the moment, or null when there is none; `refresh` after it changed. */
export function timeBar(
  clock: Clock,
  schedule: () => Schedule | null,
  signal: AbortSignal,
  { direction = 1, step = (t) => t + direction * STEP }: TimeBarOptions = {},
): Transport {
  // On a narrow bar the words stay and the numbers go.
  const end = (text: string) => {
    const part = element("span", "difflab-end-time");
    part.textContent = text;
    return part;
  };
  const bar = transport(
    clock,
    {
      label: "time t, 0 is data, 1 is noise",
      direction,
      step,
      stepTitle: direction > 0 ? "One step towards noise" : "One step towards data",
      playLabel: direction > 0 ? "Play to noise" : "Play to data",
      say() {
        const now = schedule();
        return `t = ${clock.t.toFixed(3)}${now ? ` · log-SNR ${format(logSnr(now, clock.t))}` : ""}`;
      },
    },
    signal,
  );
  bar.first.append(end("t = 0 · "), "data");
  bar.last.append("noise", end(" · t = 1"));
  return bar;
}

/**
 * Arrows scrub (with shift ten times as far), Home and End jump, space plays, while the focus is inside `el`.
 *
 * Listens on the window before anyone else: JupyterLab listens on the document and would take arrows and space for the
 * notebook (change the cell, scroll).
 */
export function bindTimeKeys(el: HTMLElement, clock: Clock, signal: AbortSignal, direction: 1 | -1 = 1): void {
  const onKey = (event: KeyboardEvent) => {
    const target = pressedIn(event);
    if (!el.contains(target) || event.ctrlKey || event.metaKey || event.altKey || hasOwnUse(target, event.key)) return;
    const stride = event.shiftKey ? 0.1 : 0.01;
    if (event.key === " ") togglePlay(clock, direction);
    else if (event.key === "ArrowLeft") scrub(clock, clock.t - stride);
    else if (event.key === "ArrowRight") scrub(clock, clock.t + stride);
    else if (event.key === "Home") scrub(clock, 0);
    else if (event.key === "End") scrub(clock, 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  window.addEventListener("keydown", onKey, { capture: true, signal });
}

/** A control keeps the keys that it understands; the time slider itself scrubs like the rest. */
function hasOwnUse(target: HTMLElement, key: string): boolean {
  if (target.closest("[data-own-keys]")) return true; // a drawing surface: see bindKeys in drawing.ts
  if (key === " ") return target.closest("button, select, textarea, input:not([type=range])") !== null;
  return target.closest("input:not(.difflab-scrub), select, textarea, [role=tab]") !== null;
}
