/**
 * When the fate of a sample is decided: from which time on the exact posterior p(k | x_t) names the mode where it ends.
 *
 * The twin of difflab/scenes/fate.py, at every kept frame of a run.
 */
import type { Mixture } from "./density";
import { Marginal } from "./mixture";
import { alphaSigma, type Schedule } from "./schedule";
import { frame, type Trajectory } from "./trajectory";

/** A posterior above this is a decision. */
export const DECIDED = 0.95;

export interface Fates {
  /** (n,): the mode where each sample ends. */
  ends: Uint16Array;
  /** (F, n): 1 where the posterior of that mode is above 0.95. */
  decided: Uint8Array;
  /** (F,): the share of the samples that are decided. */
  shares: Float64Array;
  /** From which time on half of them stay decided; null where they never are. */
  half: number | null;
}

/** `schedule` is the one that the run was sampled under. */
export function fatesOf(run: Trajectory, mixture: Mixture, schedule: Schedule): Fates {
  const { times, samples } = run;
  const count = times.length;
  const ends = new Uint16Array(samples);
  const decided = new Uint8Array(count * samples);
  const shares = new Float64Array(count);
  const data = new Marginal(mixture, { alpha: 1, sigma: 0 });
  const last = frame(run, count - 1);
  for (let i = 0; i < samples; i++) ends[i] = largest(data.posterior(last[2 * i], last[2 * i + 1]));
  for (let f = 0; f < count; f++) {
    const marginal = new Marginal(mixture, alphaSigma(schedule, times[f]));
    const x = frame(run, f);
    let found = 0;
    for (let i = 0; i < samples; i++) {
      if (!(marginal.posterior(x[2 * i], x[2 * i + 1])[ends[i]] > DECIDED)) continue;
      decided[f * samples + i] = 1;
      found++;
    }
    shares[f] = found / samples;
  }
  return { ends, decided, shares, half: halfTime(times, shares) };
}

/** From which time on, towards data, at least half stay decided, linear between frames; null if they are not at the end. */
export function halfTime(times: Float32Array, shares: Float64Array): number | null {
  let last = shares.length - 1;
  if (last < 0 || shares[last] < 0.5) return null;
  while (last > 0 && shares[last - 1] >= 0.5) last--;
  if (last === 0) return times[0];
  const [before, after] = [shares[last - 1], shares[last]];
  return times[last - 1] + ((0.5 - before) / (after - before)) * (times[last] - times[last - 1]);
}

function largest(values: Float64Array): number {
  let best = 0;
  for (let k = 1; k < values.length; k++) if (values[k] > values[best]) best = k;
  return best;
}
