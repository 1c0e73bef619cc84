/** Whether an element can be seen: what cannot is not drawn, and is as soon as it can be again. */
export function sightOf(root: Element, onSeen: () => void, signal: AbortSignal): () => boolean {
  let inside = true; // until the browser says otherwise
  const seen = () => inside && !document.hidden;
  const tell = () => {
    if (seen()) onSeen();
  };
  const observer = new IntersectionObserver((entries) => {
    inside = entries[entries.length - 1].isIntersecting;
    tell();
  });
  observer.observe(root);
  document.addEventListener("visibilitychange", tell, { signal });
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  return seen;
}

const WANTED = "difflab-wanted";

/** Call `draw` when somebody asks for the picture of what cannot be seen just now. */
export const whenWanted = (root: Element, draw: () => void, signal: AbortSignal): void => {
  root.addEventListener(WANTED, draw, { signal });
};

/** Bring everything in `panel` up to date, in sight or not; charts are so after this task. */
export function wantAll(panel: Element): void {
  for (const root of panel.querySelectorAll(".difflab-stage, .difflab-chart")) root.dispatchEvent(new Event(WANTED));
}
