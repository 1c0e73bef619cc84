"""Levels evenly spaced in log-SNR: every step divides the noise by the same factor.

The spacing in which exponential integrators have even steps (Lu et al. 2022, DPM-Solver, section 3.4).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...schedules import Schedule
from ..knobs import check_flag
from .checks import check_schedule, check_steps
from .levels import ends, grid_of


def log_snr(
    schedule: Schedule,
    steps: int,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    to_data: bool = True,
) -> Tensor:
    """Times of `steps` levels from sigma_max to sigma_min, then 0: (steps + 1,).

    Args:
        sigma_min, sigma_max: the lowest and highest sigma / alpha; by default the schedule's own ends, or, where it tends to
            pure data or noise, 0.002 and at most 80: see `levels.ends`, whose errors it raises.
        to_data: False ends at sigma_min, above the data, and has steps + 1 levels.

    Raises ValueError if steps < 1, and if to_data is no truth value.
    """
    check_schedule(schedule)
    check_steps(steps)
    check_flag("to_data", to_data)
    low, high = ends(schedule, sigma_min, sigma_max)
    count = steps if to_data else steps + 1
    levels = torch.linspace(math.log(high), math.log(low), count, dtype=torch.float64, device="cpu").exp()
    return grid_of(schedule, levels, to_data)
