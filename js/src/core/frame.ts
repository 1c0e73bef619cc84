/**
 * Draw once a frame however many traits changed: a message from the kernel sets several, and each one tells its listeners.
 * Returns the function that asks for a drawing.
 */
export function onNextFrame(draw: () => void, signal: AbortSignal): () => void {
  let pending = 0;
  signal.addEventListener("abort", () => cancelAnimationFrame(pending));
  return () => {
    if (pending || signal.aborted) return;
    pending = requestAnimationFrame(() => {
      pending = 0;
      draw();
    });
  };
}
