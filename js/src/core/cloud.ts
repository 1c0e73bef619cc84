/** How scenes draw a batch of samples: points in the plane as a splat, images as a sheet. */
import { Backdrop } from "./backdrop";
import { DensityPainter, gridOver, marginalDensity, type Grid, type Mixture } from "./density";
import { sheet, SheetPainter, type Sheet } from "./images";
import { centredView, Splat, type Spread, type View } from "./splat";
import type { Surface } from "./stage";
import type { AlphaSigma } from "./schedule";
import type { Store } from "./store";
import { rgb } from "./theme";
import { TintedSplat } from "./tinted";

/** The traits that say how samples look: `view_of` in Python. */
export interface LookState {
  kind: "points" | "images";
  /** [height, width] of grey images, [height, width, 3] of coloured ones, [] for points. */
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
  /** 1 for grey images, 3 for red, green, blue. */
  channels: number;
  extent: number;
  range: [number, number];
}

export function readLook(store: Store<LookState>): Look {
  const images = store.get("kind") === "images";
  const [h = 1, w = 1, channels = 1] = store.get("image_shape") ?? [];
  const [low = -1, high = 1] = store.get("range") ?? [];
  return { images, shape: [h, w], channels, extent: store.get("extent") ?? 3, range: [low, high] };
}

/** Numbers in one sample: 2 for a point. */
export function dimOf({ images, shape, channels }: Look): number {
  return images ? shape[0] * shape[1] * channels : 2;
}

/** A variance-exploding x_t grows with sigma: the view grows along with sqrt(alpha^2 + sigma^2), which is 1 for VP. */
export function viewScale({ alpha, sigma }: AlphaSigma): number {
  return Math.max(1, Math.hypot(alpha, sigma));
}

/** How a batch is drawn. */
export interface Drawn {
  /** CSS colour of points of one colour. */
  points: string;
  /** CSS colour of the thin frame around an image. */
  border: string;
  /** The exact density of this mixture stands behind, in the colour of the points; then what was drawn before goes. */
  behind?: Mixture | null;
  /** Colour by category: `palette[categories[i]]` for point i, and for the frame of image i. */
  tint?: { categories: ArrayLike<number>; palette: readonly string[] } | null;
  /** CSS colour of the density behind points of several colours. */
  neutral?: string;
  /** How dark a point is, relative to the usual. */
  ink?: number;
}

/** Opacity of one point among 20,000 on a screen of one device pixel per CSS pixel. */
const INK = 0.42;
/** Hues are told apart only where there is enough of them. */
const TINT_INK = 1.6;
/** Up to so many points are dots of about two CSS pixels. */
const FEW = 5000;
/** From here on a point is one of a crowd: it is spread over fewer pixels, and nobody sees by how many. */
const MANY = 50_000;
const CROWD = 100_000;
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
  private readonly tinted = new TintedSplat();
  private readonly density = new DensityPainter();
  private readonly backdrop = new Backdrop();
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
    drawn: Drawn,
  ): number {
    if (look.images) {
      const at = this.sheetOf(Math.floor(x.length / dimOf(look)), look, surface);
      const scale = viewScale(level);
      this.sheets.draw(surface.context, x, y, [a / scale, b / scale], look, at, drawn);
      return at.count;
    }
    const n = x.length / 2;
    const { context, width, height, ratio } = surface;
    // The ink follows the crowd, and a point covers as many CSS pixels on a fine screen as on a coarse one.
    const crowd = n > FEW ? Math.min(2, Math.max(0.3, 20000 / n)) : 1;
    const ink = 1 - (1 - INK) ** (ratio * ratio * crowd * (drawn.ink ?? 1));
    const { behind, tint } = drawn;
    if (tint) {
      if (behind) this.marginal(surface, behind, view, level, drawn.neutral ?? drawn.points);
      const palette = tint.palette.map(rgb);
      this.tinted.resize(width, height);
      this.tinted.clear();
      for (const { at, spread } of layersOf(n, view, ratio))
        this.tinted.addMixed([x, y], [a, b], at, tint.categories, palette, spread);
      this.tinted.draw(context, 1 - (1 - ink) ** TINT_INK);
      return n;
    }
    this.splat.resize(width, height);
    if (behind) {
      const { density, grid } = this.densityOf(surface, behind, view, level);
      this.backdrop.lay(this.splat.mass, width, height, density, grid, view, DENSITY_STRENGTH, ink);
    } else {
      this.splat.clear();
    }
    for (const { at, spread } of layersOf(n, view, ratio)) this.splat.addMixed(x, y, a, b, at, spread);
    this.splat.draw(context, rgb(drawn.points), ink, !behind);
    return n;
  }

  /** The exact marginal density of `mixture` at the level, behind the points. */
  marginal(surface: Surface, mixture: Mixture, view: View, { alpha, sigma }: AlphaSigma, color: string): void {
    const { density, grid } = this.densityOf(surface, mixture, view, { alpha, sigma });
    this.density.draw(surface.context, density, grid, view, rgb(color), DENSITY_STRENGTH);
  }

  private densityOf({ width, height }: Surface, mixture: Mixture, view: View, { alpha, sigma }: AlphaSigma) {
    const key = [width, height, view.scale, alpha, sigma].join();
    if (this.known?.key !== key || this.known.mixture !== mixture) {
      const grid = gridOver(width, height, view, DENSITY_ROWS);
      const before = this.known?.density;
      const room = before?.length === grid.columns * grid.rows ? before : undefined;
      this.known = { key, grid, mixture, density: marginalDensity(mixture, alpha, sigma, grid, room) };
    }
    return this.known;
  }

  private sheetOf(n: number, look: Look, { width, height, ratio }: Surface): Sheet {
    const key = [n, ...look.shape, width, height, ratio].join();
    if (this.layout?.key !== key) {
      this.layout = { key, at: sheet(n, look.shape, width, height, SMALLEST_IMAGE * ratio) };
    }
    return this.layout.at;
  }
}

/** How often and where n points are added: few ones are dots, four splats each, a fraction of a pixel apart. */
function layersOf(n: number, view: View, ratio: number): { at: View; spread: Spread }[] {
  if (n > FEW) return [{ at: view, spread: n < MANY ? "smooth" : n < CROWD ? "linear" : "nearest" }];
  return DOT.map(([dx, dy]) => ({
    at: { x0: view.x0 + dx * ratio, y0: view.y0 + dy * ratio, scale: view.scale },
    spread: "smooth",
  }));
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
