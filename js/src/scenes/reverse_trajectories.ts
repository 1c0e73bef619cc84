/**
 * ReverseTrajectories: samples on their way from noise to data, by the exact denoiser and by the learned one, from the
 * same noise. Frames crossed the wire once; the clock moves through them at display rate.
 */
import { createPanel, element, followMessages } from "../core/panel";
import { CloudPainter, drawPaths, readLook, viewScale, type Look, type LookState } from "../core/cloud";
import { readMixture, type Mixture } from "../core/density";
import type { Choice } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { count, format, withError } from "../core/numbers";
import { alphaSigma, type Schedule } from "../core/schedule";
import { createStage, type Stage, type Surface } from "../core/stage";
import type { Clock, Scene, SceneState, Store } from "../core/store";
import { colors } from "../core/theme";
import { bindTimeKeys, timeBar } from "../core/timebar";
import { blendAt, frame, nextTime, noise, pathOf, readTrajectory, type Trajectory } from "../core/trajectory";
import type { NDArray } from "../core/wire";
import { samplingControls, type Quality } from "./sampling_controls";

export interface State extends SceneState, LookState {
  schedule: Schedule;
  /** (frames,), falling to 0. */
  times: NDArray | null;
  /** (frames, n, d) each. */
  learned: NDArray | null;
  exact: NDArray | null;
  /** (n, d) of the run under way, at `live_t`. */
  live: NDArray | null;
  live_t: number;
  live_of: "learned" | "exact";
  sampler: string;
  samplers: Choice[];
  steps: number;
  step_range: [number, number];
  evaluations: number;
  quality: Quality | null;
}

const PATHS = 7;
/** How far back in time a path is drawn: a random walk's whole way would cover the picture. */
const TAIL = 0.2;
const WAITING = { points: 2000, images: 36 };

/** What one stage shows: a run, the state of a run under way, or plain noise. */
interface Shown {
  trajectory: Trajectory | null;
  live: Float32Array | null;
}

interface Picture {
  look: Look;
  schedule: Schedule;
  mixture: Mixture | null;
  exact: Trajectory | null;
  learned: Trajectory | null;
  live: Float32Array | null;
  /** Which of the two is being sampled. */
  liveOf: Side["kind"];
  liveTime: number;
  /** Beside the words above the pictures, where the panel has no room for numbers of its own. */
  quality: Quality | null;
  waiting: Float32Array;
}

export const reverseTrajectories: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Reverse trajectories" });
  followMessages(store, panel, signal);
  let picture = readPicture(store, null);
  const followLive = liveFollower(clock);

  const pair = element("div", "difflab-pair");
  panel.body.append(pair);
  const show = (side: Side) => (surface: Surface) => drawSide(surface, side, picture, clock.t, el);
  const exact = createSide(pair, "exact", signal, (side) => show(side));
  const learned = createSide(pair, "learned", signal, (side) => show(side));
  const sides = [exact, learned];

  const redraw = () => sides.forEach((side) => side.stage.redraw());
  const refresh = onNextFrame(
    panel.guard(() => {
      picture = readPicture(store, picture);
      const running = picture.live !== null;
      for (const side of sides)
        side.shown = { trajectory: picture[side.kind], live: picture.liveOf === side.kind ? picture.live : null };
      exact.root.hidden = isEmpty(exact);
      // With nothing at all to show, this side shows the noise that sampling will start from.
      learned.root.hidden = isEmpty(learned) && !isEmpty(exact);
      panel.setNote(note(picture));
      followLive.move(running ? picture.liveTime : null);
      redraw();
    }),
    signal,
  );

  if (!store.embedded) {
    sides.forEach(({ stage }) => (stage.canvas.tabIndex = 0));
    const step = (t: number) => nextTime((picture.learned ?? picture.exact)?.times ?? new Float32Array(), t);
    const bar = timeBar(clock, () => picture.schedule, signal, { direction: -1, step });
    panel.footer.append(bar.root);
    bindTimeKeys(el, clock, signal, -1);
    store.on("schedule", bar.refresh, signal);
  }
  panel.footer.append(samplingControls(store, followLive.start, signal));
  store.on(TRAITS, refresh, signal);
  clock.subscribe(redraw, signal);
  refresh();
};

const TRAITS = [
  "times", "exact", "learned", "live", "live_of", "live_t", "mixture", "schedule", "kind", "quality", "image_shape",
  "extent", "range",
] as const; // prettier-ignore

interface Side {
  root: HTMLElement;
  stage: Stage;
  caption: HTMLElement;
  kind: "exact" | "learned";
  shown: Shown;
  painter: CloudPainter;
}

