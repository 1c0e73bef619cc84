/**
 * How classes look: each has a colour of the palette and a shape of its own, so that nobody needs to tell ten hues apart.
 *
 * Twenty thousand marks are stamps of one small picture each; `PointLayer` keeps what is painted and adds what is new, so
 * that a stroke costs what it draws.
 */
import { categories } from "../core/palette";
import type { View } from "../core/splat";
import { CLASSES, MOST_POINTS, type Points } from "./drawn_points";

export const SHAPES = [
  "circle",
  "square",
  "triangle",
  "diamond",
  "cross",
  "plus",
  "wedge",
  "star",
  "ring",
  "bar",
] as const; // one a class

export const classColors = (dark: boolean): string[] => categories(CLASSES, dark);

/** Draw the mark of a class with its centre at (x, y); `r` is about its radius. */
export function drawMark(context: CanvasRenderingContext2D, kind: number, x: number, y: number, r: number): void {
  const shape = SHAPES[kind];
  const polygon = (corners: readonly (readonly [number, number])[]) => {
    corners.forEach(([u, v], i) => context[i ? "lineTo" : "moveTo"](x + r * u, y + r * v));
    context.closePath();
    context.fill();
  };
  const strokes = (lines: readonly (readonly [number, number, number, number])[]) => {
    for (const [a, b, c, d] of lines) {
      context.moveTo(x + r * a, y + r * b);
      context.lineTo(x + r * c, y + r * d);
    }
    context.stroke();
  };
  context.beginPath();
  context.lineWidth = 0.75 * r;
  if (shape === "circle" || shape === "ring") {
    context.arc(x, y, shape === "ring" ? 0.8 * r : r, 0, 2 * Math.PI);
    if (shape === "ring") context.stroke();
    else context.fill();
  } else if (shape === "square") polygon(corners(4, 1.2, 0.125));
  else if (shape === "diamond") polygon(corners(4, 1.35, 0));
  else if (shape === "triangle") polygon(corners(3, 1.35, -0.25));
  else if (shape === "wedge") polygon(corners(3, 1.35, 0.25));
  else if (shape === "star") polygon(star(5));
  else if (shape === "cross")
    strokes([[-0.85, -0.85, 0.85, 0.85], [-0.85, 0.85, 0.85, -0.85]]); // prettier-ignore
  else if (shape === "plus")
    strokes([[-1.1, 0, 1.1, 0], [0, -1.1, 0, 1.1]]); // prettier-ignore
  else strokes([[-1.1, 0, 1.1, 0]]);
}

/** Corners of a regular polygon of this radius; the first one at `turn` of a full circle, clockwise from the right. */
function corners(n: number, radius: number, turn: number): [number, number][] {
  return Array.from({ length: n }, (_, i) => {
    const angle = 2 * Math.PI * (turn + i / n);
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  });
}

function star(points: number): [number, number][] {
  return corners(2 * points, 1, -0.25).map(([u, v], i) => (i % 2 ? [0.6 * u, 0.6 * v] : [1.4 * u, 1.4 * v]));
}

/** Radius of a mark in CSS pixels: smaller in a crowd. */
export function markRadius(n: number): number {
  return n <= 400 ? 3.4 : n <= 2500 ? 2.6 : 1.8;
}

export class PointLayer {
  private readonly canvas = document.createElement("canvas");
  private readonly stamps: HTMLCanvasElement[] = [];
  private key = "";
  /** What is painted: points that begin with it are painted on, others from the beginning. */
  private readonly xy = new Float32Array(2 * MOST_POINTS);
  private readonly classes = new Uint8Array(MOST_POINTS);
  private painted = 0;

  draw(target: CanvasRenderingContext2D, points: Points, view: View, ratio: number, dark: boolean): void {
    const { width, height } = target.canvas;
    const n = Math.min(points.classes.length, MOST_POINTS);
    const radius = markRadius(n) * ratio;
    const key = [width, height, view.x0, view.y0, view.scale, radius, dark].join();
    const context = this.canvas.getContext("2d")!;
    if (key !== this.key || !this.isBeginning(points)) {
      this.key = key;
      this.painted = 0;
      this.canvas.width = width;
      this.canvas.height = height;
      this.cut(radius, dark);
    }
    const half = this.stamps[0].width / 2;
    for (let i = this.painted; i < n; i++) {
      const x = (this.xy[2 * i] = points.xy[2 * i]);
      const y = (this.xy[2 * i + 1] = points.xy[2 * i + 1]);
      const kind = (this.classes[i] = points.classes[i]);
      context.drawImage(this.stamps[kind], view.x0 + view.scale * x - half, view.y0 - view.scale * y - half);
    }
    this.painted = n;
    target.drawImage(this.canvas, 0, 0);
  }

  private isBeginning({ xy, classes }: Points): boolean {
    if (classes.length < this.painted) return false;
    for (let i = 0; i < this.painted; i++) {
      if (this.xy[2 * i] !== xy[2 * i] || this.xy[2 * i + 1] !== xy[2 * i + 1] || this.classes[i] !== classes[i])
        return false;
    }
    return true;
  }

  private cut(radius: number, dark: boolean): void {
    classColors(dark).forEach((color, kind) => {
      const side = 2 * Math.ceil(1.6 * radius) + 1;
      const stamp = (this.stamps[kind] ??= document.createElement("canvas"));
      stamp.width = stamp.height = side;
      const context = stamp.getContext("2d")!;
      context.fillStyle = context.strokeStyle = color;
      context.globalAlpha = 0.85;
      drawMark(context, kind, side / 2, side / 2, radius);
    });
  }
}
