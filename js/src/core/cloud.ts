/** How scenes draw a batch of samples: points in the plane as a splat, images as a sheet. */
import { DensityPainter, gridOver, marginalDensity, type Grid, type Mixture } from "./density";
import { sheet, SheetPainter, type Sheet } from "./images";
import { centredView, Splat, type View } from "./splat";
import type { Surface } from "./stage";
import type { AlphaSigma } from "./schedule";
import type { Store } from "./store";
import { rgb } from "./theme";

/** The traits that say how samples look: `view_of` in Python. */
export interface LookState {
  kind: "points" | "images";
  image_shape: number[];
  /** Half-width, in data units, of the square that is shown. */
  extent: number;
  range: [number, number];
  /** Read by `readMixture`; null where no mixture is known, or for images. */
  mixture: unknown;
}

/** How samples look, from the traits of `LookState`. */
export interface Look {
  images: boolean;
  shape: [number, number];
  extent: number;
  range: [number, number];
}

export function readLook(store: Store<LookState>): Look {
  const images = store.get("kind") === "images";
  const [h = 1, w = 1] = store.get("image_shape") ?? [];
  const [low = -1, high = 1] = store.get("range") ?? [];
  return { images, shape: [h, w], extent: store.get("extent") ?? 3, range: [low, high] };
}

/** A variance-exploding x_t grows with sigma: the view grows along with sqrt(alpha^2 + sigma^2), which is 1 for VP. */
export function viewScale({ alpha, sigma }: AlphaSigma): number {
  return Math.max(1, Math.hypot(alpha, sigma));
}

/** Opacity of one point among 20,000 on a screen of one device pixel per CSS pixel. */
const INK = 0.42;
/** Up to so many points are dots of about two CSS pixels. */
const FEW = 5000;
const DOT = [
  [-0.5, -0.5],
  [0.5, -0.5],
  [-0.5, 0.5],
  [0.5, 0.5],
] as const;
const DENSITY_STRENGTH = 0.3;
const DENSITY_ROWS = 72;
const SMALLEST_IMAGE = 34; // CSS pixels

export class CloudPainter {
  private readonly splat = new Splat();
  private readonly density = new DensityPainter();
  private readonly sheets = new SheetPainter();
  private layout: { key: string; at: Sheet } | null = null;
  private known: { key: string; density: Float64Array; grid: Grid; mixture: Mixture } | null = null;

  /** The view of points at a noise level, in device pixels. */
  view({ width, height }: Surface, look: Look, level: AlphaSigma): View {
    return centredView(width, height, look.extent * viewScale(level));
  }

  /** Draw points or images a x + b y; `x` and `y` are (n, d) row-major. Returns how many there was room for. */
  samples(
    surface: Surface,
    look: Look,
    view: View,
    [x, y]: readonly [Float32Array, Float32Array],
    [a, b]: readonly [number, number],
    level: AlphaSigma,
    color: { points: string; border: string },
  ): number {
    const { context, width, height, ratio } = surface;
    if (look.images) {
      const [h, w] = look.shape;
      const at = this.sheet(Math.floor(x.length / (h * w)), look, surface);
      const scale = viewScale(level);
      this.sheets.draw(context, x, y, [a / scale, b / scale], look.shape, at, look.range, color.border);
      return at.count;
    }
    this.splat.resize(width, height);
    this.splat.clear();
    const n = x.length / 2;
    if (n > FEW) {
      this.splat.addMixed(x, y, a, b, view);
      // The ink follows the crowd, and a point covers as many CSS pixels on a fine screen as on a coarse one.
      const crowd = Math.min(2, Math.max(0.3, 20000 / n));
      this.splat.draw(context, rgb(color.points), 1 - (1 - INK) ** (ratio * ratio * crowd));
    } else {
      // Few points are drawn as dots: four splats each, a fraction of a pixel apart.
      for (const [dx, dy] of DOT) {
        const shifted = { x0: view.x0 + dx * ratio, y0: view.y0 + dy * ratio, scale: view.scale };
        this.splat.addMixed(x, y, a, b, shifted);
      }
      this.splat.draw(context, rgb(color.points), 1 - (1 - INK) ** (ratio * ratio));
    }
    return n;
  }

  /** The exact marginal density of `mixture` at the level, behind the points. */
  marginal(surface: Surface, mixture: Mixture, view: View, { alpha, sigma }: AlphaSigma, color: string): void {
    const { width, height, context } = surface;
    const key = [width, height, view.scale, alpha, sigma].join();
    if (this.known?.key !== key || this.known.mixture !== mixture) {
      const grid = gridOver(width, height, view, DENSITY_ROWS);
      this.known = { key, grid, mixture, density: marginalDensity(mixture, alpha, sigma, grid) };
    }
    this.density.draw(context, this.known.density, this.known.grid, view, rgb(color), DENSITY_STRENGTH);
  }

  private sheet(n: number, look: Look, { width, height, ratio }: Surface): Sheet {
    const key = [n, ...look.shape, width, height, ratio].join();
    if (this.layout?.key !== key) {
      this.layout = { key, at: sheet(n, look.shape, width, height, SMALLEST_IMAGE * ratio) };
    }
    return this.layout.at;
  }
}

/** Lines of a few samples, each a list of (x, y) in data units, with a dot at the end; `fading` ones vanish backwards. */
export function drawPaths(
  { context, ratio }: Surface,
  view: View,
  paths: readonly Float64Array[],
  color: string,
  fading = false,
): void {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = (fading ? 1.2 : 1.5) * ratio;
  context.lineJoin = context.lineCap = "round";
  const x = (path: Float64Array, i: number) => view.x0 + view.scale * path[2 * i];
  const y = (path: Float64Array, i: number) => view.y0 - view.scale * path[2 * i + 1];
  for (const path of paths) {
    const corners = path.length / 2;
    if (fading) {
      context.lineCap = "butt"; // round ends would show as beads where two segments overlap
      for (let i = 1; i < corners; i++) {
        context.globalAlpha = (0.7 * i) / corners;
        context.beginPath();
        context.moveTo(x(path, i - 1), y(path, i - 1));
        context.lineTo(x(path, i), y(path, i));
        context.stroke();
      }
      context.globalAlpha = 1;
    } else {
      context.beginPath();
      for (let i = 0; i < corners; i++) context.lineTo(x(path, i), y(path, i));
      context.stroke();
    }
    if (corners === 0) continue;
    context.beginPath();
    context.arc(x(path, corners - 1), y(path, corners - 1), 2.2 * ratio, 0, 2 * Math.PI);
    context.fill();
  }
}
