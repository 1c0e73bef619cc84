"""A network under another schedule than it was trained under: the same function of x_t / alpha and of log-SNR."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from ..schedules import Schedule


def under(denoiser: Denoiser, schedule: Schedule) -> Denoiser | None:
    """The denoiser asked under `schedule`, weights shared; None for one that is no network and has another.

    ValueError where the size of what the network predicts depends on the kind of schedule, and the kinds differ.
    """
    from ..denoisers import NetworkDenoiser

    if denoiser.schedule == schedule:
        return denoiser
    if not isinstance(denoiser, NetworkDenoiser):
        return None
    same_kind = denoiser.schedule.variance_preserving == schedule.variance_preserving
    if denoiser.prediction in ("v", "velocity") and not same_kind:
        raise ValueError(
            f"The network predicts {denoiser.prediction} under a schedule of another kind: train it again under this one."
        )
    moved = copy.copy(denoiser)  # shares the weights
    moved.schedule = schedule
    return moved
