/** The sheet that is drawn on: its frame and ticks, the points or the mixture on it, and where the hand is. */
import { CloudPainter, type Look } from "../core/cloud";
import type { Mixture } from "../core/density";
import { DataPlace } from "../core/drawing";
import { normals, uniforms } from "../core/random";
import { centredView, type View } from "../core/splat";
import type { Surface } from "../core/stage";
import type { Colors } from "../core/theme";
import { covariance, handles, mixtureOf, OUTLINE, SNAP, type Ellipse } from "./drawn_ellipses";
import { largest, SHEET, type Points } from "./drawn_points";
import { classColors, drawMark, PointLayer } from "./point_marks";
import { ARM, type EllipsesHand } from "./ellipses_hand";
import type { PointsHand } from "./points_hand";
import type { Drawing } from "./drawing_desk";

const LOOK: Look = { images: false, shape: [1, 1], channels: 1, extent: SHEET, range: [-1, 1] };
const CLEAN = { alpha: 1, sigma: 0 };
const EMPTY = {
  points: ["Draw points here,", "with a mouse, a pen or a finger"],
  mixture: ["Press Add,", "or double-click, for a Gaussian"],
};

/** How far, in data units, the picture must reach for everything on it; the sheet itself for what was drawn on it. */
export function extentOf({ mode, points, ellipses }: Drawing): number {
  const reach =
    mode === "points"
      ? largest(points)
      : Math.max(0, ...ellipses.map((e) => Math.max(...e.mean.map(Math.abs)) + OUTLINE * Math.max(...e.axes)));
  return reach <= 1.3 * SHEET ? SHEET : 1.05 * reach;
}

export class DrawingSheet {
  private readonly layer = new PointLayer();
  private readonly cloud = new CloudPainter();
  private mixture: { of: readonly Ellipse[]; as: Mixture | null } = { of: [], as: null };
  private preview: { key: string; of: readonly Ellipse[]; xy: Float32Array } = {
    key: "",
    of: [],
    xy: new Float32Array(0),
  };
  /** Of the last picture: what pointers are measured by. */
  place = new DataPlace({ x0: 0, y0: 0, scale: 1 }, 1);
  extent = SHEET;

  view(width: number, height: number, ratio: number): View {
    // a little room for the ticks, and for the frame
    const view = centredView(width, height, 1.07 * this.extent);
    this.place = new DataPlace(view, ratio);
    return view;
  }

  frame({ context, ratio }: Surface, view: View, color: Colors, snap: boolean): void {
    const side = SHEET * view.scale;
    const at = (v: number) => [view.x0 + v * view.scale, view.y0 - v * view.scale] as const;
    context.lineWidth = ratio;
    context.strokeStyle = color.line;
    context.fillStyle = color.soft;
    context.globalAlpha = 0.35;
    context.fillRect(view.x0 - side, view.y0 - side, 2 * side, 2 * side);
    context.globalAlpha = 1;
    context.strokeRect(view.x0 - side, view.y0 - side, 2 * side, 2 * side);
    const unit = snap ? SNAP : 1;
    context.globalAlpha = snap ? 0.6 : 0.8;
    context.beginPath();
    for (let i = Math.ceil(-SHEET / unit); i <= SHEET / unit; i++) {
      const [x, y] = at(i * unit);
      context.moveTo(x, view.y0 - side);
      context.lineTo(x, view.y0 + side);
      context.moveTo(view.x0 - side, y);
      context.lineTo(view.x0 + side, y);
    }
    context.stroke();
    context.globalAlpha = 1;
    context.font = `${10 * ratio}px system-ui, sans-serif`;
    context.fillStyle = color.mute;
    context.textBaseline = "bottom";
    for (const tick of [-2, -1, 0, 1, 2]) {
      const [x, y] = at(tick);
      const words = String(tick).replace("-", "−");
      context.textAlign = "left";
      context.fillText(words, x + 2 * ratio, view.y0 + side - ratio);
      if (tick !== -2) context.fillText(words, view.x0 - side + 2 * ratio, y - ratio);
    }
  }

