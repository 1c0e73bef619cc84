/** The controls of DrawData: two modes, the tools of each, and in the drawer what is done once. */
import { button, segmented, select, slider, toggle } from "../core/controls";
import type { Deck } from "../core/deck";
import { DASH, short } from "../core/numbers";
import { element } from "../core/panel";
import type { Store } from "../core/store";
import { colors, onThemeChange } from "../core/theme";
import type { State } from "./draw_data";
import type { DrawingDesk, Mode } from "./drawing_desk";
import { MOST_COMPONENTS, share, standardEllipses } from "./drawn_ellipses";
import { CLASSES, NO_POINTS, standardPoints } from "./drawn_points";
import type { EllipsesHand } from "./ellipses_hand";
import { pasteForm } from "./paste_form";
import { classColors, drawMark, SHAPES } from "./point_marks";
import type { Tool } from "./points_hand";

const OWN = "own";

export function addControls(
  deck: Deck,
  store: Store<State>,
  desk: DrawingDesk,
  ellipses: EllipsesHand,
  signal: AbortSignal,
): { show(): void } {
  const mode = segmented({
    label: "what is drawn",
    choices: [
      { name: "points", label: "Points" },
      { name: "mixture", label: "Mixture" },
    ],
    value: desk.now.mode,
    onChange: (name) => desk.commit({ mode: name as Mode }),
    signal,
  });
  const tool = segmented({
    label: "tool",
    choices: [
      { name: "pen", label: "Pen" },
      { name: "spray", label: "Spray" },
      { name: "erase", label: "Erase" },
    ],
    value: store.get("tool"),
    onChange: (name) => store.set("tool", name as Tool),
    signal,
  });
  const add = button({ label: "Add", title: "One more Gaussian", onClick: () => ellipses.add(), signal });
  const remove = button({
    label: "Delete",
    title: "Delete the selected one",
    onClick: () => ellipses.remove(),
    signal,
  });
  const shaping = row(add, remove);
  const swatches = classChooser(store, signal);
  const weight = slider({
    label: "weight",
    min: 0.005,
    max: 0.995,
    value: 0.5,
    format: (v) => (desk.now.ellipses[ellipses.selected] ? `${(100 * v).toFixed(1)} %` : DASH),
    onInput: (v) => ellipses.weigh(v, false),
    onChange: (v) => ellipses.weigh(v),
    signal,
  });
  const brush = slider({
    label: "brush",
    min: 0.05,
    max: 1,
    log: true,
    value: store.get("brush"),
    format: (v) => short(v, 2),
    onInput: (v) => store.set("brush", v),
    signal,
  });
  const undo = button({
    label: "Undo",
    title: "Take the last stroke back (Ctrl+Z)",
    onClick: () => desk.undo(),
    signal,
  });
  const redo = button({ label: "Redo", title: "Draw it again (Ctrl+Shift+Z)", onClick: () => desk.redo(), signal });

  deck.live("mode", mode.root);
  deck.live("tool", row(tool.root, shaping));
  const kind = row(swatches.root, weight.root);
  kind.classList.add("difflab-draw-kind");
  deck.live("class", kind);
  deck.live("brush", brush.root);
  deck.live("undo", row(undo, redo));

  const choices = () => [{ name: OWN, label: "drawn by hand" }, ...store.get("choices")];
  const presets = select({
    label: "begin with",
    choices: choices(),
    value: desk.now.preset || OWN,
    kernel: true,
    onChange(name) {
      if (name === OWN) presets.set(desk.now.preset || OWN);
      else store.request("preset", { name });
    },
    signal,
  });
  const scale = () => {
    const { now } = desk;
    if (now.mode === "mixture") {
      if (now.ellipses.length === 0) return;
      const { ellipses: scaled, scale } = standardEllipses(now.ellipses);
      return desk.commit({ ellipses: scaled, scaled: now.scaled * scale });
    }
    const standard = standardPoints(now.points);
    if (!standard) throw new Error("Points in one place have no variance to scale: draw some more.");
    desk.commit({ points: standard.points, scaled: now.scaled * standard.scale });
  };
  const clear = () => {
    const empty = desk.now.mode === "mixture" ? { ellipses: [] } : { points: NO_POINTS };
    desk.commit({ ...empty, scaled: 1 });
  };
  const samples = slider({
    label: "samples",
    min: 0,
    max: 5000,
    step: 100,
    value: store.get("samples"),
    onInput: (v) => store.set("samples", v),
    signal,
  });
  const snap = toggle({
    label: "Snap to a grid",
    title: "Points and centres go to multiples of 0.25, angles to 15°",
    on: store.get("snap"),
    onChange: (on) => store.set("snap", on),
    signal,
  });
  deck.drawer("preset", presets.root);
  deck.drawer("paste", pasteForm(desk, signal));
  deck.drawer("samples", samples.root);
  deck.drawer("snap", snap.root);
  deck.drawer(
    "scale",
    button({ label: "Scale to variance 1", title: "Shift to mean 0 and scale by one number", onClick: scale, signal }),
  );
  deck.drawer(
    "clear",
    button({ label: "Clear", title: "An empty sheet; Undo brings it back", onClick: clear, signal }),
  );

  const show = () => {
    const { now } = desk;
    const mixture = now.mode === "mixture";
    mode.set(now.mode);
    tool.set(store.get("tool"));
    tool.root.hidden = swatches.root.hidden = brush.root.hidden = mixture;
    shaping.hidden = weight.root.hidden = samples.root.hidden = !mixture;
    const chosen = now.ellipses[ellipses.selected] !== undefined;
    remove.disabled = !chosen;
    add.disabled = now.ellipses.length >= MOST_COMPONENTS;
    weight.setDisabled(!chosen || now.ellipses.length < 2);
    weight.set(chosen ? share(now.ellipses, ellipses.selected) : 1 / Math.max(2, now.ellipses.length));
    undo.disabled = !desk.canUndo;
    redo.disabled = !desk.canRedo;
    presets.set(now.preset || OWN);
    brush.set(store.get("brush"));
    samples.set(store.get("samples"));
    snap.set(store.get("snap"));
    swatches.show();
  };
  store.on(["tool", "brush", "samples", "snap", "pen_class"], show, signal);
  return { show };
}

