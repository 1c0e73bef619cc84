/**
 * ForwardNoising: x_t = alpha x_0 + sigma eps, computed here from two arrays that crossed the wire once.
 * Moving the clock or the schedule is a redraw, not a message.
 */
import { CloudPainter, drawPaths, readLook, viewScale, type Look, type LookState } from "../core/cloud";
import { createDeck, named } from "../core/deck";
import { readMixture, type Mixture } from "../core/density";
import { count, format } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import { alphaSigma, logSnr, type Schedule } from "../core/schedule";
import { createStage, type Surface } from "../core/stage";
import type { Scene, SceneState } from "../core/store";
import { colors } from "../core/theme";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";

export interface State extends SceneState, LookState {
  /** (n, d) each: what crosses once. */
  x0: NDArray<Float32Array> | null;
  eps: NDArray<Float32Array> | null;
  labels: NDArray | null;
  /** How many samples leave a path. */
  paths: number;
  schedule: Schedule;
}

/** Times at which a path has a corner, from data to noise. */
const PATH_STEPS = 100;

interface Picture {
  look: Look;
  x0: Float32Array;
  eps: Float32Array;
  mixture: Mixture | null;
}

export const forwardNoising: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Forward noising" });
  followMessages(store, panel, signal);
  const painter = new CloudPainter();
  let picture: Picture | null = null;
  let noted = "";

  const schedule = () => store.get("schedule");
  const draw = (surface: Surface) => {
    if (!picture) return;
    const { look, x0, eps, mixture } = picture;
    const level = alphaSigma(schedule(), clock.t);
    const view = painter.view(surface, look, level);
    const color = colors(el);
    const drawn = { points: color.data, border: color.line };
    if (mixture) painter.marginal(surface, mixture, view, level, color.data);
    const shown = painter.samples(surface, look, view, [x0, eps], [level.alpha, level.sigma], level, drawn);
    if (!look.images) drawPaths(surface, view, paths(picture, schedule(), clock.t, store.get("paths")), color.path);
    const words = note(picture, shown);
    if (words !== noted) panel.setNote((noted = words));
    const scale = viewScale(level);
    caption.textContent = scale > 1.005 ? `drawn ${format(scale)} times smaller: √(α² + σ²)` : "";
    if (!clock.playing) stage.describe(describe(picture, schedule(), clock.t));
  };
  const stage = createStage(panel.body, draw, signal);
  const caption = element("p", "difflab-caption");
  stage.root.append(caption);
  createDeck(store, panel, signal);
  if (!store.embedded) {
    stage.canvas.tabIndex = 0;
    const bar = timeBar(clock, schedule, signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }

  const read = panel.guard(() => {
    const x0 = store.get("x0");
    const eps = store.get("eps");
    const look = readLook(store);
    // x0 and eps are two traits: between their two changes they may not fit together.
    picture = null;
    if (x0 && eps && x0.data.length === eps.data.length) {
      if (!look.images && x0.shape[1] !== 2) {
        throw new Error(
          `This scene draws points in the plane or images, not samples of shape (${x0.shape.join(", ")}).`,
        );
      }
      picture = { look, x0: x0.data, eps: eps.data, mixture: look.images ? null : readMixture(store.get("mixture")) };
    } else {
      panel.setNote((noted = "waiting for the data"));
    }
    stage.redraw();
  });
  read();
  store.on(["x0", "eps", "kind", "image_shape", "extent", "range", "mixture"], read, signal);
  store.on("schedule", stage.redraw, signal);
  store.on("paths", stage.redraw, signal);
  clock.subscribe(stage.redraw, signal);
};

function samplesIn({ look, x0 }: Picture): number {
  return x0.length / (look.images ? look.shape[0] * look.shape[1] : 2);
}

function note(picture: Picture, shown: number): string {
  const n = samplesIn(picture);
  if (picture.look.images) {
    const some = shown < n ? `${count(shown)} of ${count(n)}` : count(n);
    return `${some} images of ${picture.look.shape.join(" × ")}`;
  }
  return picture.mixture ? `${count(n)} points · exact density behind` : `${count(n)} points`;
}

function describe(picture: Picture, schedule: Schedule, t: number): string {
  const { alpha, sigma } = alphaSigma(schedule, t);
  const what = picture.look.images ? "images" : "points";
  return (
    `Forward noising at t = ${t.toFixed(2)}: ${count(samplesIn(picture))} ${what}, ` +
    `alpha ${format(alpha)}, sigma ${format(sigma)}, log-SNR ${format(logSnr(schedule, t))}.`
  );
}

/** Where a few points went between t = 0 and now; `n` of them, spread over the batch. */
function paths({ x0, eps }: Picture, schedule: Schedule, t: number, n: number | undefined): Float64Array[] {
  const points = x0.length / 2;
  const levels: { alpha: number; sigma: number }[] = [];
  for (let i = 0; i < PATH_STEPS && i / PATH_STEPS < t; i++) levels.push(alphaSigma(schedule, i / PATH_STEPS));
  levels.push(alphaSigma(schedule, t));
  return Array.from({ length: Math.min(n ?? 9, points) }, (_, k) => {
    const i = Math.floor((k * points) / (n ?? 9));
    const path = new Float64Array(2 * levels.length);
    levels.forEach(({ alpha, sigma }, j) => {
      path[2 * j] = alpha * x0[2 * i] + sigma * eps[2 * i];
      path[2 * j + 1] = alpha * x0[2 * i + 1] + sigma * eps[2 * i + 1];
    });
    return path;
  });
}
