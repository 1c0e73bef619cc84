"""Unadjusted Langevin dynamics: a walk that forgets its start and samples the noisy density p_t at one fixed t.

It is Euler-Maruyama on dx = score dt + sqrt(2) dW, whose stationary density is p_t itself. A finite step leaves it off by O(a):
for a Gaussian p_t of variance V the variance of the walk follows v <- (1 - a / V)^2 v + 2 a, to V / (1 - a / (2 V)), and from
a = 2 V on it grows without end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ...checks import brief, is_number
from ...denoisers import Denoiser
from ...linear import combined
from ..base import State
from .one_level import OneLevel, is_far, stopped, why_it_diverged

_LOOK = 8  # steps from one look at whether it explodes to the next


@dataclass(frozen=True)
class Langevin(OneLevel):
    """x <- x + a score(x, t) + sqrt(2 a) z (Song & Ermon 2020, Alg. 1, at one level).

    Its grid repeats one time (`grids.constant`): the walk stays at p_t and never becomes clean data. A walk that explodes is
    stopped, with the step that would be stable in the FloatingPointError (`stable_step`).

    Args:
        step_size: a, in squared units of x; else ValueError.
    """

    step_size: float = 0.01
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not is_number(self.step_size) or self.step_size <= 0:
            raise ValueError(
                f"The step size of Langevin must be above 0, in squared units of x, but got {brief(self.step_size)}."
            )

    @property
    def label(self) -> str:
        return f"Langevin (step {self.step_size:g})"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        level, a = denoiser.schedule.level(state.t), self.step_size
        x0 = denoiser(state.x, state.t).mean
        z = state.noise.step(state.x, state.index)
        # the score is (alpha x_0 - x) / sigma^2, by Tweedie
        pull = a / level.sigma**2
        x = combined(1 - pull, state.x, pull * level.alpha, x0).add_(z, alpha=math.sqrt(2 * a))
        if state.index % _LOOK == 0:
            x = stopped(x, denoiser, state.t)
        return state.moved(x, s, denoised=x0, z=z)

    def failure(self, denoiser: Denoiser, before: State, after: State) -> str:
        denoised = after.x if after.denoised is None else after.denoised
        if is_far(before.x, denoiser, before.t) or bool(torch.isfinite(denoised).all()):  # it is the walk that is
            return why_it_diverged("Langevin", "step size", self.step_size, denoiser, before.t)
        return super().failure(denoiser, before, after)
