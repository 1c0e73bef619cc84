/** Mass of a mode, or its variance, over score calls: each method's curve with its standard error, the exact line in green. */
import { niceTicks, type Brush, type ChartView } from "../core/chart";
import { count, format, short } from "../core/numbers";
import { countingGap, massShown, varianceRange, type Run } from "./bench_run";
import { styleOf } from "./bench_columns";

export type Shown = "mass" | "variance";

export function benchChart(
  run: Run | null,
  weights: ArrayLike<number>,
  total: number,
  points: number,
  shown: Shown,
  labels: Readonly<Record<string, string>>,
): ChartView {
  const two = weights.length === 2;
  const exact = shown === "variance" ? 1 : two ? weights[0] : countingGap(weights, run?.points ?? points);
  const value = (m: number, f: number) =>
    shown === "variance" ? run!.variance[m * run!.positions.length + f] : massShown(run!, weights, m, f);
  const range = shown === "variance" ? (run ? varianceRange(run) : ([0.8, 1.4] as [number, number])) : massRange();

  function massRange(): [number, number] {
    if (two) return [0, 1];
    let most = 0.2;
    for (let m = 0; run && m < run.methods.length; m++)
      for (let f = 0; f < run.positions.length; f++) most = Math.max(most, value(m, f));
    return [0, Math.min(1, 1.05 * most)];
  }

  const names = {
    mass: two ? "mass of the first mode" : "mass in the wrong modes",
    variance: "variance of a mode / exact · dotted: predicted",
  };
  return {
    x: { label: "score calls", range: [0, total], ticks: niceTicks(0, total, 4), format: count },
    y: { label: names[shown], range, ticks: niceTicks(range[0], range[1], 3), format: (v) => short(v) },
    curves: [{ colour: "exact", label: two || shown === "variance" ? "exact" : "of exact points", width: 2 }],
    data: [
      [0, total],
      [exact, exact],
    ],
    under: (brush) => run && paint(brush, run, value, shown, two),
    summary: summaryOf(run, value, names[shown], exact, labels),
  };
}

function paint(brush: Brush, run: Run, value: (m: number, f: number) => number, shown: Shown, two: boolean): void {
  const { canvas, pixel } = brush;
  const kept = run.positions.length;
  const error = (m: number, f: number) =>
    shown === "variance" ? run.varianceError[m * kept + f] : two ? run.massError[(m * kept + f) * run.modes] : 0;
  canvas.lineJoin = "round";
  run.methods.forEach((method, m) => {
    const { colour, dash } = styleOf(method, brush.colors.dark);
    const end = run.outcomes[m]?.exploded ? run.outcomes[m].calls : Infinity;
    let shownFrames = 0;
    while (shownFrames < kept && run.positions[shownFrames] <= end) shownFrames++;
    const path = (of: (f: number) => number, from = 0, to = shownFrames - 1) => {
      const step = to < from ? -1 : 1;
      for (let f = from; step * f <= step * to; f += step)
        canvas.lineTo(brush.x(run.positions[f]), clamp(brush, brush.y(of(f))));
    };
    canvas.beginPath();
    path((f) => value(m, f) + error(m, f));
    path((f) => value(m, f) - error(m, f), shownFrames - 1, 0);
    canvas.globalAlpha = 0.16;
    canvas.fillStyle = colour;
    canvas.fill();
    canvas.globalAlpha = 1;
    canvas.beginPath();
    path((f) => value(m, f));
    canvas.setLineDash(dash.map((d) => d * pixel));
    canvas.lineWidth = 2 * pixel;
    canvas.strokeStyle = colour;
    canvas.stroke();
    if (shown === "variance" && method !== "mala" && method !== "hmc") {
      canvas.beginPath();
      path((f) => run.predicted[m * kept + f]);
      canvas.setLineDash([1.5 * pixel, 3 * pixel]);
      canvas.strokeStyle = brush.colors.exact;
      canvas.stroke();
    }
    canvas.setLineDash([]);
  });
}

/** An explosion leaves the plot, and the canvas's numbers stay finite. */
const clamp = ({ box }: Brush, y: number): number => Math.min(box.bottom + 1e4, Math.max(box.top - 1e4, y));

function summaryOf(
  run: Run | null,
  value: (m: number, f: number) => number,
  name: string,
  exact: number,
  labels: Readonly<Record<string, string>>,
): string {
  if (!run) return `${name} over score calls: nothing was sampled yet; exact is ${format(exact)}.`;
  const last = run.positions.length - 1;
  const ends = run.methods.map((method, m) => {
    const gone = run.outcomes[m]?.exploded;
    return `${labels[method] ?? method} ${gone ? gone : format(value(m, last))}`;
  });
  return `${name} after ${count(run.positions[last])} score calls: ${ends.join(", ")}; exact ${format(exact)}.`;
}
