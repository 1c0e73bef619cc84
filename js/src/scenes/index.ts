/** The scenes by the name of their `scene` trait, which is the Python class's. */
import type { Scene } from "../core/store";
import { forwardNoising } from "./forward_noising";
import { lab } from "./lab";
import { reverseTrajectories } from "./reverse_trajectories";
import { scheduleDesk } from "./schedule_desk";
import { trainingMonitor } from "./training_monitor";
import { whereTheBitsGo } from "./where_the_bits_go";

const SCENES: Record<string, Scene> = {
  forward_noising: forwardNoising,
  schedule_desk: scheduleDesk,
  reverse_trajectories: reverseTrajectories,
  where_the_bits_go: whereTheBitsGo,
  training_monitor: trainingMonitor,
  lab,
};

export function findScene(name: string): Scene {
  const scene = SCENES[name];
  if (!scene) throw new Error(`This page has no scene called "${name}"; it has ${Object.keys(SCENES).join(", ")}.`);
  return scene;
}
