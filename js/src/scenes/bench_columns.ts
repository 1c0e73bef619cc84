/** The columns of LangevinBench: one method each, its points over the exact density of its level, its numbers under them. */
import { CloudPainter } from "../core/cloud";
import type { Mixture } from "../core/density";
import { count, format, short, withError } from "../core/numbers";
import { element } from "../core/panel";
import { categories } from "../core/palette";
import { centredView, type View } from "../core/splat";
import { createStage, type Stage, type Surface } from "../core/stage";
import { colors, type Colors } from "../core/theme";
import { between, countingGap, massShown, pointsOf, roundLength, spreadOf, viewExtent, type Run } from "./bench_run";

/** All that the columns show. */
export interface Scenery {
  run: Run | null;
  mixture: Mixture | null;
  /** The methods that are on screen: those of the run, or those that will be sampled. */
  methods: readonly string[];
  labels: Readonly<Record<string, string>>;
  start: Float32Array | null;
  /** Half-width of the modes. */
  extent: number;
  sigmaMin: number;
  sigmaMax: number;
}

export interface Column {
  root: HTMLElement;
  stage: Stage;
}

/** Every method has its colour and its dash, whichever stand beside it: of twelve categories those farthest from green. */
const HUES: Readonly<Record<string, number>> = { langevin: 0, mala: 1, hmc: 10, annealed: 2, pc: 11 };
const DASHES: Readonly<Record<string, readonly number[]>> = { mala: [6, 3], hmc: [2, 3], pc: [8, 3, 2, 3] };

export function styleOf(method: string, dark: boolean): { colour: string; dash: readonly number[] } {
  return { colour: categories(12, dark)[HUES[method] ?? 5], dash: DASHES[method] ?? [] };
}

interface Row {
  root: HTMLElement;
  /** `rest` is the end of the label that a narrow column leaves out. */
  set(label: string, value: string, exact: string, rest?: string): void;
}

export function createColumn(
  parent: HTMLElement,
  index: number,
  scenery: () => Scenery,
  call: () => number,
  signal: AbortSignal,
): Column & { write(): void } {
  const root = element("div", "difflab-bench-column");
  const heading = element("div", "difflab-bench-heading");
  const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  mark.setAttribute("class", "difflab-bench-mark");
  mark.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  for (const [name, value] of Object.entries({ x1: 0, x2: 22, y1: 4, y2: 4, "stroke-width": 2.5 }))
    line.setAttribute(name, String(value));
  mark.append(line);
  const name = element("b", "");
  heading.append(mark, name);
  root.append(heading);
  const painter = new CloudPainter();
  const stage = createStage(root, (surface) => draw(surface, painter, scenery(), index, call(), root), signal);
  const word = element("p", "difflab-bench-word");
  stage.root.append(word);
  const rows = element("div", "difflab-bench-rows");
  const [mass, variance, spent] = [numberRow(rows), numberRow(rows), numberRow(rows)];
  variance.root.classList.add("difflab-bench-more");
  spent.root.classList.add("difflab-bench-more", "difflab-bench-spent");
  variance.root.title = "variance of a mode over the exact one; in green what the recursion predicts";
  root.append(rows);
  parent.append(root);

  const write = () => {
    const { run, mixture, methods, labels, start, sigmaMin, sigmaMax } = scenery();
    const method = methods[index];
    root.hidden = method === undefined;
    if (method === undefined) return;
    const { colour, dash } = styleOf(method, colors(root).dark);
    line.setAttribute("stroke", colour);
    line.setAttribute("stroke-dasharray", dash.join(" "));
    name.textContent = labels[method] ?? method;
    const weights = mixture?.weights ?? [];
    const two = weights.length === 2;
    const meaning = two ? "mass of the first mode" : "mass in the wrong modes";
    const label = two ? "mass" : "misplaced";
    const truth = two ? "exact in green" : "in green that of as many exact points, on average";
    mass.root.title = `${meaning}; ${truth}`;
    const points = run?.points ?? (start?.length ?? 0) / 2;
    const exact = two ? short(weights[0]) : format(countingGap(weights, points), 2);
    if (!run) {
      const first = method === "annealed" || method === "pc" ? sigmaMax : sigmaMin;
      mass.set(label, "", exact);
      variance.set("var", "", "", "iance");
      spent.set(`σ = ${short(first)}`, "0 calls", "");
      word.hidden = true;
      stage.describe(`${name.textContent}: the points of the start; nothing was sampled yet.`);
      return;
    }
    const { before, after, u } = between(run.positions, call());
    const f = u < 0.5 ? before : after;
    const at = index * run.positions.length + f;
    const outcome = run.outcomes[index];
    const gone = !!outcome?.exploded && run.positions[f] >= outcome.calls;
    word.hidden = !gone;
    if (gone) word.textContent = outcome.exploded;
    const value = massShown(run, weights, index, f);
    const error = two ? run.massError[at * run.modes] : null;
    mass.set(label, gone ? "" : withError(value, error), exact);
    const far = run.variance[at] > 1e3;
    const predicted =
      method === "mala" || method === "hmc" ? "1" : run.predicted[at] > 1e3 ? "large" : format(run.predicted[at]);
    const measured = far ? "large" : withError(run.variance[at], run.varianceError[at]);
    variance.set("var", gone ? "" : measured, gone ? "" : predicted, "iance");
    const level = run.level[at] === 0 ? "denoised" : `σ = ${format(run.level[at], 2)}`;
    const accepts = outcome?.acceptance == null ? "" : `accepts ${format(outcome.acceptance, 2)}`;
    spent.root.title = accepts && `accepted on average: ${withError(outcome.acceptance, outcome.acceptance_error)}`;
    spent.set(accepts || level, `${count(Math.min(outcome?.calls ?? 0, run.positions[f]))} calls`, "");
    stage.describe(
      `${name.textContent} after ${count(run.positions[f])} score calls: ${gone ? outcome.exploded : `${meaning} ${withError(value, error)}, exact ${exact}`}.`,
    );
  };
  return { root, stage, write };
}

