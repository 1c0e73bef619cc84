"""The scenes by the name of their class, which is also that of their TypeScript half."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = {
    "ForwardNoising": "forward_noising",
    "DrawData": "draw_data",
    "ScheduleDesk": "schedule_desk",
    "WhereTheBitsGo": "where_the_bits_go",
    "LossFloor": "loss_floor",
    "ScoreMap": "score_map",
    "TrainingMonitor": "training_monitor",
    "ReverseTrajectories": "reverse_trajectories",
    "RunComparison": "run_comparison",
    "LangevinBench": "langevin_bench",
    "Lab": "lab",
}


def scene_class(name: str) -> Any:
    """The class of this name. ValueError, with those there are, for any other."""
    if not isinstance(name, str) or name not in MODULES:
        raise ValueError(f"There is no scene named {name!r}; choose one of {', '.join(MODULES)}.")
    return getattr(import_module(f".{MODULES[name]}", __name__), name)
