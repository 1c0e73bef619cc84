/** The hand that shapes a mixture: drags, stretches, turns and weighs its ellipses, by pointer, wheel or keyboard. */
import { arrow, type DataPlace, type Hand, type Spot } from "../core/drawing";
import { format } from "../core/numbers";
import type { Store } from "../core/store";
import type { State } from "./draw_data";
import type { DrawingDesk } from "./drawing_desk";
import {
  added,
  dragged,
  emptySpot,
  gripAt,
  moved,
  removed,
  share,
  SNAP,
  stretched,
  turned,
  weighed,
  type Ellipse,
  type Grip,
} from "./drawn_ellipses";

/** How near a hand must come to a handle, in CSS pixels. */
const REACH = { mouse: 9, pen: 12, touch: 22 };
/** How far beyond the outline the handle stands that turns, in CSS pixels. */
export const ARM = 24;
const STEP = { move: 0.05, stretch: 0.02, turn: Math.PI / 36, weigh: 0.01 };

export class EllipsesHand implements Hand {
  /** Its place in the list; -1 for none. */
  selected = -1;
  private grip: Grip | null = null;
  private from: [number, number] = [0, 0];
  private before: readonly Ellipse[] = [];
  private changed = false;
  /** What a mouse would take now. */
  hovered: Grip | null = null;

  constructor(
    private readonly store: Store<State>,
    private readonly desk: DrawingDesk,
    private readonly place: () => DataPlace,
    private readonly look: { redraw(): void; say(text: string): void; selectionChanged(): void },
  ) {}

  private get ellipses(): readonly Ellipse[] {
    return this.desk.now.ellipses;
  }

  down(spot: Spot): void {
    const at = this.place().toData(spot);
    this.grip = this.gripAt(spot);
    this.from = at;
    this.before = this.ellipses;
    this.changed = false;
    this.select(this.grip?.index ?? -1);
  }

  move(spots: Spot[]): void {
    if (!this.grip) return;
    const to = this.place().toData(spots[spots.length - 1]);
    const { index, part } = this.grip;
    const next = dragged(this.before[index], part, this.from, to, this.store.get("snap"));
    this.changed = true;
    this.desk.show({ ellipses: this.before.map((e, k) => (k === index ? next : e)) });
    this.tell();
  }

  up(): void {
    if (this.changed) this.desk.commit({ ellipses: this.ellipses });
    this.grip = null;
  }

  cancel(): void {
    this.grip = null;
    this.desk.cancel();
  }

  hover(spot: Spot | null): void {
    const before = this.hovered;
    this.hovered = spot && this.gripAt(spot);
    if (before?.index !== this.hovered?.index || before?.part !== this.hovered?.part) this.look.redraw();
  }

  get holding(): boolean {
    return this.grip !== null;
  }

  private gripAt(spot: Spot): Grip | null {
    const place = this.place();
    const reach = place.length(REACH[spot.kind]);
    return gripAt(this.ellipses, this.selected, place.toData(spot), reach, place.length(ARM));
  }

  select(index: number): void {
    this.selected = index;
    this.tell();
    this.look.selectionChanged();
    this.look.redraw();
  }

  /** A new component where there is room, or at a place. */
  add(at: [number, number] = emptySpot(this.ellipses)): void {
    this.desk.commit({ ellipses: added(this.ellipses, at) });
    this.select(this.ellipses.length - 1);
  }

  addAt(spot: { x: number; y: number }): void {
    const at = this.place().toData(spot);
    if (!gripAt(this.ellipses, -1, at, 0, 0)) this.add(at);
  }

  remove(): void {
    if (this.selected < 0) return;
    this.desk.commit({ ellipses: removed(this.ellipses, this.selected) });
    this.select(Math.min(this.selected, this.ellipses.length - 1));
  }

  /** Give the selected one this share; `last` is false while a slider moves. */
  weigh(to: number, last = true): void {
    if (this.selected < 0) return;
    const ellipses = weighed(this.ellipses, this.selected, to);
    if (last) this.desk.commit({ ellipses }, `weigh ${this.selected}`);
    else this.desk.show({ ellipses });
    this.tell();
  }

  wheel(event: WheelEvent, spot: { x: number; y: number }): boolean {
    const over = gripAt(this.ellipses, this.selected, this.place().toData(spot), 0, 0);
    if (this.selected < 0 || over?.index !== this.selected) return false;
    const pixels = event.deltaMode === 0 ? event.deltaY : 30 * event.deltaY;
    this.weigh(share(this.ellipses, this.selected) * Math.exp(-pixels / 700));
    this.look.selectionChanged();
    return true;
  }

  /** Tab selects, arrows move (with shift stretch), [ ] turn, + - weigh, Delete deletes, Enter adds one. */
  key(event: KeyboardEvent): boolean {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "Tab") return this.selectNext(event.shiftKey ? -1 : 1);
    if (event.key === "Enter") {
      this.add();
      return true;
    }
    const e = this.ellipses[this.selected];
    if (!e) return false;
    if (event.key === "Escape") {
      this.select(-1);
      return true;
    }
    if (event.key === "Delete" || event.key === "Backspace") {
      this.remove();
      return true;
    }
    const next = this.after(e, event);
    if (next) {
      const all = this.ellipses.map((old, k) => (k === this.selected ? next : old));
      this.desk.commit({ ellipses: all }, `${event.shiftKey} ${event.key} ${this.selected}`);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      const own = share(this.ellipses, this.selected);
      this.weigh(own + (event.key === "-" ? -STEP.weigh : STEP.weigh));
    } else return false;
    this.tell();
    this.look.selectionChanged();
    return true;
  }

  private after(e: Ellipse, event: KeyboardEvent): Ellipse | null {
    const snap = this.store.get("snap");
    const way = arrow(event.key);
    if (way && event.shiftKey) {
      const which = way[0] ? 0 : 1;
      return stretched(e, which, e.axes[which] + (snap ? 0.05 : STEP.stretch) * (way[0] + way[1]), snap);
    }
    if (way) {
      const stride = snap ? SNAP : STEP.move;
      return moved(e, stride * way[0], stride * way[1], snap);
    }
    if (event.key === "[") return turned(e, snap ? Math.PI / 12 : STEP.turn);
    if (event.key === "]") return turned(e, -(snap ? Math.PI / 12 : STEP.turn));
    return null;
  }

  /** False at the end of the list: the focus then goes on as it does everywhere. */
  private selectNext(way: 1 | -1): boolean {
    const next = this.selected < 0 ? (way > 0 ? 0 : this.ellipses.length - 1) : this.selected + way;
    const inside = next >= 0 && next < this.ellipses.length;
    this.select(inside ? next : -1);
    return inside;
  }

  private tell(): void {
    const e = this.ellipses[this.selected];
    if (!e) return this.look.say("");
    const [x, y] = e.mean.map((v) => format(v, 2));
    const [a, b] = e.axes.map((v) => format(v, 2));
    const degrees = Math.round((e.angle * 180) / Math.PI);
    const weight = (100 * share(this.ellipses, this.selected)).toFixed(1);
    this.look.say(
      `component ${this.selected + 1} of ${this.ellipses.length}: weight ${weight} %, centre (${x}, ${y}), ` +
        `widths ${a} and ${b}, turned ${degrees}°`,
    );
  }
}
