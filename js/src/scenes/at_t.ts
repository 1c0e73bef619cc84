/** The Lab's numbers at the clock's t: what the network loses there, and how much of it nobody could save. */
import { readout } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { DASH, format, withError } from "../core/numbers";
import { createPanel, element } from "../core/panel";
import { alphaSigma, logSnr } from "../core/schedule";
import type { Clock, Store } from "../core/store";
import "./scenes.css";
import type { State as FloorState } from "./loss_floor";
import { readBits } from "./bit_state";
import { along, measured } from "./loss_profile";
import type { State as DeskState } from "./schedule_desk";
import type { Totals } from "./totals_strip";
import type { State as BitsState } from "./where_the_bits_go";
import type { State as ReverseState } from "./reverse_trajectories";
import { staleness, type Staleness } from "./staleness";

export interface LabStores {
  desk: Store<DeskState>;
  bits: Store<BitsState>;
  floor: Store<FloorState>;
  reverse: Store<ReverseState>;
}

/** A value and its standard error. */
interface Measure {
  value: number;
  error: number;
}

/** The exact floor and the learned loss at `t`, in the face that LossFloor shows; null where nothing is known. */
export function lossAt(store: Store<FloorState>, t: number): { floor: Measure | null; learned: Measure | null } {
  const times = Array.from(store.get("times")?.data ?? []);
  const row = (store.get("measures") ?? []).indexOf(store.get("prediction"));
  const all = store.get("factors");
  if (times.length === 0 || row < 0 || !all) return { floor: null, learned: null };
  const factor = all.data.subarray(row * times.length, (row + 1) * times.length);
  const at = (name: "floor" | "excess"): Measure | null => {
    const pairs = store.get(name);
    if (!pairs) return null;
    const { value, error } = measured(pairs.data, factor);
    return { value: along(times, value, t), error: along(times, error, t) };
  };
  const [floor, excess] = [at("floor"), at("excess")];
  if (!floor || !excess) return { floor, learned: null };
  const error = Math.hypot(floor.error, excess.error); // their draws are independent
  return { floor, learned: { value: floor.value + excess.value, error } };
}

/** Python says null of an entropy that nobody knows; before it has spoken there is none yet. */
export function whyNoEntropy({ entropy }: Totals, asked: string): string {
  return entropy === null ? "not known for these data" : asked;
}

/** What the two big numbers say together. */
export function moral(learned: number | null, floor: number | null): string {
  if (floor === null) return "No exact floor is known for these data.";
  if (learned === null) return "Not trained yet: the floor is what a perfect network would lose here.";
  const share = floor / learned;
  if (share >= 0.995) return "Within the noise of this estimate the network is as good as exact here.";
  const percent = `${Math.round(100 * share)} %`;
  if (share >= 0.8) return `A flat loss is not a broken one: ${percent} of it is the floor.`;
  return `${percent} of the loss is the floor; the other ${format(learned - floor, 2)} can still be learned.`;
}

const FACES = { eps: "eps", x0: "x₀", v: "v", score: "the score" } as const;

