/**
 * ReverseTrajectories: samples on their way from noise to data, by several samplers and denoisers, from the same noise.
 * Frames crossed the wire once; the clock moves through them at display rate.
 */
import { dimOf, readLook } from "../core/cloud";
import { named } from "../core/deck";
import { readMixture } from "../core/density";
import { onNextFrame } from "../core/frame";
import { count, format, withError } from "../core/numbers";
import { createPanel, element, followMessages } from "../core/panel";
import { pressedIn } from "../core/pressed";
import type { Clock, Scene, Store } from "../core/store";
import { bindTimeKeys, timeBar } from "../core/timebar";
import { nextTime, noise } from "../core/trajectory";
import { fateChart } from "./fate_chart";
import { createColumn, type ColumnView, type Heading, type Scenery } from "./reverse_column";
import { fatesFor, isCurrent, kindOf, MOST, nameOf, readColumns, shortNames, shownColumns, type Column, type State } from "./reverse_runs"; // prettier-ignore
import "./reverse_trajectories.css";
import { samplingControls } from "./sampling_controls";
import { current } from "./staleness";

export type { State } from "./reverse_runs";

const WAITING = { points: 2000, images: 36 };
/** A hand that moved farther, in CSS pixels, was no click. */
const STILL = 6;
const MOST_PICKED = 12;
/** CSS pixels under which a panel has no room for numbers. */
const LOW = 420;

export const reverseTrajectories: Scene<State> = (store, el, clock, signal) => {
  const panel = createPanel(el, { title: "Reverse trajectories" });
  if (store.embedded) followSize(panel.root, signal);
  followMessages(store, panel, signal);
  const followLive = liveFollower(clock);
  let columns = readColumns(store);
  let scenery = readScenery(store, clock, null);

  const pair = element("div", "difflab-pair difflab-columns-shown");
  panel.body.append(pair);
  const views = Array.from({ length: MOST }, () => createColumn(pair, () => scenery, signal));
  const chart = fateChart(panel.body, clock, signal);
  const move = () => {
    scenery = readScenery(store, clock, scenery);
    views.forEach((view) => !view.root.hidden && view.stage.redraw());
  };
  const refresh = onNextFrame(
    panel.guard(() => {
      columns = readColumns(store);
      scenery = readScenery(store, clock, scenery);
      const shown = shownColumns(columns, store.get("column") ?? 0);
      views.forEach((view, index) => {
        const column = shown.find((c) => c.index === index);
        view.root.hidden = !column;
        if (column) view.show(column, headingOf(store, column), () => fatesFor(store, column));
      });
      pair.dataset.columns = String(shown.length);
      const sampled = shown.filter((column) => column.trajectory && !column.live);
      const fated = store.get("colour") === "mode" ? sampled : [];
      const names = shortNames(fated, store.get("samplers") ?? []);
      chart.show(
        fated.flatMap((column, i) => {
          const fates = fatesFor(store, column);
          return fates ? [{ column, fates, name: names[i] }] : [];
        }),
      );
      panel.body.classList.toggle("difflab-old", scenery.old);
      panel.setNote(note(store, columns, shown, scenery));
      followLive.move(store.get("live") ? store.get("live_t") : null);
    }),
    signal,
  );

  views.forEach((view) => picking(store, view, signal));
  samplingControls(store, panel, followLive.start, signal);
  if (!store.embedded) {
    views.forEach(({ stage }) => (stage.canvas.tabIndex = 0));
    const step = (t: number) => nextTime(columns.find((c) => c.trajectory)?.trajectory?.times ?? new Float32Array(), t);
    const bar = timeBar(clock, () => store.get("schedule"), signal, { direction: -1, step });
    panel.footer.prepend(named(store, "time", bar.root, signal));
    bindTimeKeys(el, clock, signal, -1);
    store.on("schedule", bar.refresh, signal);
  }
  store.on(TRAITS, refresh, signal);
  clock.subscribe(move, signal);
  refresh();
};

/** The Lab says how large a panel is; a low one shows the pictures and little else. */
function followSize(root: HTMLElement, signal: AbortSignal): void {
  const observer = new ResizeObserver(([{ contentRect }]) =>
    root.classList.toggle("difflab-small", contentRect.height < LOW),
  );
  observer.observe(root);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
}

