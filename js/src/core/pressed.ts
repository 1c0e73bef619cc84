/**
 * The element where a key was pressed, for listeners on the window: also inside a shadow root, which names its host as the
 * target. marimo puts every scene into one.
 */
export const pressedIn = (event: Event): HTMLElement => (event.composedPath()[0] ?? event.target) as HTMLElement;
