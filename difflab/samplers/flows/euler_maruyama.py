"""Euler-Maruyama on the reverse SDE: dx = (f x - g^2 score) dt + g dW, with t running down (Y. Song et al. 2021, eq. 6).

With the score by Tweedie, (alpha E[x_0 | x] - x) / sigma^2, and h = t - s,

    x_s = x_t - h (f x_t - g^2 score(x_t)) + g sqrt(h) z.

f and g belong to the schedule's own time, and so does the size of a step: this is the one method here that tells apart two
schedules with the same noise levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch

from ...denoisers import Denoiser
from ...linear import combined
from ...schedules import Schedule
from ..base import Sampler, State
from ..chains.bridge import bridge


@dataclass(frozen=True)
class EulerMaruyama(Sampler):
    """Weak order 1 in the step of t (Kloeden & Platen 1992, section 14.1).

    Where the SDE has no finite coefficients it is not followed: a start on noise alone (alpha_t = 0, f = -inf) takes
    DDPM's step, and the last step, to s = 0, returns E[x_0 | x_t] without noise.
    """

    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return "Euler-Maruyama (reverse SDE)"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        schedule, x, t = denoiser.schedule, state.x, state.t
        x0 = denoiser(x, t).mean
        if s == 0:
            return state.moved(x0, s, denoised=x0)
        here, z = schedule.level(t), state.draw(schedule, s)
        if here.alpha == 0:
            b = bridge(schedule, t, s)
            return state.moved(b.c_x * x + b.c_0 * x0 + math.sqrt(b.var) * z, s, denoised=x0, z=z)
        drift, g2 = _coefficients(schedule, t)
        h, pull = t - s, g2 / here.sigma**2
        mean = combined(1 - h * (drift + pull), x, h * pull * here.alpha, x0)
        x = torch.add(mean, z, alpha=math.sqrt(h * g2))
        return state.moved(x, s, denoised=x0, z=z)


def _coefficients(schedule: Schedule, t: float) -> tuple[float, float]:
    """f and g^2 at `t`."""
    frozen = getattr(schedule, "frozen", None)  # a learned schedule moves: what is remembered is the one of now
    return _remembered(schedule if frozen is None else frozen(), t)


@lru_cache(maxsize=2**10)
def _remembered(schedule: Schedule, t: float) -> tuple[float, float]:
    return float(schedule.drift(t)), float(schedule.diffusion(t)) ** 2
