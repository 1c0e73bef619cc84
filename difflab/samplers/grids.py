"""The times a sampler visits: float64 on the CPU, decreasing, ending at 0 exactly, where x is clean data.

A schedule may have a lowest level above the data (sigma_min of a variance-exploding one); its grids visit it before they end
at the data.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from ..chain import MarkovChain
from ..schedules import FIRST_T, Schedule


def uniform(schedule: Schedule, steps: int) -> Tensor:
    """`steps` times evenly spaced from 1 downwards, then 0: (steps + 1,). ValueError if steps < 1."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"A grid needs a Schedule such as VPCosine(), but got {schedule!r}.")
    _check_steps(steps)
    if schedule.reaches_data:
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    levels = torch.linspace(1, 0, steps, dtype=torch.float64).clamp(min=FIRST_T)
    return torch.cat([levels, torch.zeros(1, dtype=torch.float64)])


def of_chain(chain: MarkovChain, steps: int | None = None) -> Tensor:
    """The times of `chain` from T to 0, or of a sub-chain of `steps` of its levels: (steps + 1,).

    Raises ValueError unless 1 <= steps <= T.
    """
    steps = chain.steps if steps is None else steps
    _check_steps(steps)
    if steps > chain.steps:
        raise ValueError(f"A chain of {chain.steps} steps has no sub-chain of {steps}.")
    if chain.schedule.reaches_data:
        k = torch.linspace(chain.steps, 0, steps + 1, dtype=torch.float64)
    else:
        k = torch.cat([torch.linspace(chain.steps, 1, steps, dtype=torch.float64), torch.zeros(1)])
    return chain.times[k.round().long()]


def constant(t: float, steps: int) -> Tensor:
    """The same time over and over, (steps + 1,): for Langevin, which samples p_t at one noise level.

    Raises ValueError if t is not in (0, 1].
    """
    _check_steps(steps)
    if not 0 < t <= 1:
        raise ValueError(f"A noise level must have 0 < t <= 1, but got t = {t}.")
    return torch.full((steps + 1,), t, dtype=torch.float64)


def check_decreasing(times: tuple[float, ...]) -> None:
    """Raises ValueError unless the grid falls strictly within [0, 1]."""
    if len(times) < 2:
        raise ValueError(f"A grid needs at least two times, but has {len(times)}.")
    if not all(0 <= t <= 1 for t in times):
        raise ValueError("Every time of a grid must lie in [0, 1]: 0 is data, 1 is noise.")
    if any(s >= t for t, s in pairwise(times)):
        raise ValueError("The times of a grid must decrease strictly, from noise to data.")


def check_constant(times: tuple[float, ...]) -> None:
    """Raises ValueError unless the grid stays at one time in (0, 1]."""
    if len(times) < 2 or len(set(times)) != 1 or not 0 < times[0] <= 1:
        raise ValueError("Langevin stays at one noise level: its grid must repeat one time in (0, 1].")


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise ValueError(f"A sampler needs a whole number of steps, at least 1, but got {steps}.")
