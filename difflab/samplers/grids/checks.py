"""What the times of a run must be, and what a grid is asked with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...chain import MarkovChain, check_chain
from ...checks import brief, is_whole
from ...schedules import Schedule

_MOST_STEPS = 10**7


def check_times(times: Sequence[float]) -> None:
    """Raises ValueError unless these are two times or more within [0, 1]."""
    if len(times) < 2:
        raise ValueError(f"A grid needs at least two times, but has {len(times)}.")
    for t in times:
        if not 0 <= t <= 1:
            raise ValueError(
                f"Every time of a grid must lie in [0, 1], where 0 is data and 1 is noise, but one is {t}."
            )


def check_decreasing(times: Sequence[float]) -> None:
    """Raises ValueError unless the grid falls strictly within [0, 1]."""
    check_times(times)
    for t, s in pairwise(times):
        if s >= t:
            raise ValueError(
                f"The times of a grid must decrease strictly, from noise to data, but {s} follows {t}; to run upwards,"
                " from data to noise, take DDIMInversion."
            )


def check_constant(times: Sequence[float]) -> None:
    """Raises ValueError unless the grid stays at one time in (0, 1]."""
    if len(times) < 2 or len(set(times)) != 1 or not 0 < times[0] <= 1:
        raise ValueError("Langevin stays at one noise level: its grid must repeat one time in (0, 1].")


def check_steps(steps: int) -> None:
    """Raises ValueError unless `steps` is a whole number of at least 1, and no more than anybody takes."""
    if not is_whole(steps):
        raise ValueError(f"A sampler needs a whole number of steps, at least 1, but got {brief(steps)}.")
    if steps > _MOST_STEPS:
        raise ValueError(f"A sampler takes at most {_MOST_STEPS:,} steps, but got {brief(steps)}.")


def check_chain_has(chain: MarkovChain, steps: int) -> None:
    """Raises TypeError for what is no chain, ValueError unless it has a sub-chain of `steps` steps."""
    check_chain(chain)
    check_steps(steps)
    if steps > chain.steps:
        raise ValueError(f"A chain of {chain.steps} steps has no sub-chain of {steps}.")


def check_schedule(schedule: Schedule) -> None:
    """Raises TypeError for what is no schedule: its name, say."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"A grid needs a Schedule such as VPCosine(), but got {schedule!r}.")
