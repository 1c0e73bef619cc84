/** The Lab's numbers at the clock's t: what the network loses there, and how much of it nobody could save. */
import { readout } from "../core/controls";
import { onNextFrame } from "../core/frame";
import { DASH, format, withError } from "../core/numbers";
import { createPanel, element } from "../core/panel";
import { alphaSigma, logSnr } from "../core/schedule";
import type { Clock, Store } from "../core/store";
import { flatNumbers } from "../core/wire";
import "./scenes.css";
import type { State as LabState } from "./lab";
import type { State as DeskState } from "./schedule_desk";
import type { State as BitsState } from "./where_the_bits_go";
import type { State as ReverseState } from "./reverse_trajectories";
import { staleness, type Question, type Staleness } from "./staleness";

export interface LabStores {
  lab: Store<LabState>;
  desk: Store<DeskState>;
  bits: Store<BitsState>;
  reverse: Store<ReverseState>;
}

export interface Profile {
  computed_for?: Question | null;
  t: unknown;
  floor: unknown;
  learned: unknown;
}

/** Value at `t` of the polygon through (times, values); its ends beyond them; null where nothing is known. */
export function interpolate(times: ArrayLike<number>, values: ArrayLike<number>, t: number): number | null {
  const n = Math.min(times.length, values.length);
  if (n === 0) return null;
  if (t <= times[0]) return known(values[0]);
  for (let i = 1; i < n; i++)
    if (t <= times[i]) {
      const u = (t - times[i - 1]) / (times[i] - times[i - 1]);
      return known(values[i - 1] + u * (values[i] - values[i - 1]));
    }
  return known(values[n - 1]);
}

const known = (x: number): number | null => (Number.isFinite(x) ? x : null);

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

export function atT({ lab, desk, bits, reverse }: LabStores, el: HTMLElement, clock: Clock, signal: AbortSignal): void {
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
    const profile = lab.get("profile");
    const times = profile?.t ? flatNumbers(profile.t) : [];
    const { gone, waits, why } = ageOf(profileAge);
    const at = (values: unknown) => (values && !gone ? interpolate(times, flatNumbers(values), t) : null);
    const [floor, learned] = [at(profile?.floor), at(profile?.learned)];
    learnedLoss.set(learned, profile?.learned ? why : "not trained yet", waits);
    floorLoss.set(floor, why || (profile ? "not known here" : "being computed"), waits);
    words.textContent = profile && !why ? moral(learned, floor) : "";
  };
  const drawTotals = () => {
    const totals = bits.get("totals") ?? {};
    const unit = bits.get("unit");
    panel.setNote(unit ? `bounds in ${unit}` : "");
    const { gone, waits, why } = ageOf(totalsAge);
    const set = (
      r: ReturnType<typeof readout>,
      name: "learned" | "optimal" | "entropy",
      exact: boolean,
      why: string,
    ) => {
      const old = name !== "entropy"; // which no schedule changes
      const value = gone && old ? null : totals[name];
      r.set(value == null ? "" : withError(value, totals[`${name}_error`]), { exact, why });
      r.root.classList.toggle("difflab-waits", waits && old && value != null);
    };
    set(boundLearned, "learned", false, totals.learned == null ? "not trained yet" : why);
    set(boundOptimal, "optimal", true, why || "being computed");
    set(entropy, "entropy", true, "not known for these data");
    const q = reverse.get("quality");
    quality.root.firstElementChild!.textContent = q?.label ?? "sample quality";
    const sampled = q && (q.learned ?? q.exact);
    if (!q || sampled == null) return quality.set("", { why: "nothing sampled yet" });
    if (q.learned === null) quality.set(withError(q.exact, q.exact_error), { exact: true });
    else quality.set(withError(q.learned, q.learned_error));
  };
  const moment = onNextFrame(panel.guard(drawMoment), signal);
  const totals = onNextFrame(panel.guard(drawTotals), signal);
  const profileFor = () => lab.get("profile")?.computed_for;
  const profileAge = staleness(desk, lab, "profile", profileFor, moment, signal);
  const totalsFor = () => bits.get("computed_for");
  const totalsAge = staleness(desk, bits, "totals", totalsFor, totals, signal);
  bits.on("computed_for", totals, signal);
  bits.on("unit", totals, signal);
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
    set(value: number | null, why: string, waits: boolean) {
      number.textContent = value === null ? DASH : format(value);
      root.classList.toggle("difflab-none", value === null);
      root.classList.toggle("difflab-waits", waits);
      name.textContent = (value === null || waits) && why ? `${label} · ${why}` : label;
    },
  };
}
