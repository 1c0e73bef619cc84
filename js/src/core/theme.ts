/** Colours by meaning, read from the CSS variables of style.css, which follow JupyterLab's theme. */

const NAMES = [
  "ink", "mute", "line", "panel", "soft", "brand", "exact", "learned", "data", "noise", "gap", "alpha", "sigma",
  "log-snr", "beta", "path",
] as const; // prettier-ignore

export type ColorName = (typeof NAMES)[number];
/** CSS colours by meaning; `dark` is true on a dark theme. `exact` green, `learned` vermilion, `data` blue, ... */
export type Colors = Record<ColorName, string> & { dark: boolean };

/** `el` must stand in the page, inside an element of class `difflab`. */
export function colors(el: Element): Colors {
  const style = getComputedStyle(el);
  const entries = NAMES.map((name) => [name, style.getPropertyValue(`--difflab-${name}`).trim() || "#888"]);
  const found = Object.fromEntries(entries) as Record<ColorName, string>;
  return { ...found, dark: luminance(rgb(found.panel)) < 0.4 };
}

/**
 * Say on `root`, as `data-theme`, whether the page around it is dark, now and after every change.
 *
 * JupyterLab says so on <body>, VS Code, marimo and Colab by a class or an attribute of <body> or <html>; elsewhere the
 * first background behind `root` that is not transparent tells.
 */
export function followTheme(root: HTMLElement, signal: AbortSignal): void {
  const apply = () => (root.dataset.theme = isDark(root) ? "dark" : "light");
  onThemeChange(root, apply, signal);
  apply();
}

function isDark(root: HTMLElement): boolean {
  const { body, documentElement: html } = root.ownerDocument;
  if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
  for (const el of [body, html]) {
    if (el.matches('.vscode-dark, .vscode-high-contrast:not(.vscode-high-contrast-light), .dark, [theme="dark"]'))
      return true;
    if (el.matches('.vscode-light, .light, [theme="light"]')) return false;
  }
  for (let el: Element | null = root; el; el = el.parentElement ?? hostOf(el)) {
    const background = getComputedStyle(el).backgroundColor;
    if (!/^rgba\(.*, 0\)$|^transparent$/.test(background)) return luminance(rgb(background)) < 0.4;
  }
  return false;
}

/** The element that holds the shadow root in which `el` stands. */
function hostOf(el: Element): Element | null {
  const root = el.getRootNode();
  return root instanceof ShadowRoot ? root.host : null;
}

/** Call `f` in the frame after the theme changed, until `signal` aborts. */
export function onThemeChange(el: Element, f: () => void, signal: AbortSignal): void {
  const document = el.ownerDocument;
  let frame = 0;
  const later = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(f);
  };
  const observer = new MutationObserver(later);
  // JupyterLab writes the theme on <body>; VS Code and others use classes there or on <html>.
  const watched = {
    attributes: true,
    attributeFilter: ["class", "theme", "data-jp-theme-light", "data-jp-theme-name"],
  };
  observer.observe(document.body, watched);
  observer.observe(document.documentElement, watched);
  signal.addEventListener(
    "abort",
    () => {
      observer.disconnect();
      cancelAnimationFrame(frame);
    },
    { once: true },
  );
}

const parsed = new Map<string, [number, number, number]>();

/** Red, green, blue (0..255) of any CSS colour, alpha ignored; the browser itself does the parsing. */
export function rgb(css: string): [number, number, number] {
  const known = parsed.get(css);
  if (known) return known;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = css;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b] = context.getImageData(0, 0, 1, 1).data as unknown as [number, number, number];
  parsed.set(css, [r, g, b]);
  return [r, g, b];
}

function luminance([r, g, b]: [number, number, number]): number {
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

export function reducedMotion(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
