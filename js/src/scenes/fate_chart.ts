/** How many samples have their fate decided, over t: one curve a column, and the time from which on half of them have. */
import { createChart, type Brush, type Curve } from "../core/chart";
import type { Fates } from "../core/fate";
import { element } from "../core/panel";
import type { Clock } from "../core/store";
import { kindOf, type Column } from "./reverse_runs";

/** A column, how its curve is called, and its fates. */
export interface Fated {
  column: Column;
  name: string;
  fates: Fates;
}

const POINTS = 201;
/** Columns of one kind differ by their dashes. */
const DASHES = [undefined, [6, 4], [2, 3], [8, 3, 2, 3]];

export function fateChart(parent: HTMLElement, clock: Clock, signal: AbortSignal) {
  const root = element("div", "difflab-fate");
  const said = element("p", "difflab-quiet difflab-fate-said");
  said.setAttribute("role", "status");
  parent.append(root);
  root.append(said);
  const chart = createChart(root, { clock, minHeight: 96 }, signal);
  return {
    root,
    show(fated: readonly Fated[]): void {
      root.hidden = fated.length === 0;
      if (root.hidden) return;
      const t = Array.from({ length: POINTS }, (_, i) => i / (POINTS - 1));
      const seen = { exact: 0, learned: 0 };
      const curves = fated.map(({ column, name }): Curve => {
        const kind = kindOf(column);
        return { colour: kind, dash: DASHES[seen[kind]++], label: fated.length > 1 ? name : undefined };
      });
      const words = sentence(fated);
      if (said.textContent !== words) said.textContent = words;
      chart.show({
        x: { label: "t", range: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1], format: (v) => ({ 0: "0 data", 1: "1 noise" })[v] ?? String(v) }, // prettier-ignore
        y: { label: "share of points: posterior of the final mode > 0.95", range: [0, 1.04], ticks: [0, 0.5, 1] },
        curves,
        data: [
          t,
          ...fated.map(({ column, fates }) => t.map((at) => shareAt(column.trajectory!.times, fates.shares, at))),
        ],
        over: (brush) => marks(brush, fated),
        summary: `Share of points whose fate is decided, over t. ${words}`,
      });
    },
  };
}

/** "Half of the points are decided at t = 0.62 (exact, DDIM)." */
function sentence(fated: readonly Fated[]): string {
  const parts = fated.map(({ name, fates }) => {
    const where = fates.half === null ? "never" : `at t = ${fates.half.toFixed(2)}`;
    return fated.length > 1 ? `${where} (${name})` : where;
  });
  return `Half of the points are decided ${parts.join(", ")}.`;
}

function marks({ canvas, colors, pixel, box, x, y }: Brush, fated: readonly Fated[]): void {
  canvas.save();
  canvas.lineWidth = pixel;
  canvas.strokeStyle = colors.line;
  canvas.beginPath();
  canvas.moveTo(box.left, y(0.5));
  canvas.lineTo(box.right, y(0.5));
  canvas.stroke();
  for (const { column, fates } of fated) {
    if (fates.half === null) continue;
    canvas.fillStyle = colors[kindOf(column)];
    canvas.beginPath();
    canvas.arc(x(fates.half), y(0.5), 4 * pixel, 0, 2 * Math.PI);
    canvas.fill();
  }
  canvas.restore();
}

/** The share at t, linear between the kept frames. */
function shareAt(times: Float32Array, shares: Float64Array, t: number): number {
  const last = times.length - 1;
  if (t >= times[0]) return shares[0];
  for (let i = 1; i <= last; i++)
    if (times[i] <= t) {
      const u = (times[i - 1] - t) / (times[i - 1] - times[i]);
      return (1 - u) * shares[i - 1] + u * shares[i];
    }
  return shares[last];
}
