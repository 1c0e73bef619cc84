/**
 * A canvas that fills its place: sharp at every device pixel ratio, resized with its panel, redrawn once a frame at
 * most and only while it can be seen.
 */
import { paintSoon, unpainted } from "./frame";
import { element, watched } from "./panel";
import { sightOf, whenWanted } from "./sight";
import { onThemeChange } from "./theme";

export interface Stage {
  root: HTMLElement;
  canvas: HTMLCanvasElement;
  /** Draw at the end of this frame, or of the next one, or as soon as the canvas comes into sight. */
  redraw(): void;
  /** What a screen reader says of the picture. */
  describe(text: string): void;
}

/** What a drawing gets: a clean context in device pixels. `ratio` is device pixels per CSS pixel. */
export interface Surface {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
  ratio: number;
}

export function createStage(parent: HTMLElement, draw: (surface: Surface) => void, signal: AbortSignal): Stage {
  const root = element("div", "difflab-stage");
  const canvas = element("canvas", "");
  canvas.setAttribute("role", "img");
  root.append(canvas);
  parent.append(root);
  const context = canvas.getContext("2d")!;
  const guarded = watched(root, draw);
  // asking for it in a frame would lay the page out once more
  let size = { width: root.clientWidth, height: root.clientHeight };
  let wanted = false;

  const paint = () => {
    if (!seen()) return; // `wanted` stays: drawn when seen again
    paintNow();
  };
  const paintNow = () => {
    if (size.width === 0) return;
    wanted = false;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(size.width * ratio));
    const height = Math.max(1, Math.round(size.height * ratio));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    } else {
      context.clearRect(0, 0, width, height);
    }
    context.save();
    guarded({ context, width, height, ratio });
    context.restore();
  };
  const redraw = () => {
    wanted = true;
    if (seen()) paintSoon(paint);
  };
  const again = () => {
    if (wanted) redraw();
  };
  const seen = sightOf(root, again, signal);
  whenWanted(root, () => wanted && paintNow(), signal);

  const resize = new ResizeObserver(() => {
    size = { width: root.clientWidth, height: root.clientHeight };
    redraw();
  });
  resize.observe(root);
  onThemeChange(root, redraw, signal);
  signal.addEventListener(
    "abort",
    () => {
      resize.disconnect();
      unpainted(paint);
    },
    { once: true },
  );
  redraw();
  return {
    root,
    canvas,
    redraw,
    describe(text) {
      canvas.setAttribute("aria-label", text);
    },
  };
}
