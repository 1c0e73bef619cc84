"""q(x_s | x_t, x_0) between any two times: the law that ancestral sampling and DDIM draw from.

With lambda = log-SNR and r = exp(lambda_t - lambda_s) < 1, everything follows without a cancelling difference:

    q(x_s | x_t, x_0) = N(c_x x_t + c_0 x_0, var I)
    c_x = (alpha_t / alpha_s) (sigma_s / sigma_t)^2,   c_0 = alpha_s (1 - r),
    var = sigma_s^2 (1 - r),   beta = sigma_t^2 (1 - r),

beta being the variance of the forward step q(x_t | x_s). At s = 0: r = 0, c_x = 0, c_0 = 1, var = 0. Where t has no signal,
alpha_t = 0: r = 0 and c_x = 0 too, for x_t then says nothing of x_s that x_0 does not.
On the times of a chain these are its `posterior` and `beta`; on a part of them, those of the sub-chain.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from ...schedules import Schedule
from ...schedules.base import Level

_REMEMBERED = 2**14  # steps: a sampler takes the same ones in every run


class Bridge(NamedTuple):
    """The numbers above for one pair (t, s)."""

    alpha_t: float
    sigma_t: float
    alpha_s: float
    sigma_s: float
    c_x: float
    c_0: float
    var: float
    beta: float


def bridge(schedule: Schedule, t: float, s: float) -> Bridge:
    """The bridge from t down to s, 0 <= s <= t <= 1. Raises ValueError for any other pair."""
    if not 0 <= s <= t <= 1:
        raise ValueError(f"A bridge leads from t down to s, 0 <= s <= t <= 1, but got t = {t} and s = {s}.")
    return _between(schedule.level(t), schedule.level(s))


@lru_cache(_REMEMBERED)
def _between(t: Level, s: Level) -> Bridge:
    rest = -math.expm1(t.log_snr - s.log_snr) if s.t < t.t else 0.0
    # and not r alpha_s / alpha_t, which is 0 / 0 at alpha_t = 0
    c_x = t.alpha / s.alpha * (s.sigma / t.sigma) ** 2 if s.t < t.t else 1.0
    return Bridge(t.alpha, t.sigma, s.alpha, s.sigma, c_x, s.alpha * rest, s.sigma**2 * rest, t.sigma**2 * rest)