  /** Words on the empty sheet. */
  invite({ context, ratio }: Surface, view: View, color: Colors, mode: Drawing["mode"]): void {
    context.fillStyle = color.mute;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${13 * ratio}px system-ui, sans-serif`;
    const middle = view.y0 - 0.5 * view.scale; // between two lines of the grid
    EMPTY[mode].forEach((words, i) => context.fillText(words, view.x0, middle + (2 * i - 1) * 9 * ratio));
  }

  points(surface: Surface, view: View, color: Colors, points: Points): void {
    this.layer.draw(surface.context, points, view, surface.ratio, color.dark);
  }

  /** Where the pen would draw: the brush under the hand, and the cursor of the arrow keys. */
  pen(
    { context, ratio }: Surface,
    view: View,
    color: Colors,
    hand: PointsHand,
    { brush, tool, kind }: { brush: number; tool: string; kind: number },
  ): void {
    const { cursor, hovered } = hand;
    const spot = cursor.used ? ([cursor.x, cursor.y] as const) : hovered;
    if (!spot) return;
    const [x, y] = [view.x0 + view.scale * spot[0], view.y0 - view.scale * spot[1]];
    context.lineWidth = 1.2 * ratio;
    context.strokeStyle = cursor.down ? color.ink : color.mute;
    context.fillStyle = classColors(color.dark)[kind];
    context.beginPath();
    if (tool === "pen") context.arc(x, y, 7 * ratio, 0, 2 * Math.PI);
    else context.arc(x, y, (brush / 2) * view.scale, 0, 2 * Math.PI);
    context.stroke();
    if (cursor.used) {
      context.beginPath();
      for (const [u, v] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ]) {
        // prettier-ignore
        context.moveTo(x + 4 * ratio * u, y + 4 * ratio * v);
        context.lineTo(x + 12 * ratio * u, y + 12 * ratio * v);
      }
      context.stroke();
    }
    if (tool !== "erase") drawMark(context, kind, x, y, 2.4 * ratio);
  }

  /** The exact density, samples on top, and the ellipses. */
  mixtureOn(surface: Surface, view: View, color: Colors, drawing: Drawing, seed: number, samples: number): void {
    const { ellipses } = drawing;
    if (this.mixture.of !== ellipses) {
      this.mixture = { of: ellipses, as: mixtureOf(ellipses) };
    }
    if (!this.mixture.as) return;
    this.cloud.marginal(surface, this.mixture.as, view, CLEAN, color.data);
    if (samples > 0) {
      const xy = this.sampled(ellipses, seed, samples);
      const drawn = { points: color.data, border: color.line };
      this.cloud.samples(surface, LOOK, view, [xy, xy], [1, 0], CLEAN, drawn);
    }
  }

  ellipses(surface: Surface, view: View, color: Colors, ellipses: readonly Ellipse[], hand: EllipsesHand): void {
    const { context, ratio } = surface;
    ellipses.forEach((e, k) => {
      const chosen = k === hand.selected;
      context.strokeStyle = chosen ? color.ink : color.mute;
      context.lineWidth = (chosen || hand.hovered?.index === k ? 2 : 1) * ratio;
      context.beginPath();
      const [x, y] = [view.x0 + view.scale * e.mean[0], view.y0 - view.scale * e.mean[1]];
      const [a, b] = e.axes.map((axis) => OUTLINE * axis * view.scale);
      context.ellipse(x, y, a, b, -e.angle, 0, 2 * Math.PI);
      context.stroke();
    });
    const chosen = ellipses[hand.selected];
    if (!chosen) return;
    const arm = (ARM * ratio) / view.scale;
    const to = (x: number, y: number) => [view.x0 + view.scale * x, view.y0 - view.scale * y] as const;
    const [turn, first] = handles(chosen, arm);
    context.lineWidth = 1.2 * ratio;
    context.strokeStyle = color.ink;
    context.beginPath();
    context.moveTo(...to(first.x, first.y));
    context.lineTo(...to(turn.x, turn.y));
    context.stroke();
    for (const { part, x, y } of handles(chosen, arm)) {
      const held = hand.hovered?.index === hand.selected && hand.hovered.part === part;
      const [px, py] = to(x, y);
      const r = (held ? 5.5 : 4.5) * ratio;
      context.fillStyle = color.panel;
      context.lineWidth = 1.6 * ratio;
      context.beginPath();
      if (part === "turn") context.arc(px, py, r, 0, 2 * Math.PI);
      else context.rect(px - r, py - r, 2 * r, 2 * r);
      context.fill();
      context.stroke();
    }
  }

  /** Samples of the mixture. Their noise belongs to the seed, so that they move with the ellipses and do not flicker. */
  private sampled(ellipses: readonly Ellipse[], seed: number, n: number): Float32Array {
    const key = `${seed} ${n}`;
    if (this.preview.key === key && this.preview.of === ellipses) return this.preview.xy;
    const uniform = uniforms(seed);
    const normal = normals(uniform);
    const total = ellipses.reduce((sum, e) => sum + e.weight, 0);
    const roots = ellipses.map((e) => root(covariance(e)));
    const xy = new Float32Array(2 * n);
    for (let i = 0; i < n; i++) {
      let left = uniform() * total;
      let k = 0;
      while (k < ellipses.length - 1 && left >= ellipses[k].weight) left -= ellipses[k++].weight;
      const [u, v] = [normal(), normal()];
      const [l11, l21, l22] = roots[k];
      xy[2 * i] = ellipses[k].mean[0] + l11 * u;
      xy[2 * i + 1] = ellipses[k].mean[1] + l21 * u + l22 * v;
    }
    this.preview = { key, of: ellipses, xy };
    return xy;
  }
}

/** The Cholesky root of a 2 x 2 covariance. */
function root([xx, xy, yy]: readonly [number, number, number]): [number, number, number] {
  const l11 = Math.sqrt(xx);
  const l21 = xy / l11;
  return [l11, l21, Math.sqrt(Math.max(0, yy - l21 * l21))];
}
