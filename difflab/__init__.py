"""difflab: the laboratory for diffusion models inside Jupyter.

    import difflab
    difflab.Lab()                     # all scenes on one clock
    difflab.ForwardNoising("moons")   # one of them

Nothing heavy is imported until it is used: `import difflab` takes milliseconds and knows no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = (
    "advice",
    "chain",
    "convergence",
    "data",
    "denoisers",
    "elbo",
    "flow",
    "likelihood",
    "metrics",
    "mmse",
    "networks",
    "objectives",
    "plots",
    "predictions",
    "samplers",
    "scenes",
    "schedules",
    "training",
)

_HOME = {
    "Lab": "scenes.lab",
    "ForwardNoising": "scenes.forward_noising",
    "LangevinBench": "scenes.langevin_bench",
    "DrawData": "scenes.draw_data",
    "ScheduleDesk": "scenes.schedule_desk",
    "ReverseTrajectories": "scenes.reverse_trajectories",
    "RunComparison": "scenes.run_comparison",
    "WhereTheBitsGo": "scenes.where_the_bits_go",
    "LossFloor": "scenes.loss_floor",
    "ScoreMap": "scenes.score_map",
    "TrainingMonitor": "scenes.training_monitor",
    "runs": "training.runs",
    "sample": "samplers.base",
    "sweep": "training.sweeps",
}

__all__ = ["__version__", *_HOME, *_ROOMS]

if TYPE_CHECKING:
    from .samplers.base import sample as sample
    from .scenes.draw_data import DrawData as DrawData
    from .scenes.forward_noising import ForwardNoising as ForwardNoising
    from .scenes.lab import Lab as Lab
    from .scenes.langevin_bench import LangevinBench as LangevinBench
    from .scenes.loss_floor import LossFloor as LossFloor
    from .scenes.reverse_trajectories import ReverseTrajectories as ReverseTrajectories
    from .scenes.run_comparison import RunComparison as RunComparison
    from .scenes.schedule_desk import ScheduleDesk as ScheduleDesk
    from .scenes.score_map import ScoreMap as ScoreMap
    from .scenes.training_monitor import TrainingMonitor as TrainingMonitor
    from .scenes.where_the_bits_go import WhereTheBitsGo as WhereTheBitsGo
    from .training.runs import runs as runs
    from .training.sweeps import sweep as sweep


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    if name in _ROOMS:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module 'difflab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