function numberRow(parent: HTMLElement): Row {
  const root = element("div", "difflab-bench-row");
  const [label, value, exact] = [element("span", ""), element("b", ""), element("b", "difflab-exact")];
  root.append(label, value, exact);
  parent.append(root);
  return {
    root,
    set(words, number, truth, rest = "") {
      const end = element("span", "difflab-bench-long");
      end.textContent = rest;
      label.replaceChildren(words, end);
      value.textContent = number;
      exact.textContent = truth;
    },
  };
}

function draw(
  surface: Surface,
  painter: CloudPainter,
  scenery: Scenery,
  index: number,
  call: number,
  el: HTMLElement,
): void {
  const { run, mixture, methods, start, extent, sigmaMin, sigmaMax } = scenery;
  const method = methods[index];
  if (method === undefined) return;
  const color = colors(el);
  const most = 3 * sigmaMax;
  const kept = run?.positions.length ?? 0;
  const at = run ? between(run.positions, run.frames ? call : Infinity) : { before: 0, after: 0, u: 0 };
  const mix = (table: ArrayLike<number>) => {
    const [a, b] = [table[index * kept + at.before], table[index * kept + at.after]].map((v) => Math.max(v, 1e-6));
    return a ** (1 - at.u) * b ** at.u; // sizes and levels change by factors
  };
  const half = run ? viewExtent(mix(run.spread), extent, most) : viewExtent(start ? spreadOf(start) : 0, extent, most);
  const sigma = run ? mix(run.level) : method === "annealed" || method === "pc" ? sigmaMax : sigmaMin;
  const view = centredView(surface.width, surface.height, half);
  const ladder = { alpha: 1, sigma };
  if (mixture) painter.marginal(surface, mixture, view, ladder, color.exact);
  const points = run ? pointsOf(run, index, at.before) : start;
  if (points) {
    const after = run?.frames ? pointsOf(run, index, at.after) : points;
    const look = {
      images: false,
      shape: [1, 1] as [number, number],
      channels: 1,
      extent: half,
      range: [-1, 1] as const,
    };
    const { colour } = styleOf(method, color.dark);
    const drawn = { points: run ? colour : color.noise, border: color.line };
    painter.samples(surface, { ...look, range: [-1, 1] }, view, [points, after], [1 - at.u, at.u], ladder, drawn);
  }
  if (mixture) nameModes(surface, view, mixture, color);
  scaleBar(surface, view, color);
}

/** The exact mass of each mode under it, where there is room. */
function nameModes({ context, width, height, ratio }: Surface, view: View, mixture: Mixture, color: Colors): void {
  const { weights, means, covariances } = mixture;
  const places = Array.from(weights, (_, k) => [
    view.x0 + view.scale * means[2 * k],
    view.y0 - view.scale * (means[2 * k + 1] - 3 * Math.sqrt(covariances[4 * k + 3])) + 12 * ratio,
  ]);
  const near = places.some(([x, y], i) =>
    places.some(([p, q], j) => j < i && Math.hypot(x - p, y - q) < 34 * ratio && Math.abs(y - q) < 14 * ratio),
  );
  if (weights.length > 12 || near) return;
  context.font = `${11 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.fillStyle = color.exact;
  places.forEach(([x, y], k) => {
    if (!(x > 0 && x < width && y < height)) return;
    const words = short(weights[k]);
    const side = context.measureText(words).width / 2 + 2 * ratio; // whole also where its mode stands at the rim
    context.fillText(words, Math.min(Math.max(x, side), width - side), y);
  });
}

/** How long a round number is: the pictures are not all of one scale. */
function scaleBar({ context, width, height, ratio }: Surface, view: View, color: Colors): void {
  const length = roundLength(width / view.scale / 3);
  const [left, y] = [6 * ratio, height - 6 * ratio];
  context.strokeStyle = context.fillStyle = color.mute;
  context.lineWidth = ratio;
  context.beginPath();
  context.moveTo(left, y - 3 * ratio);
  context.lineTo(left, y);
  context.lineTo(left + length * view.scale, y);
  context.lineTo(left + length * view.scale, y - 3 * ratio);
  context.stroke();
  context.font = `${10.5 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "left";
  context.fillText(short(length), left + 3 * ratio, y - 4 * ratio);
}