const TRAITS = [
  "times_1", "times_2", "times_3", "times_4", "frames_1", "frames_2", "frames_3", "frames_4", "results", "runs",
  "computed_for", "live", "live_column", "live_t", "mixture", "schedule", "kind", "quality", "image_shape", "extent",
  "range", "colour", "picture", "column", "picked", "samplers", "budget", "grid", "n", "seed",
] as const; // prettier-ignore

function readScenery(store: Store<State>, clock: Clock, before: Scenery | null): Scenery {
  const look = readLook(store);
  const live = store.get("live");
  const dim = dimOf(look);
  const n = look.images ? WAITING.images : WAITING.points;
  const waiting = before?.waiting.length === n * dim ? before.waiting : noise(n, dim, store.get("seed") ?? 0);
  const question = store.get("computed_for");
  const raw = store.get("mixture");
  return {
    look,
    schedule: question?.schedule ?? store.get("schedule"),
    mixture: look.images || !raw ? null : mixtureOf(raw),
    // While a run is under way all columns show its time, so that they stay comparable.
    t: live ? (store.get("live_t") ?? 1) : clock.t,
    byMode: store.get("colour") === "mode",
    strip: store.get("picture") === "strip",
    picked: store.get("picked") ?? [],
    waiting,
    old: question ? !current(store, { schedule: question.schedule }) : false,
  };
}

const mixtures = new WeakMap<object, ReturnType<typeof readMixture>>();

/** The clock asks sixty times a second; the same trait is read once. */
function mixtureOf(raw: object): ReturnType<typeof readMixture> {
  if (!mixtures.has(raw)) mixtures.set(raw, readMixture(raw));
  return mixtures.get(raw)!;
}

/** What stands above a picture. */
function headingOf(store: Store<State>, column: Column): Heading {
  const kind = kindOf(column);
  if (column.live) return { kind: `${kind} · t = ${format(store.get("live_t"))}`, method: "", quality: "" };
  const run = column.result?.run ?? column.run;
  const { energy_distance: value = null, energy_distance_error: error = null } = column.result ?? {};
  return {
    kind: store.get("runs").length > 2 ? `${column.index + 1} · ${kind}` : kind,
    method: ` · ${nameOf(run, store.get("samplers") ?? [], store.get("computed_for")?.budget ?? "steps")}`,
    quality: value === null ? "" : ` ${withError(value, error)}`,
  };
}

function note(store: Store<State>, columns: Column[], shown: Column[], { look, old }: Scenery): string {
  if (store.get("live")) return "";
  const run = shown.find((column) => column.trajectory)?.trajectory;
  if (!run) return "not sampled yet";
  if (old) return store.hasKernel ? "of the schedule before · sample again" : "of another schedule";
  if (store.hasKernel && !(isCurrent(columns) && current(store, store.get("computed_for"))))
    return "changed · press Sample";
  if (store.embedded && store.get("quality")) return store.get("quality")!.label;
  const what = `${count(run.samples)} ${look.images ? "images" : "points"}`;
  return shown.length > 1 ? `${what} · same noise` : what;
}

/** A click picks the sample under it, or lets go of it; on the keyboard Enter picks one more, Backspace lets go of the last. */
function picking(store: Store<State>, { stage, at }: ColumnView, signal: AbortSignal): void {
  const { canvas } = stage;
  let down: PointerEvent | null = null;
  const picked = () => store.get("picked") ?? [];
  const set = (next: number[]) => store.set("picked", next.slice(-MOST_PICKED));
  canvas.addEventListener("pointerdown", (event) => (down = event.button === 0 ? event : null), { signal });
  canvas.addEventListener(
    "pointerup",
    (event) => {
      if (!down || Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > STILL) return;
      const box = canvas.getBoundingClientRect();
      const i = at(event.clientX - box.left, event.clientY - box.top);
      if (i < 0) return picked().length ? set([]) : undefined;
      set(picked().includes(i) ? picked().filter((k) => k !== i) : [...picked(), i]);
    },
    { signal },
  );
  // on the window, before JupyterLab takes Enter for the notebook
  window.addEventListener(
    "keydown",
    (event) => {
      if (pressedIn(event) !== canvas || event.ctrlKey || event.metaKey || event.altKey) return;
      const now = picked();
      if (event.key === "Enter") {
        let next = 0;
        while (now.includes(next)) next++;
        set([...now, next]);
      } else if (event.key === "Backspace" || event.key === "Delete") set(now.slice(0, -1));
      else if (event.key === "Escape" && now.length) set([]);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    { capture: true, signal },
  );
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
