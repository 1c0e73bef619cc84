"""Karras's levels: sigma^(1 / rho) evenly spaced, between the even steps of sigma (rho = 1) and of log sigma (rho = inf)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...checks import brief, is_number
from ...schedules import Schedule
from ..knobs import check_flag
from .checks import check_schedule, check_steps
from .levels import ends, grid_of

_MOST_RHO = 100_000  # levels carry rho times the rounding of their roots


def karras(
    schedule: Schedule,
    steps: int,
    rho: float = 7.0,
    *,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    to_data: bool = True,
) -> Tensor:
    """Times at which sigma / alpha is sigma_i, then 0 (Karras et al. 2022, eq. 5): (steps + 1,).

        sigma_i = (sigma_max^(1/rho) + i / (steps - 1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho,   i = 0 .. steps - 1

    On any schedule: they are the levels of a variance-exploding one, and sigma / alpha on the others.

    Args:
        rho: 7 as published; larger ones shift steps towards the data. At least 1, at most 100,000.
        sigma_min, sigma_max: the lowest and highest sigma / alpha; by default the schedule's own ends, or, where it tends to
            pure data or noise, 0.002 and at most 80: see `levels.ends`, whose errors it raises.
        to_data: False ends at sigma_min, above the data, and has steps + 1 levels.

    Raises ValueError if steps < 1, rho < 1 or to_data is no truth value.
    """
    check_schedule(schedule)
    check_steps(steps)
    if not is_number(rho) or not 1 <= rho <= _MOST_RHO:
        raise ValueError(
            f"Karras's levels need an exponent rho of at least 1, but got {brief(rho)}; beyond {_MOST_RHO:,} they are those of"
            " log_snr: take that."
        )
    check_flag("to_data", to_data)
    low, high = ends(schedule, sigma_min, sigma_max)
    count = steps if to_data else steps + 1
    roots = torch.linspace(high ** (1 / rho), low ** (1 / rho), count, dtype=torch.float64, device="cpu")
    levels = roots**rho
    levels[-1], levels[0] = low, high  # which the powers miss by a rounding
    return grid_of(schedule, levels, to_data)
