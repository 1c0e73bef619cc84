/**
 * ScoreMap: the exact field, the learned one, and their difference, at the clock's noise level.
 *
 * A mixture's field is evaluated here, so that scrubbing asks nobody; what the network says came as its difference from the
 * exact field at a stack of levels (score_field.ts), and a change of face is one factor.
 */
import { CloudPainter, readLook, type LookState } from "../core/cloud";
import { segmented, select, toggle } from "../core/controls";
import { createDeck, named } from "../core/deck";
import { readMixture } from "../core/density";
import { FACES, type Face } from "../core/faces";
import { onNextFrame } from "../core/frame";
import { createPanel, element, followMessages } from "../core/panel";
import { alphaSigma, type AlphaSigma, type Schedule } from "../core/schedule";
import { createStage, type Surface } from "../core/stage";
import type { Scene, SceneState } from "../core/store";
import { colors } from "../core/theme";
import { bindTimeKeys, timeBar } from "../core/timebar";
import type { NDArray } from "../core/wire";
import { divergenceChart } from "./score_divergence";
import { ScoreField, Stack } from "./score_field";
import { ImagePainter, type Examples } from "./score_images";
import { drawWord, placeOf, ScorePainter, type Heat, type View } from "./score_picture";
import { createProbe, drawProbe } from "./score_probe";
import { meanSquare, numberLine, probeLine, titleOf } from "./score_words";
import { current, type Question } from "./staleness";
import "./score_map.css";

export interface State extends SceneState, LookState {
  schedule: Schedule;
  oracle: string;
  view: View;
  face: Face;
  weighted: boolean;
  arrows: boolean;
  heat: Heat;
  contours: boolean;
  scale: "fitted" | "exact";
  resolution: number;
  levels: NDArray<Float32Array> | null;
  learned: NDArray<Float32Array> | null;
  error_at: NDArray<Float32Array> | null;
  learned_for: Question | null;
  exact: NDArray<Float32Array> | null;
  exact_levels: NDArray<Float32Array> | null;
  exact_for: Question | null;
  x0: NDArray<Float32Array> | null;
  eps: NDArray<Float32Array> | null;
}

const VIEWS = [
  { name: "exact", label: "Exact" },
  { name: "learned", label: "Learned" },
  { name: "difference", label: "Difference" },
];
const SCALES = [
  { name: "fitted", label: "difference: its own scale" },
  { name: "exact", label: "difference: the exact field's scale" },
];
const HEATS = [
  { name: "along", label: "heat: along the exact arrow" },
  { name: "size", label: "heat: length" },
  { name: "x", label: "heat: x component" },
  { name: "y", label: "heat: y component" },
  { name: "none", label: "no heat" },
];

/** What the traits amount to. */
interface Known {
  field: ScoreField;
  exact: Stack | null;
  learned: Stack | null;
  examples: Examples | null;
  images: boolean;
  /** Learned numbers that belong to another schedule. */
  stale: boolean;
}

