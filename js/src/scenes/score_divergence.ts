/** E |learned - exact|^2 of a face over t: where in time the network is wrong, beside where in space. */
import { createChart } from "../core/chart";
import { short } from "../core/numbers";
import type { Clock, Store } from "../core/store";
import type { ScoreField, Stack } from "./score_field";
import type { State } from "./score_map";

/** Times between which the curve is drawn. */
const [FIRST, LAST] = [0.004, 0.99];

export interface DivergenceChart {
  show(store: Store<State>, field: ScoreField, learned: Stack | null): void;
}

export function divergenceChart(parent: HTMLElement, clock: Clock, signal: AbortSignal): DivergenceChart {
  const chart = createChart(parent, { clock, minHeight: 160 }, signal);
  return {
    show(store, field, learned) {
      const squares = store.get("error_at");
      if (!learned || !squares) return;
      const times = Array.from(learned.times);
      const logs = times.map((t, i) => Math.log10(field.squareFactor(t) * squares.data[2 * i]));
      // at the very ends a factor of the face goes to 0 or beyond all bounds: that is not what the network did
      const finite = logs.filter((v, i) => Number.isFinite(v) && times[i] > FIRST && times[i] < LAST);
      if (finite.length === 0) return;
      const [low, high] = [Math.floor(Math.min(...finite)), Math.ceil(Math.max(...finite))];
      const top = Math.max(high, low + 1);
      const every = Math.max(1, Math.ceil((top - low) / 4));
      const ticks = Array.from({ length: Math.floor((top - low) / every) + 1 }, (_, i) => low + i * every);
      chart.show({
        x: { label: "t", range: [0, 1], ticks: [0, 0.5, 1] },
        y: {
          label: `E|learned − exact|², ${field.face}`,
          range: [low, top],
          ticks,
          format: (v) => (Math.abs(v) > 2 ? `1e${v}`.replace("-", "−") : short(10 ** v)),
        },
        curves: [{ colour: "learned" }],
        data: [times, logs.map((v) => (finite.includes(v) ? v : null))],
        summary:
          `Mean square of learned minus exact ${field.face} over t: from ${short(10 ** Math.min(...finite))} to ` +
          `${short(10 ** Math.max(...finite))}.`,
      });
    },
  };
}