function row(...controls: HTMLElement[]): HTMLElement {
  const root = element("div", "difflab-draw-row");
  root.append(...controls);
  return root;
}

/** The ten classes, each with its mark. */
function classChooser(store: Store<State>, signal: AbortSignal): { root: HTMLElement; show(): void } {
  const root = element("div", "difflab-draw-classes");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "class of the next points");
  const buttons = Array.from({ length: CLASSES }, (_, kind) => {
    const one = button({
      label: "",
      title: `class ${kind}`,
      onClick: () => store.set("pen_class", kind),
      signal,
    });
    one.setAttribute("aria-label", `class ${kind}, ${SHAPES[kind]}`);
    one.append(element("canvas", ""));
    return one;
  });
  root.append(...buttons);
  const paint = () => {
    if (!root.isConnected) return;
    const { dark } = colors(root);
    const ratio = window.devicePixelRatio || 1;
    buttons.forEach((one, kind) => {
      const canvas = one.querySelector("canvas")!;
      canvas.width = canvas.height = Math.round(16 * ratio);
      const context = canvas.getContext("2d")!;
      context.fillStyle = context.strokeStyle = classColors(dark)[kind];
      drawMark(context, kind, 8 * ratio, 8 * ratio, 5 * ratio);
    });
  };
  const show = () =>
    buttons.forEach((one, kind) => one.setAttribute("aria-pressed", String(kind === store.get("pen_class"))));
  show();
  requestAnimationFrame(paint);
  onThemeChange(root, paint, signal);
  return { root, show };
}
