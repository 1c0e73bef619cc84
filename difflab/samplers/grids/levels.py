"""Between which noise levels a grid is laid, and how levels become times.

Levels are sigma / alpha, the noise beside data that keep their size: Karras's sigma. In them two schedules are the same
family of problems, and a grid is the same grid; log-SNR = -2 log(sigma / alpha).

A schedule that has a lowest level above the data was made for one range, and its grids take both its ends. The others tend to
pure data, and to nearly or wholly pure noise (sigma / alpha is infinite at zero terminal SNR), where no spacing of levels
reaches: there Karras's range is taken, which suits data of variance about one, as far as the schedule has it. A run that
starts below t = 1 starts from the law of x_t there, but for the shape of the data under noise of 80 times its size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...checks import is_number
from ...schedules import FIRST_T, Schedule

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0  # Karras et al. 2022, table 1


def ends(schedule: Schedule, sigma_min: float | None = None, sigma_max: float | None = None) -> tuple[float, float]:
    """(lowest, highest) sigma / alpha of a grid; None is the schedule's own end, or what is said above.

    Raises ValueError for levels that are no numbers, that the schedule does not have, or that are the wrong way round.
    """
    least, most = available(schedule)
    low = least if not schedule.reaches_data else max(least, SIGMA_MIN)
    high = most if not schedule.reaches_data else min(most, SIGMA_MAX)
    low = low if sigma_min is None else _level("sigma_min", sigma_min, schedule, least, most)
    high = high if sigma_max is None else _level("sigma_max", sigma_max, schedule, least, most)
    if not low < high:
        raise ValueError(f"A grid needs sigma_min < sigma_max, but they are {low:g} and {high:g}.")
    return low, high


def available(schedule: Schedule) -> tuple[float, float]:
    """The lowest and the highest sigma / alpha that the schedule has; the highest may be infinite."""
    return schedule.level(FIRST_T).ratio, schedule.level(1.0).ratio


def _level(name: str, value: float, schedule: Schedule, least: float, most: float) -> float:
    if not is_number(value) or value <= 0:
        raise ValueError(
            f"{name} is a level sigma / alpha, a finite number above 0, but got {value!r}; the data itself, level 0, is"
            " always the last time of a grid."
        )
    # what was computed from an end of the schedule, its exponential's logarithm say, is that end
    near = 1e-9 * float(value)
    if not least - near <= value <= most + near:
        raise ValueError(f"{name} = {value:g} is no level of {schedule}, whose sigma / alpha is {least:g} to {most:g}.")
    return min(max(float(value), least), most)


def times_of(schedule: Schedule, levels: Tensor) -> Tensor:
    """The times at which sigma / alpha is `levels`, float64 of any shape; 0 at level 0 and 1 at an infinite one."""
    t = schedule.t_of_log_snr(-2 * levels.log())
    return t.masked_fill(levels == 0, 0.0).masked_fill(levels == math.inf, 1.0)


def grid_of(schedule: Schedule, levels: Tensor, to_data: bool) -> Tensor:
    """The times of falling levels, and 0 after them if `to_data`."""
    times = times_of(schedule, levels)
    return torch.cat([times, times.new_zeros(1)]) if to_data else times
