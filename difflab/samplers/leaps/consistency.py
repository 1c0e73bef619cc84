"""Multistep consistency sampling: leap to the data, add noise again, leap again (Song et al. 2023, Alg. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...denoisers import Denoiser
from ...denoisers.flow_map import flow_map_of
from ...schedules import Schedule
from ..base import Sampler, State


@dataclass(frozen=True)
class Consistency(Sampler):
    """x_s = alpha_s f(x_t, t) + sigma_s z, f the end of the probability flow; one evaluation a step.

    With the exact f every x_s has the law p_s however few steps there are: nothing converges with their size, and `order` is 0.
    A learned f is nowhere exact; later steps mend what the first has got wrong, up to the error that each adds itself.

    Takes denoisers with a `flow_map`, TypeError for others.
    """

    order: ClassVar[int] = 0
    random: ClassVar[bool] = True
    label: ClassVar[str] = "Consistency"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """Evenly spaced from 1 to 0: also where the schedule has a lowest level, which no leap needs to visit."""
        return torch.linspace(1, 0, max(1, evaluations) + 1, dtype=torch.float64, device="cpu")

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        x0 = flow_map_of(denoiser)(state.x, state.t, 0.0)
        if s == 0:
            return state.moved(x0, s, denoised=x0)
        level, z = denoiser.schedule.level(s), state.draw(denoiser.schedule, s)
        return state.moved(level.alpha * x0 + level.sigma * z, s, denoised=x0, z=z)
