"""Unadjusted Langevin dynamics: a walk that forgets its start and samples the noisy density p_t at one fixed t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..denoisers import Denoiser
from . import grids
from .base import Sampler, State, like


def score_from(x_t: Tensor, mean: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Tweedie: grad log p_t(x_t) = (alpha E[x_0 | x_t] - x_t) / sigma^2, shaped as x_t."""
    return (alpha * mean - x_t) / sigma.square()


@dataclass(frozen=True)
class Langevin(Sampler):
    """x <- x + a score(x, t) + sqrt(2 a) z (Song & Ermon 2020, Alg. 1, at one level).

    Its grid repeats one time (`grids.constant`): the walk stays at p_t and never becomes clean data. Without a Metropolis
    test its law is off by O(a): for a Gaussian p_t of variance V the stationary variance is V / (1 - a / (2 V)), and the walk
    explodes from a = 2 V on.

    Args:
        step_size: a, in squared units of x.
    """

    step_size: float = 0.01
    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.step_size > 0:
            raise ValueError(f"The step size of Langevin must be above 0, but got {self.step_size}.")

    @property
    def label(self) -> str:
        return f"Langevin (step {self.step_size:g})"

    def check_grid(self, times: tuple[float, ...]) -> None:
        grids.check_constant(times)

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        x0 = denoiser(state.x, state.t).mean
        alpha, sigma, a = like(
            state.x,
            *denoiser.schedule.alpha_sigma(state.t),
            torch.tensor(self.step_size, dtype=torch.float64),
        )
        z = state.noise.step(state.x, state.index)
        x = state.x + a * score_from(state.x, x0, alpha, sigma) + (2 * a).sqrt() * z
        return state.moved(x, s, denoised=x0)
