/**
 * "✓ reaches noise   L_T = 8.2e-8 nats/dim · ᾱ_T = 2.4e-9": what of the data is left at the end of the chain.
 *
 * L_T needs the data's second moment only, so it follows the slider here; Python, which warns in the same words, is asked
 * where the prior is not known here: for a schedule of somebody's own.
 */
import { DASH, format } from "../core/numbers";
import { element } from "../core/panel";
import { chainTable, type Schedule } from "../core/schedule";
import { terminalKl, type About } from "./optimal_terms";
import { current } from "./staleness";
import type { Store } from "../core/store";

export interface Terminal {
  L_T: number;
  unit: string;
  alpha_bar_T: number;
  sigma_T: number;
  reaches_noise: boolean;
  sentence: string;
  schedule: Schedule;
  steps: number;
}

/** What the desk knows of ends. */
interface Ends {
  terminal: Terminal | null;
  ends: Terminal[];
  about: (About & { of: string }) | null;
}

export interface End {
  readonly L_T: number;
  readonly unit: string;
  readonly reaches: boolean;
  readonly alphaBar: number;
  readonly sigma: number;
  readonly sentence: string;
}

const REACHED = 0.01; // nats/dim, difflab.schedules.REACHED
/** What to do, by a parameter that the schedule has. */
const REMEDIES: Readonly<Record<string, string>> = {
  beta_max: "Raise beta.",
  sigma_max: "Raise sigma max.",
  log_snr_min: "Lower the last log-SNR.",
  s: "Lower the offset.",
  values: "Draw its end lower.",
};

/** The end of a chain; null where only Python can tell, and has not yet. */
export function endOf(store: Store<any>, schedule: Schedule, T: number): End | null {
  const { terminal, ends, about } = {
    terminal: store.get("terminal"),
    ends: store.get("ends"),
    about: store.get("about"),
  } as Ends;
  const { alpha, sigma } = chainTable(schedule, T);
  const [a, s] = [alpha[T], sigma[T]];
  const own = "table" in schedule.params;
  if (!about || own) {
    const told = [terminal, ...(ends ?? [])].find(
      (end) => end && current(at(schedule, T) as Store, { schedule: end.schedule, steps: end.steps }),
    );
    if (!told) return null;
    const { L_T, unit, reaches_noise, sentence } = told;
    return { L_T, unit, reaches: reaches_noise, alphaBar: a * a, sigma: s, sentence };
  }
  const nats = terminalKl(a, s, about.second_moment);
  const discrete = about.half_range !== null;
  const [L_T, unit] = discrete ? [nats / Math.LN2, "bits/dim"] : [nats, "nats/dim"];
  const reaches = nats <= REACHED;
  return {
    L_T,
    unit,
    reaches,
    alphaBar: a * a,
    sigma: s,
    sentence: reaches ? "" : tooEarly(schedule, a, s, L_T, unit),
  };
}

/** A schedule and its steps in the place of the desk's, for `current`. */
const at = (schedule: Schedule, steps: number) => ({ get: (name: string) => (name === "steps" ? steps : schedule) });

function tooEarly(schedule: Schedule, alpha: number, sigma: number, L_T: number, unit: string): string {
  const known = Object.keys(REMEDIES).find((name) => name in schedule.params);
  const measured = `(L_T = ${format(L_T, 2)} ${unit}). ${known ? REMEDIES[known] : "Let its log-SNR end lower."}`;
  if (alpha === 1) return `x_T is not noise yet: the data is still visible under sigma_max ${measured}`;
  const share = (100 * alpha * alpha) / (alpha * alpha + sigma * sigma);
  return `x_T is not noise yet: ${share.toFixed(1)}% of its variance is still data ${measured}`;
}

export interface Gauge {
  readonly root: HTMLElement;
  show(schedule: Schedule, T: number): void;
}

export function gaugeOfTheEnd(store: Store<any>): Gauge {
  const root = element("div", "difflab-row difflab-gauge");
  const verdict = element("span", "");
  const numbers = element("span", "difflab-gauge-numbers");
  root.append(verdict, numbers);
  return {
    root,
    show(schedule, T) {
      const end = endOf(store, schedule, T);
      verdict.className = end ? (end.reaches ? "difflab-exact" : "difflab-learned") : "";
      const asking = store.hasKernel ? "measuring the end …" : "L_T needs Python";
      verdict.textContent = end ? (end.reaches ? "✓ reaches noise" : `⚠ ${end.sentence}`) : asking;
      if (end && !end.reaches)
        numbers.textContent = ""; // its sentence has the numbers
      else {
        const { alpha, sigma } = chainTable(schedule, T);
        const last = alpha[T] === 1 ? `σ_T = ${format(sigma[T], 2)}` : `ᾱ_T = ${format(alpha[T] ** 2, 2)}`;
        numbers.textContent = `L_T = ${end ? `${format(end.L_T, 2)} ${end.unit}` : DASH} · ${last}`;
      }
      root.title = end?.sentence ?? "";
    },
  };
}
