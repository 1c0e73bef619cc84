"""DDIM run upwards: which noise is behind this sample.

In the frame y = x / alpha, rho = sigma / alpha the probability flow is dy / d rho = eps, and DDIM is Euler's method for it, from
high rho to low. The same method from low rho to high leads from data to noise:

    y_s = y_t + (rho_s - rho_t) eps(x_t, t),   eps = (x_t - alpha_t E[x_0 | x_t]) / sigma_t,   rho_s > rho_t,

an inverse of DDIM to its order, 1: DDIM's own step between the two takes eps(x_s, s). To invert that one is to solve
DDIM(x_s, s -> t) = x_t for x_s, by Newton's method, but with the slope that DDIM has on Gaussian data of the same variance C,

    x_s <- x_s - (DDIM(x_s) - x_t) / slope,   slope = sigma_t / sigma_s + (alpha_t - alpha_s sigma_t / sigma_s) g,
    g = d E[x_0 | x_s] / d x_s = alpha_s C / (alpha_s^2 C + sigma_s^2):

for Gaussian data exact at once, else closer by a factor of the order of the step each time, if steps are short enough.

At data, t = 0, eps is -sigma times the score, and 0 in the limit: the first step is x_s = alpha_s x_0, and asks nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor

from ...checks import is_whole
from ...denoisers import Denoiser
from ...flow.circle import width_of
from ...linear import combined
from ...schedules import Schedule
from .. import grids
from ..base import Sampler, State


@dataclass(frozen=True)
class DDIMInversion(Sampler):
    """The reverse of DDIM(eta = 0) on a grid that rises, such as `grids.uniform(schedule, 50).flip(0)` (Song et al. 2021,
    section 5.4). Start it from samples: `sample(denoiser, DDIMInversion(), grid, x=data)`.

    Args:
        corrections: iterations of each step towards the exact inverse of DDIM's, one more evaluation each. Their slope is
            that for data as wide as the denoiser knows them to be (`sigma_data`), or of variance 1.
    """

    corrections: int = 0
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not is_whole(self.corrections, 0):
            raise ValueError(
                f"The number of corrections must be a whole number, 0 or more, but got {self.corrections!r}."
            )

    @property
    def evaluations_per_step(self) -> int:
        return 1 + self.corrections

    @property
    def label(self) -> str:
        how = (
            f" ({self.corrections} correction{'s' if self.corrections > 1 else ''} a step)" if self.corrections else ""
        )
        return f"DDIM inversion{how}"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """Times that rise evenly from 0, for at most this many evaluations (never less than one step)."""
        # the step from data takes one less than the others
        return grids.uniform(schedule, max(1, (evaluations + 1) // self.evaluations_per_step)).flip(0)

    def check_grid(self, times: tuple[float, ...]) -> None:
        grids.check_times(times)
        for t, s in pairwise(times):
            if s <= t:
                raise ValueError(
                    f"DDIM inversion runs from data to noise: its times must increase strictly, but {s} follows {t};"
                    " to run downwards, take DDIM."
                )

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        (_, alpha_t, sigma_t, _), (_, alpha_s, sigma_s, _) = (denoiser.schedule.level(time) for time in (state.t, s))
        if sigma_t == 0:
            x0, x, evaluations = state.x, alpha_s * state.x, 0
        else:
            x0, evaluations = denoiser(state.x, state.t).mean, 1
            x = combined(sigma_s / sigma_t, state.x, alpha_s - alpha_t * sigma_s / sigma_t, x0)
        keep = sigma_t / sigma_s  # DDIM back is keep x_s + rest E[x_0 | x_s]
        rest = alpha_t - alpha_s * keep
        var = width_of(denoiser) ** 2
        slope = keep + rest * alpha_s * var / (alpha_s**2 * var + sigma_s**2)
        if slope == 0:  # from data to nothing but noise in one step: no way leads back
            return state.moved(x, s, denoised=x0, evaluations=evaluations)
        for _ in range(self.corrections):
            x0 = denoiser(x, s).mean
            x = torch.sub(x, combined(keep, x, rest, x0) - state.x, alpha=1 / slope)
        return state.moved(x, s, denoised=x0, evaluations=evaluations + self.corrections)
