"""The probability flow in coordinates that have no end to step around: x on a circle of radius 1.

With c the width of the data, R = sqrt(c^2 alpha^2 + sigma^2), z = x / R and u = -asinh(c alpha / sigma),

    dz/du = (c alpha / R) z - E[x_0 | x] / c,

which nowhere divides by alpha or by sigma. u is log(sigma / alpha) - log 2c where there is little noise, and 0 where nothing
but noise is left. (z turns with the angle theta = atan(sigma / c alpha), as in Salimans & Ho 2022, appendix D, and
u = log tan(theta / 2); Karras et al. 2022, section 3, have the slope in sigma / alpha.)
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..checks import is_number
from ..denoisers import Denoiser
from ..schedules import Schedule


def place(schedule: Schedule, t: float, width: float) -> float:
    """u at time `t`; ValueError at the data itself, where it is -inf."""
    level = schedule.level(t)
    if level.sigma == 0:
        raise ValueError("The flow has no place in log(sigma / alpha) at t = 0, the data itself; give a time above it.")
    return -math.asinh(width * level.alpha / level.sigma)


def times_of(schedule: Schedule, u: Tensor, width: float) -> Tensor:
    """The times at these places, shaped as `u`; the schedule's ends for places beyond them."""
    return schedule.t_of_log_snr(2 * (torch.sinh(-u) / width).log())


def radius_and_cos(schedule: Schedule, t: Tensor, width: float) -> tuple[Tensor, Tensor]:
    """R and c alpha / R at `t`, each shaped as it."""
    alpha, sigma = schedule.alpha_sigma(t)
    radius = torch.hypot(width * alpha, sigma)
    return radius, width * alpha / radius


def width_of(denoiser: Denoiser) -> float:
    """The standard deviation of a coordinate of the data, as far as the denoiser, or the one that it is wrapped around, knows
    it; else 1."""
    asked: Any = denoiser
    while asked is not None:
        for known in (asked, getattr(asked, "data", None)):
            width: Any = getattr(known, "sigma_data", None)
            if is_number(width) and width > 0:
                return float(width)
        asked = getattr(asked, "denoiser", None)
    return 1.0
