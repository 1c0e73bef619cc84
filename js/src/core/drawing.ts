/**
 * A surface to draw on, with a mouse, a pen, a finger or the keyboard.
 *
 * `followHand` gives strokes: one hand at a time, captured, with every position that the browser knows between two
 * frames. A palm that rests while a pen draws is no hand. What a stroke does is for the scene to say; here are also the
 * parts that every drawing needs: `DataPlace` (pixels to data units), `Stepper` (equal distances along a stroke),
 * `History` (undo and redo) and `bindKeys` (keys that JupyterLab would take).
 */
import { watched } from "./panel";
import { pressedIn } from "./pressed";
import type { View } from "./splat";

export type HandKind = "mouse" | "pen" | "touch";

/** Where a hand is, in CSS pixels from the upper left corner of the surface. */
export interface Spot {
  x: number;
  y: number;
  /** 0 to 1; a mouse has 0.5. */
  pressure: number;
  /** The other end of a pen. */
  eraser: boolean;
  shift: boolean;
  kind: HandKind;
}

export interface Hand {
  /** A stroke begins; false lets it go, and the page may scroll or select as usual. */
  down(spot: Spot): boolean | void;
  /** All positions since the last call, oldest first. */
  move(spots: Spot[]): void;
  /** The stroke ended where it last was. */
  up(): void;
  /** It was no stroke after all (a palm, a gesture of the system): take back what it did. */
  cancel(): void;
  /** Where a hand hovers without drawing; null when it left. */
  hover?(spot: Spot | null): void;
}

/** Milliseconds after a pen was last seen during which a touch is taken for the palm of the hand that holds it. */
const PALM_MS = 500;

/** Whose stroke it is. Decides for each pointer that comes down; knows no events, so that it can be tested. */
export class OneHand {
  private active: { id: number; kind: HandKind } | null = null;
  private penSeen = -Infinity;

  /** "begin" a stroke, "replace" the touch that is drawing (a palm came first), or "ignore" this pointer. */
  down(id: number, kind: HandKind, now: number): "begin" | "replace" | "ignore" {
    if (kind === "pen") this.penSeen = now;
    else if (kind === "touch" && now - this.penSeen < PALM_MS) return "ignore";
    const before = this.active;
    if (before && !(kind === "pen" && before.kind === "touch")) return "ignore";
    this.active = { id, kind };
    return before ? "replace" : "begin";
  }

  owns(id: number): boolean {
    return this.active?.id === id;
  }

  /** A pen was seen, drawing or hovering. */
  sawPen(now: number): void {
    this.penSeen = now;
  }

  release(): void {
    this.active = null;
  }
}

/** Tell `hand` of every stroke on `surface` until `signal` aborts. What it throws stands in the panel's error line. */
export function followHand(surface: HTMLElement, hand: Hand, signal: AbortSignal): void {
  const one = new OneHand();
  surface.style.touchAction = "none"; // a finger draws, the page does not scroll
  const end = (event: PointerEvent, how: "up" | "cancel") => {
    if (!one.owns(event.pointerId)) return;
    one.release();
    hand[how]();
  };
  const on = (type: string, f: (event: PointerEvent) => void) =>
    surface.addEventListener(type, watched(surface, f) as (event: Event) => void, { signal });

  on("pointerdown", (event) => {
    if (event.button !== 0 && event.button !== 5) return; // the first button, or a pen's eraser
    const turn = one.down(event.pointerId, kindOf(event), event.timeStamp);
    if (turn === "ignore") return event.preventDefault();
    if (turn === "replace") hand.cancel();
    if (hand.down(spotOf(event, surface)) === false) return one.release();
    surface.focus({ preventScroll: true });
    event.preventDefault();
    try {
      surface.setPointerCapture(event.pointerId);
    } catch {
      one.release(); // the pointer is gone already, and will not say so
      hand.up();
    }
  });
  on("pointermove", (event) => {
    if (event.pointerType === "pen") one.sawPen(event.timeStamp);
    if (!one.owns(event.pointerId)) {
      if (event.pointerType !== "touch") hand.hover?.(spotOf(event, surface));
      return;
    }
    const all = event.getCoalescedEvents?.() ?? [];
    hand.move((all.length ? all : [event]).map((each) => spotOf(each, surface)));
  });
  on("pointerup", (event) => end(event, "up"));
  on("pointercancel", (event) => end(event, "cancel"));
  on("lostpointercapture", (event) => end(event, "up"));
  on("pointerleave", () => hand.hover?.(null));
}

