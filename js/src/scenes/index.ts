/** The scenes by the name of their Python class, which is the value of the `scene` trait. */
import type { Scene } from "../core/store";
import { drawData } from "./draw_data";
import { forwardNoising } from "./forward_noising";
import { lab } from "./lab";
import { langevinBench } from "./langevin_bench";
import { lossFloor } from "./loss_floor";
import { reverseTrajectories } from "./reverse_trajectories";
import { runComparison } from "./run_comparison";
import { scheduleDesk } from "./schedule_desk";
import { scoreMap } from "./score_map";
import { trainingMonitor } from "./training_monitor";
import { whereTheBitsGo } from "./where_the_bits_go";

const SCENES: Record<string, Scene> = {
  ForwardNoising: forwardNoising,
  DrawData: drawData,
  ScheduleDesk: scheduleDesk,
  LossFloor: lossFloor,
  ReverseTrajectories: reverseTrajectories,
  RunComparison: runComparison,
  WhereTheBitsGo: whereTheBitsGo,
  ScoreMap: scoreMap,
  TrainingMonitor: trainingMonitor,
  LangevinBench: langevinBench,
  Lab: lab,
};

/** Throws an Error with one sentence for a name that is none of them. */
export function findScene(name: string): Scene {
  const scene = SCENES[name];
  if (!scene) throw new Error(`This page has no scene called "${name}"; it has ${Object.keys(SCENES).join(", ")}.`);
  return scene;
}
