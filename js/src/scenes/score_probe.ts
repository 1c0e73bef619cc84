/**
 * A point of the field in numbers: under the mouse or a finger, and moved by the arrow keys while "Probe" is pressed.
 * Positions are (u, v) in [0, 1]^2 from the square's upper left corner.
 */
import type { Place } from "../core/field";
import { pressedIn } from "../core/pressed";
import type { Stage } from "../core/stage";

export interface Probe {
  /** Where it is, or null. */
  readonly at: { u: number; v: number } | null;
  /** Whether the arrow keys move it. */
  on: boolean;
}

const STRIDE = 1 / 48;

/** `place` says where the square stands, in device pixels; `onMove` is called when the probe moved. */
export function createProbe(
  stage: Stage,
  place: () => Place,
  onMove: (byKey: boolean) => void,
  signal: AbortSignal,
): Probe {
  const { canvas } = stage;
  let hover: { u: number; v: number } | null = null;
  let kept = { u: 0.5, v: 0.5 };
  const probe = {
    on: false,
    get at() {
      return hover ?? (probe.on ? kept : null);
    },
  };
  const point = (event: PointerEvent) => {
    const box = canvas.getBoundingClientRect();
    const { x, y, side } = place();
    const u = (((event.clientX - box.left) / box.width) * canvas.width - x) / side;
    const v = (((event.clientY - box.top) / box.height) * canvas.height - y) / side;
    hover = u >= 0 && u <= 1 && v >= 0 && v <= 1 ? { u, v } : null;
    onMove(false);
  };
  canvas.addEventListener("pointermove", point, { signal });
  canvas.addEventListener(
    "pointerdown",
    (event) => {
      point(event);
      if (hover) kept = hover;
    },
    { signal },
  );
  canvas.addEventListener(
    "pointerleave",
    (event) => {
      if (event.pointerType === "touch") return; // a finger that was lifted still wants to read
      hover = null;
      onMove(false);
    },
    { signal },
  );
  // on the window and before the time keys (timebar.ts), which would scrub
  window.addEventListener(
    "keydown",
    (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!probe.on || pressedIn(event) !== canvas || !step || event.ctrlKey || event.metaKey || event.altKey) return;
      const stride = event.shiftKey ? 6 * STRIDE : STRIDE;
      const inside = (value: number) => Math.min(1, Math.max(0, value));
      hover = null;
      kept = { u: inside(kept.u + stride * step[0]), v: inside(kept.v + stride * step[1]) };
      event.preventDefault();
      event.stopImmediatePropagation();
      onMove(true);
    },
    { capture: true, signal },
  );
  return probe;
}

/** A small cross at the probe. */
export function drawProbe(
  context: CanvasRenderingContext2D,
  { x, y, side }: Place,
  { u, v }: { u: number; v: number },
  colour: string,
  ratio: number,
): void {
  const [px, py, arm] = [x + u * side, y + v * side, 7 * ratio];
  context.strokeStyle = colour;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  context.arc(px, py, 4 * ratio, 0, 2 * Math.PI);
  for (const [dx, dy] of [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ]) {
    context.moveTo(px + 4 * ratio * dx, py + 4 * ratio * dy);
    context.lineTo(px + arm * dx, py + arm * dy);
  }
  context.stroke();
}
