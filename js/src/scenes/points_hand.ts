/** The hand that draws points: pen, spray and eraser, by pointer or by a cursor that the arrow keys move. */
import { arrow, Stepper, type DataPlace, type Hand, type Spot } from "../core/drawing";
import { normals, uniforms } from "../core/random";
import type { Store } from "../core/store";
import type { State } from "./draw_data";
import type { DrawingDesk } from "./drawing_desk";
import { SNAP } from "./drawn_ellipses";
import { CLASSES, MOST_POINTS, SHEET, Sketch, type Points } from "./drawn_points";

export type Tool = "pen" | "spray" | "erase";

/** Points of the spray for each quarter of its width that it moves, and how often it goes on while it rests. */
const PUFF = 4;
const PUFF_EVERY_MS = 60;
const ARROW = 0.1;

export class PointsHand implements Hand {
  /** The stroke in work. */
  private sketch: Sketch | null = null;
  private stepper = new Stepper(1);
  private tool: Tool = "pen";
  private strokes = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private at: { place: [number, number]; pressure: number } | null = null;
  private uniform = uniforms(0);
  private last: [number, number] | null = null;
  /** Where a mouse or a pen hovers, in data units. */
  hovered: [number, number] | null = null;
  /** Where the arrow keys have led, in data units, and whether the pen is down there. */
  readonly cursor = { x: 0, y: 0, down: false, used: false };

  constructor(
    private readonly store: Store<State>,
    private readonly desk: DrawingDesk,
    private readonly place: () => DataPlace,
    private readonly look: { redraw(): void; say(text: string): void; classChosen(): void },
    signal: AbortSignal,
  ) {
    signal.addEventListener("abort", () => clearInterval(this.timer), { once: true });
  }

  /** The points on the sheet, with those of the stroke in work. */
  points(): Points {
    return this.sketch ? this.sketch.peek() : this.desk.now.points;
  }

  down(spot: Spot): void {
    this.cursor.used = false;
    this.begin(spot.eraser ? "erase" : this.store.get("tool"));
    this.touch(this.place().toData(spot), spot.pressure || 0.5);
    if (this.tool === "spray")
      this.timer = setInterval(() => this.at && this.dab(this.at.place, this.at.pressure), PUFF_EVERY_MS);
  }

  move(spots: Spot[]): void {
    const place = this.place();
    for (const spot of spots) this.touch(place.toData(spot), spot.pressure || 0.5);
    const last = spots[spots.length - 1];
    this.hovered = last.kind === "touch" ? null : place.toData(last); // a finger hovers nowhere once it is lifted
  }

  up(): void {
    this.end();
    const n = this.desk.now.points.classes.length;
    this.look.say(n >= MOST_POINTS ? `${MOST_POINTS.toLocaleString("en-US")} points are the most a drawing has.` : "");
  }

  cancel(): void {
    clearInterval(this.timer);
    this.sketch = null;
    this.desk.cancel();
  }

  hover(spot: Spot | null): void {
    this.hovered = spot && this.place().toData(spot);
    this.look.redraw();
  }

  /** Arrows move the cursor, Space puts the pen down and takes it up, Enter is one touch, digits choose the class. */
  key(event: KeyboardEvent): boolean {
    const { cursor } = this;
    const way = arrow(event.key);
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (way) {
      cursor.used = true;
      const stride = (this.store.get("snap") ? SNAP : ARROW) * (event.shiftKey ? 5 : 1);
      cursor.x = clamp(cursor.x + stride * way[0]);
      cursor.y = clamp(cursor.y + stride * way[1]);
      if (cursor.down) this.touch([cursor.x, cursor.y], 0.5);
    } else if (event.key === " ") {
      cursor.used = true;
      cursor.down = !cursor.down;
      if (cursor.down) {
        this.begin(this.store.get("tool"));
        this.touch([cursor.x, cursor.y], 0.5);
      } else this.end();
    } else if (event.key === "Enter" && !cursor.down) {
      cursor.used = true;
      this.begin(this.store.get("tool"));
      this.touch([cursor.x, cursor.y], 0.5);
      this.end();
    } else if (/^[0-9]$/.test(event.key) && Number(event.key) < CLASSES) {
      this.store.set("pen_class", Number(event.key));
      this.look.classChosen();
    } else if (event.key === "Escape" && cursor.down) {
      cursor.down = false;
      this.cancel();
    } else return false;
    const n = this.points().classes.length;
    const pen = cursor.down ? "pen down" : "pen up";
    this.look.say(`cursor at (${cursor.x.toFixed(1)}, ${cursor.y.toFixed(1)}), ${pen}, ${n} points`);
    this.look.redraw();
    return true;
  }

  /** The focus left, or the mode changed: a pen that the keyboard put down is taken up. */
  rest(): void {
    this.cursor.down = false;
    this.cursor.used = false;
    if (this.sketch) this.end();
    this.look.redraw();
  }

  private begin(tool: Tool): void {
    this.tool = tool;
    this.sketch = new Sketch(this.desk.now.points);
    this.stepper = new Stepper(Math.max(0.02, this.store.get("brush") / 4));
    this.strokes += 1;
    this.last = null;
    this.uniform = uniforms(1000 * (this.store.get("seed") ?? 0) + this.strokes);
  }

  private touch(to: [number, number], pressure: number): void {
    this.at = { place: to, pressure };
    for (const place of this.stepper.to(...to)) this.dab(place, pressure);
    this.look.redraw();
  }

  private dab([x, y]: [number, number], pressure: number): void {
    const { sketch } = this;
    if (!sketch) return;
    const brush = this.store.get("brush");
    const kind = this.store.get("pen_class");
    if (this.tool === "erase") sketch.erase(x, y, brush / 2);
    else if (this.tool === "pen") {
      const [px, py] = this.store.get("snap") ? [snapped(x), snapped(y)] : [x, y];
      if (this.last?.[0] === px && this.last[1] === py) return;
      this.last = [px, py];
      if (onSheet(px, py)) sketch.add(px, py, kind);
    } else {
      const normal = normals(this.uniform);
      for (let i = 0; i < Math.max(1, Math.round(2 * PUFF * pressure)); i++) {
        const [px, py] = [x + (brush / 4) * normal(), y + (brush / 4) * normal()];
        if (onSheet(px, py)) sketch.add(px, py, kind);
      }
      this.look.redraw();
    }
  }

  private end(): void {
    clearInterval(this.timer);
    const { sketch } = this;
    this.sketch = null;
    this.at = null;
    if (!sketch) return;
    const changed = sketch.erasures > 0 || sketch.count !== this.desk.now.points.classes.length;
    if (changed) this.desk.commit({ points: sketch.points() });
    this.look.redraw();
  }
}

const clamp = (v: number) => Math.min(SHEET, Math.max(-SHEET, Number(v.toFixed(6))));
const snapped = (v: number) => SNAP * Math.round(v / SNAP);
const onSheet = (x: number, y: number) => Math.abs(x) <= SHEET && Math.abs(y) <= SHEET;
