/**
 * DrawData: a data set drawn by hand, as points with classes or as the ellipses of a Gaussian mixture.
 *
 * All drawing happens here; Python hears of it and feeds it to other scenes. In a saved page one still draws.
 */
import { createDeck } from "../core/deck";
import { bindKeys, followHand, undoKey, type Hand } from "../core/drawing";
import { readout } from "../core/controls";
import { count, format, short, withError } from "../core/numbers";
import { createPanel, element, followMessages, watched } from "../core/panel";
import { createStage, type Surface } from "../core/stage";
import type { Scene, SceneState } from "../core/store";
import { colors } from "../core/theme";
import { addControls } from "./drawing_controls";
import { DrawingDesk, type Drawing, type Mode } from "./drawing_desk";
import { DrawingSheet, extentOf } from "./drawing_sheet";
import { sigmaOfEllipses, type Ellipse } from "./drawn_ellipses";
import { classesIn, sigmaOfPoints, type DrawnPoints } from "./drawn_points";
import { EllipsesHand } from "./ellipses_hand";
import { paste } from "./paste_form";
import { PointsHand, type Tool } from "./points_hand";
import "./draw_data.css";

export interface Facts {
  /** Nats, of the mixture of these ellipses, and its error. */
  entropy: number;
  error: number;
  ellipses: Ellipse[];
}

export interface State extends SceneState {
  mode: Mode;
  drawn: DrawnPoints;
  ellipses: Ellipse[];
  /** Name of the drawing in `choices` that this is, or "" for one's own. */
  preset: string;
  /** By how much given points were scaled; 1 for drawn ones. */
  scaled: number;
  tool: Tool;
  pen_class: number;
  /** Width of the spray and of the eraser in data units; the pen's points are a quarter of it apart. */
  brush: number;
  snap: boolean;
  /** Of the mixture, drawn on top of its density. */
  samples: number;
  choices: { name: string; label: string }[];
  /** Names of the scenes that show what is drawn. */
  feeds: string[];
  facts: Facts | null;
}

const KEYS = {
  points: "Arrows move the cursor, Space puts the pen down or up, Enter draws one point, digits choose the class.",
  mixture:
    "Tab selects a component, arrows move it, Shift and arrows stretch it, brackets turn it, plus and minus weigh it, " +
    "Delete deletes it, Enter adds one.",
};

