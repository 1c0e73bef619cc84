/** The two axes of WhereTheBitsGo, both from data on the left to noise on the right: over the steps (t), or over log-SNR. */
import { logSnr, timeOfLogSnr, type Schedule } from "../core/schedule";

export interface BitAxis {
  readonly name: "step" | "log_snr";
  /** Where the axis begins and ends; beyond them there is room for L_0 and L_T. */
  readonly data: number;
  readonly noise: number;
  readonly room: number;
  /** Words under the axis. */
  readonly marks: readonly { at: number; words: string; align: CanvasTextAlign }[];
  /** Where a bar's edge stands that lies at time `t` and at this log-SNR. */
  place(t: number, level: number): number;
}

const ROOM = 0.085; // of the axis
/** What matters of log-SNR for data of variance 1 or so: fixed, so that the curve stays where it is. */
const SNR_ENDS = [13, -9] as const;

export const STEP_AXIS: BitAxis = {
  name: "step",
  data: 0,
  noise: 1,
  room: ROOM,
  marks: [
    { at: 0, words: "0 data", align: "left" },
    { at: 0.5, words: "0.5", align: "center" },
    { at: 1, words: "1 noise", align: "right" },
  ],
  place: (t) => t,
};

/** Log-SNR falls along the axis: positions are its negative. */
export const SNR_AXIS: BitAxis = {
  name: "log_snr",
  data: -SNR_ENDS[0],
  noise: -SNR_ENDS[1],
  room: ROOM * (SNR_ENDS[0] - SNR_ENDS[1]),
  marks: [
    { at: -SNR_ENDS[0], words: "data", align: "left" },
    { at: -10, words: "10", align: "center" },
    { at: -5, words: "5", align: "center" },
    { at: 0, words: "0", align: "center" },
    { at: 5, words: "−5", align: "center" },
    { at: -SNR_ENDS[1], words: "noise", align: "right" },
  ],
  place: (_t, level) => -level,
};

export const axisOf = (name: string): BitAxis => (name === "log_snr" ? SNR_AXIS : STEP_AXIS);

/** All that is shown: the chain and the rooms beside it. */
export const extent = ({ data, noise, room }: BitAxis): [number, number] => [data - room, noise + room];

/** Where the clock's `t` stands. */
export function placeOfTime(axis: BitAxis, schedule: Schedule, t: number): number {
  if (axis.name === "step") return t;
  const [low, high] = extent(axis);
  return Math.min(high, Math.max(low, -logSnr(schedule, t)));
}

/** The time that stands at `place`. */
export function timeOfPlace(axis: BitAxis, schedule: Schedule, place: number): number {
  if (axis.name === "step") return place;
  return timeOfLogSnr(schedule, -place);
}
