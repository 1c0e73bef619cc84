/**
 * One frame of the browser for all that moves: first what changes (the clock, traits), then what is painted. So a picture
 * is painted in the frame in which its time was set, not in the next one.
 */
type Change = (now: number) => void;

const changes = new Set<Change>();
const paints = new Set<() => void>();
let asked = false;
let changing = false;

/** Call `f` in the next frame, before anything is painted. */
export function beforePaint(f: Change): void {
  changes.add(f);
  ask();
}

/** Call `f` once at the end of this frame, if one is under way, else of the next. */
export function paintSoon(f: () => void): void {
  paints.add(f);
  if (!changing) ask();
}

/** Forget what was asked for. */
export function unpainted(f: () => void): void {
  paints.delete(f);
}

function ask(): void {
  if (asked) return;
  asked = true;
  requestAnimationFrame(run);
}

function run(now: number): void {
  asked = false;
  changing = true;
  const due = [...changes];
  changes.clear();
  for (const f of due) attempt(() => f(now));
  changing = false;
  const drawings = [...paints];
  paints.clear();
  drawings.forEach(attempt);
}

/** What one throws must not take the frame from the others. */
function attempt(f: () => void): void {
  try {
    f();
  } catch (error) {
    reportError(error);
  }
}

/**
 * Draw once a frame however many traits changed: a message from the kernel sets several, and each one tells its listeners.
 * Returns the function that asks for a drawing.
 */
export function onNextFrame(draw: () => void, signal: AbortSignal): () => void {
  let pending = false;
  return () => {
    if (pending || signal.aborted) return;
    pending = true;
    beforePaint(() => {
      pending = false;
      if (!signal.aborted) draw();
    });
  };
}
