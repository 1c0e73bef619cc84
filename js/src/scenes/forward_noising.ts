/**
 * ForwardNoising: x_t = alpha x_0 + sigma eps, computed here from two arrays that crossed the wire once.
 * Moving the clock or the schedule is a redraw, not a message.
 */
import { CloudPainter, dimOf, readLook, viewScale, type Look, type LookState } from "../core/cloud";
import { createDeck, named } from "../core/deck";
import { readMixture, type Mixture } from "../core/density";
import { count, format } from "../core/numbers";
import { categories } from "../core/palette";
import { createPanel, element, followMessages } from "../core/panel";
import { alphaSigma, logSnr, type Schedule } from "../core/schedule";
import { createStage, type Surface } from "../core/stage";
import type { Scene, SceneState } from "../core/store";
import { colors, onThemeChange, type Colors } from "../core/theme";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";
import { addControls } from "./forward_controls";
import { drawWays, nearestPoint, spreadPoints, whereabouts, waysOf } from "./forward_paths";
import { readingRow, shareOfData } from "./forward_reading";
import type { ScheduleChoice } from "./schedule_desk";
import "./forward_noising.css";

export type Layer = "points" | "density" | "paths";

export interface State extends SceneState, LookState {
  /** (n, d) each: what crosses once. */
  x0: NDArray<Float32Array> | null;
  eps: NDArray<Float32Array> | null;
  /** Mode or class of each sample, of so many `categories`; 0 where there are none. */
  labels: NDArray | null;
  categories: number;
  /** Of the data, mean over coordinates. */
  variance: number;
  /** How many samples there are, and numbers to choose from. */
  n: number;
  sizes: number[];
  layers: Layer[];
  colour: "one" | "category";
  /** How many samples leave a path. */
  paths: number;
  /** The sample whose path and numbers are shown, or -1. */
  picked: number;
  ink: number;
  schedule: Schedule;
  choices: ScheduleChoice[];
}

export interface Picture {
  look: Look;
  x0: Float32Array;
  eps: Float32Array;
  labels: ArrayLike<number> | null;
  mixture: Mixture | null;
}

/** How far from a point a click still means it, in CSS pixels. */
const REACH = 24;

