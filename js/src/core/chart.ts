/**
 * A chart: curves by uPlot, and whatever else a scene paints, in the theme's colours.
 *
 * Two axis lines, no grid, few ticks; the y quantity is named inside the plot and curves carry their names, so that no
 * legend is needed. The clock is an element over the canvas: moving it repaints nothing.
 */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import "./chart.css";
import { short } from "./numbers";
import { dense, placeLabel, type Box } from "./labels";
import { sightOf, whenWanted } from "./sight";
import type { Clock } from "./store";
import { colors, onThemeChange, type ColorName, type Colors } from "./theme";

export type Range = readonly [number, number];

export interface Axis {
  label: string;
  range: Range;
  /** Where the ticks are; uPlot chooses when absent. */
  ticks?: number[];
  format?: (value: number) => string;
}

export interface Curve {
  colour: ColorName;
  /** Written beside the curve. */
  label?: string;
  dash?: number[];
  width?: number;
  /** The curve's own range, drawn over the full height; the y axis does not speak for it. */
  range?: Range;
}

/** What a scene paints with: data to canvas pixels, and the theme's colours. `pixel` is one CSS pixel. */
export interface Brush {
  readonly canvas: CanvasRenderingContext2D;
  readonly colors: Colors;
  readonly pixel: number;
  readonly box: Box;
  x(value: number): number;
  y(value: number): number;
  text(words: string, x: number, y: number, colour: ColorName, align?: CanvasTextAlign): void;
}

export interface ChartView {
  x: Axis;
  y: Axis;
  curves: Curve[];
  /** x, then one list for each curve. */
  data: ArrayLike<number | null>[];
  /** Painted under the curves (bands, bars) and over them (marks). */
  under?: (brush: Brush) => void;
  over?: (brush: Brush) => void;
  /** The picture in one sentence, for those who do not see it. */
  summary: string;
}

export interface Chart {
  readonly root: HTMLElement;
  show(view: ChartView): void;
  /** Paint the same view again: after a change of what `under` and `over` read. */
  repaint(): void;
}

export interface ChartOptions {
  /** Draws a dashed line at the clock's t; a drag over the chart scrubs. The x axis must then be t. */
  clock?: Clock;
  minHeight?: number;
}

const TICK_FONT = 11;

export function createChart(parent: HTMLElement, options: ChartOptions, signal: AbortSignal): Chart {
  const root = parent.appendChild(document.createElement("div"));
  root.className = "difflab-chart";
  root.setAttribute("role", "img");
  if (options.minHeight) root.style.minHeight = `${options.minHeight}px`;
  let palette = colors(root);
  let view: ChartView | undefined;
  let plot: uPlot | undefined;
  let shape = "";
  const places = new Map<number, number>();
  let behind = false; // the plot shows an older view, or is of another size: nobody could see it
  let resized = false;

  const rebuild = () => {
    plot?.destroy();
    plot = undefined;
    behind = resized = false;
    const { width, height } = root.getBoundingClientRect();
    if (!view || width < 40 || height < 40) return;
    palette = colors(root); // a view restored from a file is made before it stands in the page, where no colour is known
    plot = new uPlot(uplotOptions(view, width, height), view.data as uPlot.AlignedData, root);
    if (options.clock) followClock(plot, options.clock, () => view!.x.range);
  };

  const brushOf = (u: uPlot): Brush => {
    const { left, top, width, height } = u.bbox;
    return {
      canvas: u.ctx,
      colors: palette,
      pixel: devicePixelRatio,
      box: { left, top, right: left + width, bottom: top + height },
      x: (value) => u.valToPos(value, "x", true),
      y: (value) => u.valToPos(value, "y", true),
      text(words, x, y, colour, align = "left") {
        u.ctx.font = font(devicePixelRatio);
        u.ctx.textAlign = align;
        u.ctx.textBaseline = "alphabetic";
        u.ctx.fillStyle = palette[colour];
        u.ctx.fillText(words, x, y);
      },
    };
  };
  const font = (scale = 1) => `${TICK_FONT * scale}px ${getComputedStyle(root).fontFamily}`;

  function uplotOptions(first: ChartView, width: number, height: number): uPlot.Options {
    const axis = (which: "x" | "y"): uPlot.Axis => ({
      scale: which,
      side: which === "x" ? 2 : 3,
      size: which === "x" ? 32 : 36,
      gap: 3,
      font: font(),
      stroke: () => palette.mute,
      grid: { show: false },
      ticks: { show: false },
      border: { show: true, stroke: () => palette.line, width: 1 },
      splits: (_u, _i, low, high) => view![which].ticks ?? niceTicks(low, high, which === "x" ? 4 : 3),
      values: (_u, splits) => splits.map(view![which].format ?? ((v) => short(v, 6))),
    });
    const scales: uPlot.Scales = {
      x: { time: false, range: () => [...view!.x.range] as [number, number] },
      y: { range: () => [...view!.y.range] as [number, number] },
    };
    const series: uPlot.Series[] = [{}];
    first.curves.forEach((curve, i) => {
      if (curve.range) scales[`own${i}`] = { range: () => [...view!.curves[i].range!] as [number, number] };
      series.push({
        scale: curve.range ? `own${i}` : "y",
        stroke: () => palette[view!.curves[i].colour],
        width: curve.width ?? 2,
        dash: curve.dash,
        points: { show: false },
        spanGaps: false,
      });
    });
    return {
      width,
      height,
      pxAlign: 0,
      padding: [first.y.label ? 18 : 8, 24, 0, 0], // at the right half of "200,000"
      legend: { show: false },
      cursor: { show: false },
      scales,
      series,
      axes: [axis("x"), axis("y")],
      hooks: {
        drawClear: [(u) => clipped(u, () => view!.under?.(brushOf(u)))],
        draw: [
          (u) => {
            const brush = brushOf(u);
            view!.over?.(brush);
            nameAxes(u, brush, view!);
            nameCurves(u, brush, view!, places);
          },
        ],
      },
    };
  }

  const observer = new ResizeObserver(([entry]) => {
    const { width, height } = entry.contentRect;
    if (width < 40 || height < 40) return;
    if (!plot) rebuild();
    else if (seen() && !behind) plot.setSize({ width, height });
    else behind = resized = true;
  });
  observer.observe(root);
  const seen = sightOf(root, () => behind && update(), signal);
  whenWanted(root, () => behind && update(), signal);
  signal.addEventListener("abort", () => {
    observer.disconnect();
    plot?.destroy();
  });
  onThemeChange(
    root,
    () => {
      palette = colors(root);
      if (!behind) plot?.redraw(false, true);
    },
    signal,
  );
  options.clock?.subscribe(() => plot && moveClock(plot, options.clock!, view!.x.range), signal);

  const update = () => {
    if (!view) return;
    behind = false;
    // uPlot fixes the number of curves, their scales and dashes when it is made; all else is read from `view`
    const needed = JSON.stringify(view.curves.map((c) => [!!c.range, c.dash, c.width]));
    if (plot && needed === shape && !resized) plot.setData(view.data as uPlot.AlignedData);
    else rebuild();
    shape = needed;
    if (plot && options.clock) moveClock(plot, options.clock, view.x.range); // the axis may be another
  };
  return {
    root,
    show(next) {
      view = next;
      root.setAttribute("aria-label", next.summary);
      if (seen()) update();
      else behind = true;
    },
    repaint() {
      if (seen() && !behind) plot?.redraw(false, false);
      else behind = true;
    },
  };
}

