"""Heun's method on the probability flow: Euler's step, then again with the mean of the slopes at its two ends.

In y = x / alpha and r = sigma / alpha (Karras et al. 2022, Alg. 1). Gathered by what is known, with D_t and D_s what the denoiser
says at the two ends and k = r_t / r_s,

    x_s = (sigma_s / sigma_t) x_t + alpha_s ((1 - 1/k) D_t + (k - 1)/2 (D_s - D_t)).

Where x_t is noise alone (alpha_t = 0) r is infinite, but w = alpha / sigma is 0: x / sigma moves with the slope D in w, and the
same trapezoid taken there is x_s = (sigma_s / sigma_t) x_t + alpha_s (D_t + D_s) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...denoisers import Denoiser
from ...linear import scaled
from ...schedules import Schedule
from ...schedules.base import Level
from .. import grids
from ..base import Sampler, State


@dataclass(frozen=True)
class Heun(Sampler):
    """Second order, two evaluations a step but for the last one to s = 0, where the slope is not defined: it is Euler's,
    E[x_0 | x_t]."""

    order: ClassVar[int] = 2
    evaluations_per_step: ClassVar[int] = 2

    @property
    def label(self) -> str:
        return "Heun"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        schedule = denoiser.schedule
        x, denoised, evaluations = trapezoid(denoiser, state.x, schedule.level(state.t), schedule.level(s))
        return state.moved(x, s, denoised, evaluations)

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, steps_for(evaluations))


def steps_for(evaluations: int) -> int:
    """Steps of two evaluations, and a last one of one, for at most this many."""
    return max(1, (evaluations + 1) // 2)


def trapezoid(denoiser: Denoiser, x: Tensor, here: Level, there: Level) -> tuple[Tensor, Tensor, int]:
    """x at `there`, the last E[x_0 | x] asked for, and the number of evaluations."""
    first = denoiser(x, here.t).mean
    if there.t == 0:
        return first, first, 1
    kept, shrunk = scaled(there.sigma / here.sigma, x), there.ratio / here.ratio
    guess = torch.add(kept, first, alpha=there.alpha * (1 - shrunk))
    second = denoiser(guess, there.t).mean
    if here.alpha == 0:
        return kept + there.alpha / 2 * (first + second), second, 2
    turn = (1 / shrunk - 1) / 2
    x = torch.add(kept, first, alpha=there.alpha * (1 - shrunk - turn))
    return torch.add(x, second, alpha=there.alpha * turn), second, 2
