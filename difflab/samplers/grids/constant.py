"""One time over and over: for a walk at one noise level."""

from __future__ import annotations

import torch
from torch import Tensor

from ...checks import brief, is_number
from .checks import check_steps


def constant(t: float, steps: int) -> Tensor:
    """The same time over and over, (steps + 1,): for Langevin, which samples p_t at one noise level.

    Raises ValueError if t is not in (0, 1].
    """
    check_steps(steps)
    if not is_number(t) or not 0 < t <= 1:
        raise ValueError(f"A noise level must have 0 < t <= 1, but got t = {brief(t)}.")
    return torch.full((steps + 1,), float(t), dtype=torch.float64, device="cpu")
