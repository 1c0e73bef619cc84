"""Euler's method on the probability flow, dy/dr = (y - E[x_0 | x]) / r with y = x / alpha and r = sigma / alpha.

The variable that the step is taken in decides what is exact: in r the flow is straight wherever E[x_0 | x] stays as it is
(Karras et al. 2022, eq. 3 and section 3), whatever the schedule's own time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...denoisers import Denoiser
from ...linear import combined
from ..base import Sampler, State


@dataclass(frozen=True)
class Euler(Sampler):
    """y_s = y_t + (r_s - r_t) (y_t - E[x_0 | x_t]) / r_t: the same numbers as `DDIM(0)` (J. Song et al. 2021, eq. 14).

    A start on noise alone (alpha_t = 0, r_t infinite) takes the limit, x_s = (sigma_s / sigma_t) x_t + alpha_s E[x_0].
    The last step, to r_s = 0, is E[x_0 | x_t].
    """

    order: ClassVar[int] = 1

    @property
    def label(self) -> str:
        return "Euler (in sigma / alpha)"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        here, there = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x0 = denoiser(state.x, state.t).mean
        if s == 0:
            return state.moved(x0, s, denoised=x0)
        part = 1 - there.ratio / here.ratio  # of the way from y to x_0; 1 where r_t is infinite
        x = combined(there.sigma / here.sigma, state.x, there.alpha * part, x0)
        return state.moved(x, s, denoised=x0)