function createSide(
  parent: HTMLElement,
  kind: Side["kind"],
  signal: AbortSignal,
  draw: (side: Side) => (surface: Surface) => void,
): Side {
  const side = {
    kind,
    shown: { trajectory: null, live: null },
    painter: new CloudPainter(),
  } as unknown as Side;
  side.root = element("div", "difflab-side");
  side.caption = element("p", "difflab-quiet");
  side.root.append(side.caption);
  side.stage = createStage(side.root, (surface) => draw(side)(surface), signal);
  parent.append(side.root);
  return side;
}

const isEmpty = ({ shown }: Side): boolean => !shown.trajectory && !shown.live;

function readPicture(store: Store<State>, before: Picture | null): Picture {
  const look = readLook(store);
  const times = store.get("times");
  const live = store.get("live");
  const dim = look.images ? look.shape[0] * look.shape[1] : 2;
  const n = look.images ? WAITING.images : WAITING.points;
  const waiting = before?.waiting.length === n * dim ? before.waiting : noise(n, dim, store.get("seed") ?? 0);
  return {
    look,
    schedule: store.get("schedule"),
    mixture: look.images ? null : readMixture(store.get("mixture")),
    exact: readTrajectory(times, store.get("exact")),
    learned: readTrajectory(times, store.get("learned")),
    live: (live?.data as Float32Array | undefined) ?? null,
    liveOf: store.get("live_of") ?? "learned",
    liveTime: store.get("live_t") ?? 1,
    quality: store.embedded ? (store.get("quality") ?? null) : null,
    waiting,
  };
}

function drawSide(surface: Surface, side: Side, picture: Picture, clockTime: number, el: HTMLElement): void {
  const { look, schedule, mixture } = picture;
  const { trajectory, live } = side.shown;
  const color = colors(el);
  const empty = isEmpty(side);
  // While a run is under way both sides show its time, so that they stay comparable.
  const t = empty ? 1 : picture.live ? picture.liveTime : clockTime;
  const level = alphaSigma(schedule, t);
  const view = side.painter.view(surface, look, level);
  if (mixture && !empty) side.painter.marginal(surface, mixture, view, level, color.noise);
  const drawn = { points: empty ? color.noise : color[side.kind], border: color.line };
  if (live) {
    side.painter.samples(surface, look, view, [live, live], [1, 0], level, drawn);
  } else if (trajectory) {
    const { before, after, u } = blendAt(trajectory.times, t);
    const ends = [frame(trajectory, before), frame(trajectory, after)] as const;
    side.painter.samples(surface, look, view, ends, [1 - u, u], level, drawn);
    if (!look.images) {
      const chosen = Array.from({ length: Math.min(PATHS, trajectory.samples) }, (_, k) => k);
      const paths = chosen.map((i) => pathOf(trajectory, i, t, t + TAIL));
      drawPaths(surface, view, paths, color.ink, true);
    }
  } else {
    const spread = viewScale(level);
    side.painter.samples(surface, look, view, [picture.waiting, picture.waiting], [spread, 0], level, drawn);
  }
  const words = caption(side, picture, t);
  if (words !== side.caption.textContent) side.caption.textContent = words;
  side.caption.classList.toggle("difflab-exact", !empty && side.kind === "exact");
  side.caption.classList.toggle("difflab-learned", !empty && side.kind === "learned");
  side.stage.describe(describe(side, picture, t));
}

/** The word above a picture and, in a small panel, how good its samples are. */
function caption(side: Side, { quality }: Picture, t: number): string {
  const { kind, shown } = side;
  if (isEmpty(side)) return "pure noise, where sampling starts";
  if (shown.live) return `${kind} · t = ${format(t)}`;
  const value = quality?.[kind];
  return typeof value === "number" ? `${kind} ${withError(value, quality?.[`${kind}_error`])}` : kind;
}

function note({ exact, learned, live, look, quality }: Picture): string {
  if (live) return "";
  if (quality) return quality.label;
  const run = learned ?? exact;
  if (!run) return "not sampled yet";
  const what = `${count(run.samples)} ${look.images ? "images" : "points"}`;
  return exact && learned ? `${what} · same noise` : what;
}

function describe(side: Side, { look }: Picture, t: number): string {
  const what = look.images ? "images" : "points";
  if (isEmpty(side)) return `Pure noise: no ${what} have been sampled yet.`;
  return `Reverse trajectories of the ${side.kind} denoiser at t = ${t.toFixed(2)}.`;
}

/**
 * After "Sample" was pressed here, the clock follows the run from noise to data; a hand on the clock ends that.
 * `move` takes the run's time, or null when no run is under way.
 */
function liveFollower(clock: Clock): { start: () => void; move: (t: number | null) => void } {
  let following = false;
  let seen = false;
  let sought = NaN;
  return {
    start() {
      clock.pause();
      following = true;
      seen = false;
      sought = clock.t;
    },
    move(t) {
      if (!following) return;
      if (clock.t !== sought || clock.playing) following = false;
      else if (t !== null) {
        seen = true;
        clock.seek(t);
        sought = clock.t;
      } else if (seen) {
        following = false;
        clock.seek(0);
      }
    },
  };
}
