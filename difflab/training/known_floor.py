"""The least loss that any network could have had in a training, where somebody knows it: what its curve is held against."""

from __future__ import annotations

import torch

from ..denoisers import ExactDenoiser
from ..estimate import Estimate
from .trainer import Trainer

_BUDGET = 2e8  # numbers that the floor may cost: about a second
_FEWEST, _MOST = 256, 16_384  # draws of x_t for it
_LARGEST = 1e7  # numbers of a data set that still has one


def known_floor(trainer: Trainer) -> Estimate | None:
    """The floor of the loss that `trainer` minimises, under its schedule, weighting and times as they are now; the same draws
    for all runs, so that their excesses compare. None where nobody knows it."""
    denoiser, data = trainer.denoiser, trainer.data
    if denoiser.vector is not None:  # no oracle knows what a vector tells: a network that does gets below it
        return None
    try:
        oracle = ExactDenoiser(data, denoiser.schedule)
        numbers = getattr(data, "x", torch.empty(8, data.dim)).shape[0] * data.dim
        if numbers > _LARGEST:
            return None
        return trainer.objective.floor(
            oracle,
            denoiser.prediction,
            n=int(min(max(_BUDGET / numbers, _FEWEST), _MOST)),
            generator=torch.Generator().manual_seed(0),
            conditional=denoiser.classes is not None,
            unlabelled=trainer.settings.unlabelled if denoiser.classes is not None else 0.0,
            sigma_data=denoiser.sigma_data,
        )
    except (TypeError, ValueError):  # data, or conditions, without a closed form
        return None