export const drawData: Scene<State> = (store, el, _clock, signal) => {
  const panel = createPanel(el, { title: "Draw data" });
  followMessages(store, panel, signal);
  panel.root.classList.add("difflab-draws");
  panel.body.classList.add("difflab-draw");
  const sheet = new DrawingSheet();
  const place = () => sheet.place;
  const redraw = () => stage.redraw();

  const draw = (surface: Surface) => {
    const { width, height, ratio } = surface;
    const { now } = desk;
    const color = colors(el);
    const view = sheet.view(width, height, ratio);
    sheet.frame(surface, view, color, store.get("snap"));
    if (now.mode === "mixture") {
      sheet.mixtureOn(surface, view, color, now, store.get("seed"), store.get("samples"));
      sheet.ellipses(surface, view, color, now.ellipses, ellipses);
      if (now.ellipses.length === 0) sheet.invite(surface, view, color, "mixture");
      return;
    }
    const shown = points.points();
    if (shown !== now.points) panel.setNote(what({ ...now, points: shown })); // a stroke is in work
    if (shown.classes.length === 0) sheet.invite(surface, view, color, "points");
    sheet.points(surface, view, color, shown);
    const [brush, tool, kind] = [store.get("brush"), store.get("tool"), store.get("pen_class")];
    sheet.pen(surface, view, color, points, { brush, tool, kind });
  };
  const stage = createStage(panel.body, draw, signal);
  const { canvas } = stage;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application"); // arrows and Tab are the drawing's own here
  canvas.setAttribute("aria-roledescription", "drawing surface");
  const said = element("p", "difflab-caption difflab-draw-said");
  said.setAttribute("role", "status");
  const numbers = numbersBeside();
  panel.body.append(numbers.root, said);
  const say = (text: string) => (said.textContent = text);

  const show = (replaced: boolean) => {
    const { now } = desk;
    if (ellipses.selected >= now.ellipses.length) ellipses.selected = -1;
    if (replaced || !ellipses.holding) sheet.extent = extentOf(now);
    const words = what(now);
    panel.setNote(words);
    stage.describe(`Draw data: ${words}. ${KEYS[now.mode]}`);
    numbers.show(now, store.get("facts"), store.hasKernel);
    controls.show();
    redraw();
  };
  const desk = new DrawingDesk(store, show, signal);
  const points = new PointsHand(store, desk, place, { redraw, say, classChosen: () => controls.show() }, signal);
  const ellipses = new EllipsesHand(store, desk, place, { redraw, say, selectionChanged: () => controls.show() });
  const deck = createDeck(store, panel, signal);
  const controls = addControls(deck, store, desk, ellipses, signal);

  const hand = (): PointsHand | EllipsesHand => (desk.now.mode === "points" ? points : ellipses);
  /** The hand that began the stroke ends it, whatever the kernel does meanwhile. */
  let working: Hand = points;
  followHand(
    canvas,
    {
      down(spot) {
        working = hand();
        return working.down(spot);
      },
      move: (spots) => working.move(spots),
      up: () => working.up(),
      cancel: () => working.cancel(),
      hover: (spot) => hand().hover(spot),
    },
    signal,
  );
  const key = (event: KeyboardEvent) => {
    const way = undoKey(event);
    if (way === 0) return hand().key(event);
    points.rest();
    if (way < 0) desk.undo();
    else desk.redo();
    return true;
  };
  bindKeys(canvas, key, signal);
  canvas.addEventListener("blur", () => points.rest(), { signal });
  canvas.addEventListener("focus", () => say(""), { signal });
  const spotOf = (event: MouseEvent) => ({ x: event.offsetX, y: event.offsetY });
  canvas.addEventListener(
    "dblclick",
    watched(el, (event) => desk.now.mode === "mixture" && ellipses.addAt(spotOf(event))),
    { signal },
  );
  const onWheel = (event: WheelEvent) => {
    if (desk.now.mode !== "mixture" || event.ctrlKey || !canvas.matches(":focus")) return;
    if (ellipses.wheel(event, spotOf(event))) event.preventDefault();
  };
  canvas.addEventListener("wheel", onWheel, { signal, passive: false });
  const onPaste = watched(canvas, (event: ClipboardEvent) => {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    event.preventDefault();
    event.stopPropagation();
    say(paste(text, desk));
  });
  canvas.addEventListener("paste", onPaste, { signal });

  const feeding = element("p", "difflab-quiet difflab-feeds");
  panel.footer.append(feeding);
  const showFeeds = () => {
    const feeds = store.get("feeds") ?? [];
    const none = store.embedded || feeds.length === 0;
    feeding.textContent = store.hasKernel ? (none ? "" : `Feeds ${feeds.join(", ")}.`) : NO_KERNEL;
    feeding.hidden = feeding.textContent === "";
  };
  showFeeds();
  store.on("feeds", showFeeds, signal);
  store.on("facts", () => numbers.show(desk.now, store.get("facts"), store.hasKernel), signal);
  store.on(["seed", "snap", "samples", "brush", "tool", "pen_class"], redraw, signal);
  show(true);
};

const NO_KERNEL = "Drawing works in this page; to feed other scenes with it needs Python.";

function what({ mode, points, ellipses, scaled }: Drawing): string {
  const note = scaled === 1 ? "" : ` · scaled by ${short(scaled)}`;
  if (mode === "mixture") {
    const n = ellipses.length;
    return `${n} ${n === 1 ? "component" : "components"}${n ? " · exact density" : ""}${note}`;
  }
  const n = points.classes.length;
  const kinds = classesIn(points);
  return `${count(n)} ${n === 1 ? "point" : "points"}${kinds > 1 ? ` in ${kinds} classes` : ""}${note}`;
}

/** What the drawing is as data. All are exact; the entropy comes from Python a moment later. */
function numbersBeside() {
  const root = element("div", "difflab-numbers difflab-draw-numbers");
  const size = readout("points");
  const kinds = readout("classes");
  const sigma = readout("sigma_data");
  const entropy = readout("entropy");
  root.append(size.root, kinds.root, sigma.root, entropy.root);
  const show = ({ mode, points, ellipses }: Drawing, facts: Facts | null, hasKernel: boolean) => {
    const mixture = mode === "mixture";
    const n = mixture ? ellipses.length : points.classes.length;
    size.setLabel(mixture ? "components" : "points");
    size.set(count(n));
    kinds.root.hidden = mixture;
    kinds.set(count(classesIn(points)));
    const spread = mixture ? sigmaOfEllipses(ellipses) : sigmaOfPoints(points);
    sigma.set(Number.isFinite(spread) ? format(spread) : "", { exact: true });
    entropy.root.hidden = !mixture;
    const current = facts !== null && JSON.stringify(facts.ellipses) === JSON.stringify(ellipses);
    const why = n === 0 ? "" : hasKernel ? "…" : "needs Python";
    // quadrature: its error is far below what is written
    if (current && n > 0) entropy.set(withError(facts.entropy, facts.error), { unit: "nats", exact: true });
    else entropy.set("", { why });
  };
  return { root, show };
}
