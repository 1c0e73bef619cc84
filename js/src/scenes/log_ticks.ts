/** Where the ticks of a logarithmic axis stand. */
import { niceTicks } from "../core/chart";

/** Round numbers for a logarithmic axis: powers of ten, with 2 and 5 between where there is room, fewer where there are many. */
export function logTicks(low: number, high: number): number[] {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return niceTicks(low, high, 3);
  const stride = Math.max(1, Math.ceil(decades / 5));
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    if (((power % stride) + stride) % stride) continue;
    for (const m of decades > 2.2 ? [1] : [1, 2, 5]) {
      const tick = Number((m * 10 ** power).toPrecision(3));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}
