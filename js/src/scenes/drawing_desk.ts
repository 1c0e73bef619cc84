/**
 * What is drawn in DrawData, with its past: the one place that knows the traits of the drawing and tells the kernel.
 *
 * A hand shows what it does at once (`show`), the kernel hears of a moving ellipse a few times a second, of points at the
 * end of a stroke, and undo knows whole strokes only (`commit`).
 */
import { onNextFrame } from "../core/frame";
import { History } from "../core/drawing";
import type { Store } from "../core/store";
import { throttle } from "../core/throttle";
import type { State } from "./draw_data";
import type { Ellipse } from "./drawn_ellipses";
import { decodePoints, encodePoints, type DrawnPoints, type Points } from "./drawn_points";

export type Mode = "points" | "mixture";

export interface Drawing {
  readonly mode: Mode;
  readonly points: Points;
  readonly ellipses: readonly Ellipse[];
  /** Name of the preset that it is, untouched; "" for one's own. */
  readonly preset: string;
  /** By how much what was given was scaled to lie on the sheet. */
  readonly scaled: number;
}

const SEND_EVERY_MS = 150;
/** Keys and wheel turns that follow each other within this time are one step of undo. */
const ONE_STEP_MS = 800;

export class DrawingDesk {
  private shown: Drawing;
  private readonly history: History<Drawing>;
  /** What the kernel has, trait by trait, to send only what changed. */
  private sent: Drawing;
  private sentPoints: DrawnPoints;
  private readonly live: { send(value: Drawing): void; flush(): void };
  private last = { reason: "", at: 0 };

  constructor(
    private readonly store: Store<State>,
    /** Called at each change of what is drawn; `fresh` when it came from elsewhere. */
    private readonly changed: (fresh: boolean) => void,
    signal: AbortSignal,
  ) {
    this.sentPoints = store.get("drawn");
    this.shown = this.sent = this.read(decodePoints(this.sentPoints));
    this.history = new History(this.shown);
    this.live = throttle((drawing) => this.tell(drawing), SEND_EVERY_MS, signal);
    const arrived = onNextFrame(() => this.arrived(), signal);
    store.on(["mode", "drawn", "ellipses", "preset", "scaled"], arrived, signal);
  }

  get now(): Drawing {
    return this.shown;
  }
  get canUndo(): boolean {
    return this.history.canUndo;
  }
  get canRedo(): boolean {
    return this.history.canRedo;
  }

  /** A hand is at work: the picture follows, undo does not know it yet. */
  show(change: Partial<Drawing>): void {
    this.shown = { ...this.shown, preset: "", ...change };
    if (!change.points) this.live.send(this.shown);
    this.changed(false);
  }

  /** It is done. Steps of one `reason` that follow each other quickly are undone together. */
  commit(change: Partial<Drawing>, reason = ""): void {
    const now = performance.now();
    if (reason && reason === this.last.reason && now - this.last.at < ONE_STEP_MS) this.history.undo();
    this.last = { reason, at: now };
    const own = change.points || change.ellipses ? { preset: "" } : {};
    this.shown = { ...this.shown, ...own, ...change };
    this.history.push(this.shown);
    this.send();
    this.changed(false);
  }

  /** It was no stroke: what was there before is there again. */
  cancel(): void {
    this.shown = this.history.now;
    this.send();
    this.changed(false);
  }

  undo(): void {
    this.shown = this.history.undo();
    this.moved();
  }

  redo(): void {
    this.shown = this.history.redo();
    this.moved();
  }

  private moved(): void {
    this.last = { reason: "", at: 0 };
    this.send();
    this.changed(true);
  }

  private send(): void {
    this.live.send(this.shown);
    this.live.flush();
  }

  private tell(drawing: Drawing): void {
    const { store, sent } = this;
    this.sent = drawing;
    if (drawing.points !== sent.points) {
      this.sentPoints = encodePoints(drawing.points);
      store.set("drawn", this.sentPoints);
    }
    if (drawing.ellipses !== sent.ellipses) store.set("ellipses", [...drawing.ellipses]);
    for (const name of ["mode", "preset", "scaled"] as const)
      if (drawing[name] !== sent[name]) store.set(name, drawing[name]);
  }

  private read(points: Points): Drawing {
    const { store } = this;
    return {
      points,
      mode: store.get("mode"),
      ellipses: store.get("ellipses"),
      preset: store.get("preset"),
      scaled: store.get("scaled"),
    };
  }

  /** Traits changed: by this desk, which is no news, or by the kernel, and then it can be undone like a stroke. */
  private arrived(): void {
    const { store, sent } = this;
    const drawn = store.get("drawn");
    const samePoints = drawn.xy === this.sentPoints.xy && drawn.classes === this.sentPoints.classes;
    const given = this.read(samePoints ? sent.points : decodePoints(drawn));
    const sameEllipses = JSON.stringify(given.ellipses) === JSON.stringify(sent.ellipses);
    const rest = given.mode === sent.mode && given.preset === sent.preset && given.scaled === sent.scaled;
    if (samePoints && sameEllipses && rest) return;
    this.sentPoints = drawn;
    this.shown = this.sent = { ...given, ellipses: sameEllipses ? sent.ellipses : given.ellipses };
    this.history.push(this.shown);
    this.changed(true);
  }
}
