"""The training that a scene begins by itself, where none was given: of a small network, on data, schedule and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data import DataSet
from .choices import schedule_of

if TYPE_CHECKING:
    from ..estimate import Estimate
    from ..predictions import Prediction
    from ..schedules import Schedule
    from ..training import Trainer

SETTINGS: dict[str, dict[str, Any]] = {
    "points": {},
    # every row with its label: the floor on screen is that of the loss given the class
    "images": {"batch": 128, "label_dropout": 0.0},
}


def make(data: DataSet, spec: dict[str, Any], steps: int, seed: int) -> Trainer:
    """The training, not yet begun; `spec` is the schedule's."""
    import torch

    from ..denoisers import NetworkDenoiser
    from ..training import Trainer

    schedule, prediction, by_class = _plan(data, spec)
    denoiser = NetworkDenoiser.for_data(data, schedule, prediction, conditional=by_class, seed=seed)
    settings = SETTINGS["images" if data.is_image else "points"]
    return Trainer(denoiser, data, steps=steps, generator=torch.Generator().manual_seed(seed), **settings)


def what(data: DataSet, spec: dict[str, Any], known: Prediction | None = None) -> tuple[Prediction, Estimate | None]:
    """What the network will predict, or is `known` to, and the floor of its loss; None for data without an oracle."""
    import torch

    from ..denoisers import ExactDenoiser
    from ..objectives import floor

    schedule, planned, by_class = _plan(data, spec)
    prediction = known or planned
    try:
        oracle = ExactDenoiser(data, schedule)
    except TypeError:
        return prediction, None
    generator = torch.Generator().manual_seed(0)
    rows = 2048 if data.is_image else 16_384  # a second or so
    return prediction, floor(oracle, prediction, n=rows, conditional=by_class, generator=generator)


def recipe(trainer: Trainer) -> str:
    """How it is trained, in a few words."""
    settings = trainer.settings
    decay = "" if settings.decay == "constant" else f", {settings.decay}"
    weighting = "" if settings.weighting == "uniform" else f" · {settings.weighting} weighting"
    return f"AdamW, batch {settings.batch:,} · learning rate {settings.lr:g}{decay} · EMA {settings.ema:g}{weighting}"


def _plan(data: DataSet, spec: dict[str, Any]) -> tuple[Schedule, Prediction, bool]:
    """v trains images best, but its size explodes with the variance; eps is well-behaved everywhere."""
    schedule = schedule_of(spec)
    prediction: Prediction = "v" if data.is_image and schedule.variance_preserving else "eps"
    return schedule, prediction, data.is_image and data.classes is not None
