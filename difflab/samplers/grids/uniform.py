"""Times evenly spaced in t."""

from __future__ import annotations

import torch
from torch import Tensor

from ...schedules import FIRST_T, Schedule
from .checks import check_schedule, check_steps


def uniform(schedule: Schedule, steps: int) -> Tensor:
    """`steps` times evenly spaced from 1 downwards, then 0: (steps + 1,). ValueError if steps < 1."""
    check_schedule(schedule)
    check_steps(steps)
    if schedule.reaches_data:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64, device="cpu")
    levels = torch.linspace(1, 0, steps, dtype=torch.float64, device="cpu").clamp(min=FIRST_T)
    return torch.cat([levels, levels.new_zeros(1)])
