"""Ancestral sampling: draw x_s from q(x_s | x_t, x_0) with x_0 replaced by its posterior mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..denoisers import Denoiser
from .base import Sampler, State
from .bridge import bridge


@dataclass(frozen=True)
class Ancestral(Sampler):
    """DDPM (Ho et al. 2020, Alg. 2) on any grid and any schedule.

    Args:
        variance: "small", the variance of q(x_s | x_t, x_0), or "large", that of the forward step q(x_t | x_s), for the
            grid's own pair (t, s): right for data that is one point, and for data that is white noise (ibid., section 3.2).
    """

    variance: str = "small"
    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.variance not in ("small", "large"):
            raise ValueError(f"The variance must be 'small' or 'large', but got {self.variance!r}.")

    @property
    def label(self) -> str:
        return f"Ancestral (DDPM, {self.variance} variance)"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        b = bridge(denoiser.schedule, state.t, s)
        x0 = denoiser(state.x, state.t).mean
        if s == 0:  # the last step returns its mean, without noise
            return state.moved(x0, s, denoised=x0)
        std = math.sqrt(b.var if self.variance == "small" else b.beta)
        z = state.draw(denoiser.schedule, s)
        return state.moved(b.c_x * state.x + b.c_0 * x0 + std * z, s, denoised=x0, z=z)
