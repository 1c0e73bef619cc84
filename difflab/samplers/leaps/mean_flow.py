"""Leaps along the probability flow, as long as the steps of the grid (Geng et al. 2025, eq. 12)."""

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
class MeanFlow(Sampler):
    """x_s = x_t - (t - s) u(x_t, t, s), u the average velocity; one evaluation a step, and no noise.

    With the exact u it is the flow itself, however few steps there are: nothing converges with their size, and `order` is 0. A
    learned u is better over short stretches than over long ones.

    Takes denoisers with a `flow_map`, TypeError for others; ValueError for a consistency model and a grid of more than one
    step, since that one only knows the end.
    """

    order: ClassVar[int] = 0
    label: ClassVar[str] = "MeanFlow"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """Evenly spaced from 1 to 0: also where the schedule has a lowest level, which no leap needs to visit."""
        return torch.linspace(1, 0, max(1, evaluations) + 1, dtype=torch.float64, device="cpu")

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        return state.moved(flow_map_of(denoiser)(state.x, state.t, s), s, denoised=None)