export const forwardNoising: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Forward noising" });
  followMessages(store, panel, signal);
  const painter = new CloudPainter();
  let picture: Picture | null = null;
  let noted = "";
  let palette: Colors | null = null; // read once a theme: asking for styles costs as much as some thousand points
  onThemeChange(el, () => ((palette = null), stage.redraw()), signal);

  const schedule = () => store.get("schedule");
  const picked = () => {
    const i = store.get("picked") ?? -1;
    return picture && !picture.look.images && i < picture.x0.length / 2 ? i : -1;
  };
  const draw = (surface: Surface) => {
    if (!picture) return;
    const { look, x0, eps, mixture, labels } = picture;
    const level = alphaSigma(schedule(), clock.t);
    const view = painter.view(surface, look, level);
    const color = (palette ??= colors(el));
    const layers = new Set(look.images ? ["points"] : (store.get("layers") ?? ["points", "density", "paths"]));
    const behind = layers.has("density") ? mixture : null;
    const tinted = labels && store.get("colour") === "category";
    const tint = tinted ? { categories: labels, palette: categories(store.get("categories"), color.dark) } : null;
    let shown = 0;
    if (layers.has("points")) {
      const drawn = {
        points: color.data,
        border: color.line,
        neutral: color.mute,
        behind,
        tint,
        ink: store.get("ink") ?? 1,
      };
      shown = painter.samples(surface, look, view, [x0, eps], [level.alpha, level.sigma], level, drawn);
    } else if (behind) {
      painter.marginal(surface, behind, view, level, color.data);
    }
    const mine = picked();
    if (layers.has("paths") || mine >= 0) {
      const ways = waysOf(picture, schedule(), clock.t);
      if (layers.has("paths"))
        drawWays(surface, view, ways, spreadPoints(picture, store.get("paths") ?? 9), color.path);
      if (mine >= 0) drawWays(surface, view, ways, [mine], color.ink, true);
    }
    const drawnAs = `${shown} ${behind !== null}`;
    if (drawnAs !== noted) panel.setNote(note(picture, shown, behind !== null));
    noted = drawnAs;
    const scale = viewScale(level);
    const small = scale > 1.005 ? `drawn ${format(scale)} times smaller: √(α² + σ²)` : "";
    if (caption.textContent !== small) caption.textContent = small;
    reading?.show(schedule(), clock.t, store.get("variance") ?? 1);
    reading?.tell(mine >= 0 ? whereabouts(picture, mine, level) : "");
    if (!clock.playing) stage.describe(describe(picture, schedule(), clock.t, store.get("variance") ?? 1, mine));
  };
  const stage = createStage(panel.body, draw, signal);
  const caption = element("p", "difflab-caption");
  stage.root.append(caption);
  const reading = store.embedded ? null : readingRow();
  if (reading) panel.footer.append(reading.root);
  const deck = createDeck(store, panel, signal);
  const controls = addControls(store, deck, signal);
  if (!store.embedded) {
    stage.canvas.tabIndex = 0;
    const bar = timeBar(clock, schedule, signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }

  const pick = (i: number) => store.set("picked", i);
  stage.canvas.addEventListener(
    "click",
    ({ offsetX, offsetY }) => {
      if (!picture || picture.look.images) return;
      const { clientWidth, clientHeight } = stage.canvas;
      const level = alphaSigma(schedule(), clock.t);
      const surface = { width: clientWidth, height: clientHeight } as Surface;
      const view = painter.view(surface, picture.look, level);
      pick(nearestPoint(picture, level, view, [offsetX, offsetY], REACH));
    },
    { signal },
  );
  stage.canvas.addEventListener(
    "keydown",
    (event) => {
      if (!picture || picture.look.images) return;
      const shown = spreadPoints(picture, store.get("paths") || 9);
      // Enter goes through the points that leave paths, Escape lets go
      if (event.key === "Enter") pick(shown[(shown.indexOf(picked()) + 1) % shown.length]);
      else if (event.key === "Escape" && picked() >= 0) pick(-1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal },
  );

  const read = panel.guard(() => {
    const x0 = store.get("x0");
    const eps = store.get("eps");
    const labels = store.get("labels");
    const look = readLook(store);
    // x0, eps and labels are three traits: between their changes they may not fit together.
    picture = null;
    noted = "";
    if (x0 && eps && x0.data.length === eps.data.length) {
      if (!look.images && x0.shape[1] !== 2) {
        throw new Error(
          `This scene draws points in the plane or images, not samples of shape (${x0.shape.join(", ")}).`,
        );
      }
      const known = labels && labels.data.length * dimOf(look) === x0.data.length ? labels.data : null;
      const mixture = look.images ? null : readMixture(store.get("mixture"));
      picture = { look, x0: x0.data, eps: eps.data, labels: known, mixture };
      controls.fit(picture);
    } else {
      panel.setNote("waiting for the data");
    }
    stage.redraw();
  });
  read();
  store.on(
    ["x0", "eps", "labels", "kind", "image_shape", "extent", "range", "mixture", "categories", "sizes"],
    read,
    signal,
  );
  store.on(["schedule", "paths", "layers", "colour", "picked", "ink", "variance"], stage.redraw, signal);
  clock.subscribe(stage.redraw, signal);
};

function samplesIn({ look, x0 }: Picture): number {
  return x0.length / dimOf(look);
}

function note(picture: Picture, shown: number, density: boolean): string {
  const n = samplesIn(picture);
  const { look } = picture;
  if (look.images) {
    const some = shown < n ? `${count(shown)} of ${count(n)}` : count(n);
    return `${some} ${look.channels === 3 ? "colour images" : "images"} of ${look.shape.join(" × ")}`;
  }
  if (shown === 0) return density ? "exact density" : `${count(n)} points, not drawn`;
  return density ? `${count(n)} points · exact density behind` : `${count(n)} points`;
}

function describe(picture: Picture, schedule: Schedule, t: number, variance: number, picked: number): string {
  const level = alphaSigma(schedule, t);
  const what = picture.look.images ? "images" : "points";
  const mine = picked >= 0 ? ` ${whereabouts(picture, picked, level)}.` : "";
  return (
    `Forward noising at t = ${t.toFixed(2)}: ${count(samplesIn(picture))} ${what}, ` +
    `alpha ${format(level.alpha)}, sigma ${format(level.sigma)}, log-SNR ${format(logSnr(schedule, t))}, ` +
    `${format(100 * shareOfData(level, variance))} % of the variance is data.${mine}`
  );
}