function kindOf(event: PointerEvent): HandKind {
  return event.pointerType === "pen" || event.pointerType === "touch" ? event.pointerType : "mouse";
}

function spotOf(event: PointerEvent, surface: HTMLElement): Spot {
  const box = surface.getBoundingClientRect();
  return {
    x: event.clientX - box.left,
    y: event.clientY - box.top,
    pressure: event.pressure,
    eraser: (event.buttons & 32) !== 0,
    shift: event.shiftKey,
    kind: kindOf(event),
  };
}

/** From CSS pixels to data units and back, for a view in device pixels. */
export class DataPlace {
  constructor(
    readonly view: View,
    readonly ratio: number,
  ) {}

  toData({ x, y }: { x: number; y: number }): [number, number] {
    const { x0, y0, scale } = this.view;
    return [(x * this.ratio - x0) / scale, (y0 - y * this.ratio) / scale];
  }

  toPixels(x: number, y: number): { x: number; y: number } {
    const { x0, y0, scale } = this.view;
    return { x: (x0 + scale * x) / this.ratio, y: (y0 - scale * y) / this.ratio };
  }

  /** A length of CSS pixels in data units. */
  length(pixels: number): number {
    return (pixels * this.ratio) / this.view.scale;
  }
}

/** Places at equal distances along a stroke: its beginning, then one every `spacing`, however the events fall. */
export class Stepper {
  private last: [number, number] | null = null;
  /** How far the stroke has gone since the last place. */
  private gone = 0;

  constructor(private readonly spacing: number) {}

  to(x: number, y: number): [number, number][] {
    if (!this.last) {
      this.last = [x, y];
      return [[x, y]];
    }
    const [fromX, fromY] = this.last;
    const length = Math.hypot(x - fromX, y - fromY);
    this.last = [x, y];
    const places: [number, number][] = [];
    let at = this.spacing - this.gone;
    for (; at <= length; at += this.spacing) {
      places.push([fromX + ((x - fromX) * at) / length, fromY + ((y - fromY) * at) / length]);
    }
    this.gone = this.spacing - (at - length); // not a remainder, which rounding may put at the wrong end
    return places;
  }
}

/** Undo and redo over states that are never changed in place; the oldest are forgotten. */
export class History<T> {
  private readonly past: T[] = [];
  private readonly future: T[] = [];

  constructor(
    private present: T,
    private readonly most = 60,
  ) {}

  get now(): T {
    return this.present;
  }
  get canUndo(): boolean {
    return this.past.length > 0;
  }
  get canRedo(): boolean {
    return this.future.length > 0;
  }

  push(state: T): void {
    this.past.push(this.present);
    if (this.past.length > this.most) this.past.shift();
    this.future.length = 0;
    this.present = state;
  }

  /** The state before, or the same one when there is none. */
  undo(): T {
    return this.step(this.past, this.future);
  }

  redo(): T {
    return this.step(this.future, this.past);
  }

  private step(from: T[], to: T[]): T {
    const state = from.pop();
    if (state === undefined) return this.present;
    to.push(this.present);
    return (this.present = state);
  }
}

/** Where an arrow key leads, in units of one step; null for another key. */
export function arrow(key: string): [number, number] | null {
  if (key === "ArrowLeft") return [-1, 0];
  if (key === "ArrowRight") return [1, 0];
  if (key === "ArrowUp") return [0, 1];
  if (key === "ArrowDown") return [0, -1];
  return null;
}

/**
 * Keys while the focus is on `surface`; `f` returns whether it had a use for the key, and then nobody else gets it.
 *
 * Listens on the window before anyone else, as the time bar does. `data-own-keys` tells the time bar to stay out.
 */
export function bindKeys(surface: HTMLElement, f: (event: KeyboardEvent) => boolean, signal: AbortSignal): void {
  surface.dataset.ownKeys = "";
  const onKey = watched(surface, (event: KeyboardEvent) => {
    if (pressedIn(event) !== surface || !f(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  window.addEventListener("keydown", onKey, { capture: true, signal });
}

/** Ctrl+Z (Cmd+Z) is -1, with shift, or Ctrl+Y, +1; 0 for another key. */
export function undoKey(event: KeyboardEvent): -1 | 0 | 1 {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return 0;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? 1 : -1;
  return key === "y" ? 1 : 0;
}