export function atT(
  { desk, bits, floor, reverse }: LabStores,
  el: HTMLElement,
  clock: Clock,
  signal: AbortSignal,
): void {
  const panel = createPanel(el, { title: "At t" });
  const title = panel.root.querySelector(".difflab-title > span")!;
  const learnedLoss = big("learned loss", "");
  const floorLoss = big("exact floor", "difflab-exact");
  const snr = readout("log-SNR");
  const level = readout("alpha, sigma");
  const boundLearned = readout("bound, learned");
  const boundOptimal = readout("bound, optimal");
  const entropy = readout("entropy (exact)");
  const quality = readout("sample quality");
  const grid = element("div", "difflab-numbers difflab-at-t");
  grid.append(...[snr, level, boundLearned, boundOptimal, entropy, quality].map((r) => r.root));
  const words = element("p", "difflab-quiet difflab-moral");
  panel.body.append(learnedLoss.root, floorLoss.root, grid, words);

  const drawMoment = () => {
    const t = clock.t;
    title.textContent = `At t = ${t.toFixed(2)}`;
    const schedule = desk.get("schedule");
    const { alpha, sigma } = alphaSigma(schedule, t);
    snr.set(format(logSnr(schedule, t)));
    level.set(`${format(alpha)}, ${format(sigma)}`);
    const { gone, waits, why } = ageOf(lossAge);
    const at = gone ? { floor: null, learned: null } : lossAt(floor, t);
    learnedLoss.set(at.learned, why || "not trained yet", waits);
    floorLoss.set(at.floor, why || "being computed", waits);
    panel.setNote(`squared error of ${FACES[floor.get("prediction")]}`);
    words.textContent = at.floor !== null && !why ? moral(at.learned?.value ?? null, at.floor.value) : "";
  };
  const drawTotals = () => {
    const bound = readBits(bits); // under the desk's schedule of this moment, by the curve where Python has not answered yet
    const totals = bound?.totals ?? {};
    const unit = bits.get("unit");
    const inUnit = unit ? `, ${unit}` : "";
    boundLearned.setLabel(`bound, learned${inUnit}`);
    boundOptimal.setLabel(`bound, optimal${inUnit}`);
    const set = (
      r: ReturnType<typeof readout>,
      name: "learned" | "optimal" | "entropy",
      exact: boolean,
      why: string,
    ) => {
      const value = totals[name];
      r.set(value == null ? "" : withError(value, totals[`${name}_error`]), { exact, why });
    };
    const asked = bits.hasKernel ? "being computed" : "needs Python";
    set(boundLearned, "learned", false, bits.get("learned") === null ? "not trained yet" : asked);
    set(boundOptimal, "optimal", true, asked);
    set(entropy, "entropy", true, whyNoEntropy(totals, asked));
    const q = reverse.get("quality");
    quality.root.firstElementChild!.textContent = q?.label ?? "sample quality";
    const sampled = q && (q.learned ?? q.exact);
    if (!q || sampled == null) return quality.set("", { why: "nothing sampled yet" });
    if (q.learned === null) quality.set(withError(q.exact, q.exact_error), { exact: true });
    else quality.set(withError(q.learned, q.learned_error));
  };
  const moment = onNextFrame(panel.guard(drawMoment), signal);
  const totals = onNextFrame(panel.guard(drawTotals), signal);
  const lossFor = () => floor.get("computed_for");
  const lossAge = staleness(desk, floor, "floor", lossFor, moment, signal);
  floor.on(["excess", "prediction", "factors", "computed_for"], moment, signal);
  desk.on(["schedule", "steps"], totals, signal);
  bits.on(["totals", "mmse", "about", "learned", "computed_for", "computed_as", "variance", "unit"], totals, signal);
  reverse.on("quality", totals, signal);
  clock.subscribe(panel.guard(drawMoment), signal);
  panel.guard(drawTotals)();
}

/** While Python computes for a new schedule the old numbers stay, faint; without Python they go. */
function ageOf(age: Staleness): { gone: boolean; waits: boolean; why: string } {
  const why = age.reason();
  return { gone: why !== "" && !age.answered, waits: why !== "" && age.answered, why };
}

function big(label: string, colour: string) {
  const root = element("div", `difflab-big ${colour}`.trim());
  const number = element("b", "");
  const name = element("span", "");
  root.append(number, name);
  return {
    root,
    set(told: Measure | null, why: string, waits: boolean) {
      number.textContent = told === null ? DASH : format(told.value);
      root.classList.toggle("difflab-none", told === null);
      root.classList.toggle("difflab-waits", waits);
      const error = told && told.error > 0 ? `± ${format(told.error, 1)} ` : "";
      name.textContent = error + ((told === null || waits) && why ? `${label} · ${why}` : label);
    },
  };
}