export const scoreMap: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Score map" });
  followMessages(store, panel, signal);
  const title = panel.root.querySelector<HTMLElement>(".difflab-title > span")!;
  const painter = new ScorePainter();
  const sheets = new ImagePainter();
  const row = element("div", "difflab-score");
  panel.body.append(row);
  panel.root.classList.add("difflab-score-panel");
  let known: Known | null = null;
  let place = { x: 0, y: 0, side: 1 };

  const view = (): View => (known?.learned ? store.get("view") : "exact");
  /** The lowest level, if what is shown begins there and the clock is below it. */
  const lowest = (): number | null => {
    const first = Math.max(known?.exact?.times[0] ?? 0, view() === "exact" ? 0 : (known?.learned?.times[0] ?? 0));
    return clock.t < first ? first : null;
  };
  const draw = (surface: Surface) => {
    if (!known) return;
    const color = colors(el);
    const font = `${11 * surface.ratio}px ${getComputedStyle(el).fontFamily}`;
    const t = clock.t;
    const waiting = () => drawWord(surface, "being computed", color.mute, font);
    if (known.images) {
      if (!known.examples) return waiting();
      const level = alphaSigma(schedule(), t);
      const factor = level.sigma / Math.hypot(level.alpha, level.sigma); // out of Python's units
      const apart = known.learned?.at(schedule(), t)?.map((d) => factor * d) ?? null;
      const exact = known.exact?.at(schedule(), t) ?? null;
      return sheets.draw(surface, known.examples, level, exact, apart, color, font);
    }
    place = placeOf(surface);
    const look = {
      view: view(),
      heat: store.get("heat"),
      weighted: store.get("weighted"),
      arrows: store.get("arrows"),
      contours: store.get("contours"),
      fitted: store.get("scale") === "fitted",
    };
    if (!painter.draw(surface, known.field, lowest() ?? t, look, color, font))
      return known.examples ? drawPreview(surface, known.examples, alphaSigma(schedule(), t), color.noise) : waiting();
    if (probe.at) drawProbe(surface.context, place, probe.at, color.brand, surface.ratio);
  };
  const cloud = new CloudPainter();
  /** The points of a finite set under noise, until their field is known. */
  const drawPreview = (surface: Surface, { x0, eps }: Examples, level: AlphaSigma, points: string) => {
    const look = readLook(store);
    const at = cloud.view(surface, look, level);
    cloud.samples(surface, look, at, [x0, eps], [level.alpha, level.sigma], level, { points, border: points });
  };
  const schedule = () => store.get("schedule");
  const stage = createStage(row, draw, signal);
  const side = element("div", "difflab-score-side");
  row.append(side);
  const line = element("p", "difflab-score-line");
  panel.footer.append(line);
  const chart = store.embedded ? null : divergenceChart(side, clock, signal);

  const say = panel.guard((byKey = false) => {
    if (!known) return;
    const t = clock.t;
    title.textContent = known.images ? "Denoised, learned beside exact" : titleOf(store.get("face"), view());
    const at = known.images ? null : probe.at;
    if (byKey) line.setAttribute("role", "status");
    else line.removeAttribute("role"); // what follows the clock is not read aloud
    const context = {
      t,
      images: known.images,
      face: known.images ? ("x0" as const) : store.get("face"),
      learned: known.learned !== null,
      stale: known.stale,
      finite: store.get("oracle") === "training set",
      exactKnown: known.exact !== null,
      square: meanSquare(store, known.field, t),
      lowest: known.images ? null : lowest(),
      brief: store.embedded,
    };
    line.replaceChildren(
      ...(at ? probeLine(known.field.probe(lowest() ?? t, at.u, at.v), view(), context) : numberLine(context)),
    );
    if (!clock.playing) stage.describe(`${title.textContent} at t = ${t.toFixed(2)}. ${line.textContent}`);
  });
  const probe = createProbe(
    stage,
    () => place,
    (byKey) => {
      stage.redraw();
      say(byKey);
    },
    signal,
  );

  // -- controls ------------------------------------------------------------------------------------------------------
  const deck = createDeck(store, panel, signal);
  const more = store.embedded ? deck.drawer : deck.live; // the overview has room for the three buttons
  const choose = segmented({
    label: "field",
    choices: VIEWS,
    value: store.get("view"),
    onChange: (name) => store.set("view", name as View),
    signal,
  });
  const face = select({
    label: "face of the prediction",
    choices: FACES,
    value: store.get("face"),
    onChange: (name) => store.set("face", name as Face),
    signal,
  });
  const flag = (name: "weighted" | "arrows" | "contours", label: string, title: string) => {
    const control = toggle({ label, title, on: store.get(name), onChange: (on) => store.set(name, on), signal });
    store.on(name, () => control.set(store.get(name)), signal);
    return control.root;
  };
  const probing = toggle({
    label: "Probe",
    title: "Arrow keys on the picture move a point; its numbers stand under it",
    on: false,
    onChange: (on) => {
      probe.on = on;
      if (on) stage.canvas.focus();
      stage.redraw();
      say(on);
    },
    signal,
  });
  const heat = select({
    label: "heat",
    choices: HEATS,
    value: store.get("heat"),
    onChange: (name) => store.set("heat", name as Heat),
    signal,
  });
  const scale = select({
    label: "scale of the difference",
    choices: SCALES,
    value: store.get("scale"),
    onChange: (name) => store.set("scale", name as State["scale"]),
    signal,
  });
  const resolution = select({
    label: "grid of the learned field",
    choices: [24, 40, 64].map((n) => ({ name: String(n), label: `learned on ${n} × ${n}` })),
    value: String(store.get("resolution")),
    kernel: true,
    onChange: (name) => store.set("resolution", Number(name)),
    signal,
  });
  deck.live("view", choose.root);
  more("face", face.root);
  more("weighted", flag("weighted", "× p_t", "Weigh by p_t: only where samples are do errors count"));
  if (store.embedded) probing.root.hidden = true; // the Lab's arrows scrub
  more("probe", probing.root);
  deck.drawer("arrows", flag("arrows", "Arrows", "Draw the field as arrows"));
  deck.drawer("heat", heat.root);
  deck.drawer("scale", scale.root);
  deck.drawer("contours", flag("contours", "Contours of p_t", "Where a Gaussian has 1, 2 and 3 standard deviations"));
  deck.drawer("resolution", resolution.root);
  const pointsOnly = [...panel.root.querySelectorAll<HTMLElement>("[data-control]")].filter(
    (control) => !["seed", "png"].includes(control.dataset.control!),
  );
  stage.canvas.tabIndex = 0;
  if (!store.embedded) {
    const bar = timeBar(clock, schedule, signal);
    panel.footer.append(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal);
    store.on("schedule", bar.refresh, signal);
  }

  // -- what the kernel sends -----------------------------------------------------------------------------------------
  const read = panel.guard(() => {
    const look = readLook(store);
    const fresh = current(store, store.get("learned_for"));
    const stack = (times: NDArray | null, values: NDArray<Float32Array> | null) =>
      times && values && values.shape[0] === times.shape[0] ? new Stack(times.data, values.data) : null;
    const learned = fresh ? stack(store.get("levels"), store.get("learned")) : null;
    const exact = current(store, store.get("exact_for")) ? stack(store.get("exact_levels"), store.get("exact")) : null;
    const mixture = look.images ? null : readMixture(store.get("mixture"));
    const [x0, eps] = [store.get("x0"), store.get("eps")];
    known = {
      field: new ScoreField(
        { mixture, exact, learned, extent: look.extent },
        schedule(),
        look.images ? "x0" : store.get("face"),
      ),
      exact,
      learned,
      examples: x0 && eps ? { x0: x0.data, eps: eps.data, shape: look.shape, range: look.range } : null,
      images: look.images,
      stale: !fresh && store.get("learned") !== null,
    };
    for (const control of pointsOnly) control.hidden = look.images || (store.embedded && control === probing.root);
    choose.set(view());
    for (const [i, el] of [...choose.root.querySelectorAll("button")].entries()) el.disabled = i > 0 && !learned;
    face.set(store.get("face"));
    heat.set(store.get("heat"));
    scale.set(store.get("scale"));
    resolution.set(String(store.get("resolution")));
    panel.setNote(
      store.get("weighted") && !look.images ? "weighted by p_t" : store.embedded ? "" : `exact: ${store.get("oracle")}`,
    );
    side.hidden = !learned;
    chart?.show(store, known.field, learned);
    stage.redraw();
    say();
  });
  const later = onNextFrame(read, signal);
  store.on(
    [
      "kind", "image_shape", "extent", "range", "mixture", "schedule", "oracle", "view", "face", "weighted", "arrows",
      "heat", "contours", "scale", "resolution", "levels", "learned", "error_at", "learned_for", "exact", "exact_levels",
      "exact_for", "x0", "eps",
    ],
    later,
    signal,
  ); // prettier-ignore
  read();
  clock.subscribe(() => {
    stage.redraw();
    say();
  }, signal);
};