function clipped(u: uPlot, paint: () => void): void {
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  u.ctx.clip();
  paint();
  u.ctx.restore();
}

function nameAxes(u: uPlot, brush: Brush, view: ChartView): void {
  const { box, pixel } = brush;
  brush.text(view.y.label, box.left, box.top - 6 * pixel, "mute");
  brush.text(view.x.label, (box.left + box.right) / 2, u.ctx.canvas.height - 4 * pixel, "mute", "center");
}

/** `places` remembers where each name stood. */
function nameCurves(u: uPlot, brush: Brush, view: ChartView, places: Map<number, number>): void {
  if (!view.curves.some((curve) => curve.label)) return;
  const { canvas, box, pixel } = brush;
  const xs = view.data[0];
  const lines = view.curves.map((_, i) =>
    dense(
      Array.from(view.data[i + 1], (value, j) => ({
        x: u.valToPos(xs[j]!, "x", true),
        y: value === null ? NaN : u.valToPos(value, u.series[i + 1].scale!, true),
      })),
      1.5 * pixel,
    ),
  );
  const taken: Box[] = [];
  view.curves.forEach((curve, i) => {
    if (!curve.label) return;
    brush.text("", 0, 0, curve.colour); // sets the font to measure with
    const size = { width: canvas.measureText(curve.label).width, height: TICK_FONT * pixel };
    const place = placeLabel(lines[i], lines, taken, size, { ...box, left: box.left + 4 * pixel }, places.get(i));
    if (!place) return;
    places.set(i, place.choice);
    taken.push(place.box);
    brush.text(curve.label, place.box.left, place.box.bottom - 1.5 * pixel, curve.colour);
  });
}

/** The dashed line and the scrubbing. */
function followClock(plot: uPlot, clock: Clock, range: () => Range): void {
  const line = plot.over.appendChild(document.createElement("i"));
  line.className = "difflab-clock-line";
  plot.over.style.cursor = "ew-resize";
  plot.over.style.touchAction = "pan-y";
  const seek = (event: PointerEvent) => {
    const box = plot.over.getBoundingClientRect();
    const [low, high] = range();
    clock.seek(low + ((event.clientX - box.left) / box.width) * (high - low));
  };
  plot.over.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    plot.over.setPointerCapture(event.pointerId);
    clock.pause();
    seek(event);
  });
  plot.over.addEventListener("pointermove", (event) => {
    if (plot.over.hasPointerCapture(event.pointerId)) seek(event);
  });
  moveClock(plot, clock, range());
}

function moveClock(plot: uPlot, clock: Clock, [low, high]: Range): void {
  const line = plot.over.querySelector<HTMLElement>(".difflab-clock-line");
  if (line) line.style.left = `${((clock.t - low) / (high - low)) * 100}%`;
}

/** Three to six round numbers inside [low, high]. */
export function niceTicks(low: number, high: number, wanted: number): number[] {
  const raw = (high - low) / wanted;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999)!;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9) + 0; i * step <= high * (1 + 1e-9); i++) ticks.push(i * step + 0);
  return ticks;
}
