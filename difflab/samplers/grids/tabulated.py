"""Times from a table of one's own: times, or the levels at which a run shall stop over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from ...checks import brief, tensor_of
from ...schedules import FIRST_T, Schedule
from .checks import check_decreasing, check_schedule
from .levels import times_of

_NEAR = 1e-6  # of a level, relative: tables are published in float32


def tabulated(
    schedule: Schedule, values: Sequence[float] | Tensor, of: Literal["t", "log_snr", "sigma"] = "t"
) -> Tensor:
    """The times of a table, first to last: (len(values),).

    Args:
        values: at least two, from noise to data: of "t" and "sigma" falling, of "log_snr" rising. The last may be above the
            data, and the data itself is t = 0, sigma = 0 or log_snr = inf.
        of: "t"; "log_snr", in nats; or "sigma", which is sigma / alpha, as Karras's and other published tables give it.

    Raises ValueError, in one sentence, for another `of`, a table in the wrong order, values that are no numbers, times
    outside [0, 1], and levels that the schedule does not have.
    """
    check_schedule(schedule)
    if not isinstance(of, str) or of not in ("t", "log_snr", "sigma"):
        raise ValueError(f'A table of a grid holds "t", "log_snr" or "sigma", but got of={brief(of)}.')
    table = tensor_of(values, "The values of a grid").detach()
    if table.ndim != 1:
        raise ValueError(f"The values of a grid are one row of numbers, but got the shape {tuple(table.shape)}.")
    if bool(table.isnan().any()):
        raise ValueError("The values of a grid must be numbers, but there is a nan among them.")
    if of != "t":
        falls = table if of == "sigma" else -table
        if bool((falls[1:] >= falls[:-1]).any()):
            how = "fall" if of == "sigma" else "rise"
            raise ValueError(
                f"A grid goes from noise to data, so its {of} must {how} strictly; to run upwards, from data to noise, take"
                " DDIMInversion."
            )
        table = _times(schedule, table, of)
    check_decreasing(table.tolist())
    return table


def _times(schedule: Schedule, table: Tensor, of: Literal["log_snr", "sigma"]) -> Tensor:
    levels = table if of == "sigma" else (-table / 2).exp()
    least, most = schedule.level(FIRST_T).ratio, schedule.level(1.0).ratio
    wrong = (levels != 0) & ((levels < least * (1 - _NEAR)) | (levels > most * (1 + _NEAR)))
    if bool(wrong.any()):
        value = float(table[wrong][0])
        first, last = (least, most) if of == "sigma" else (-2 * math.log(most), -2 * math.log(least))
        raise ValueError(
            f"{of} = {value:g} is no level of {schedule}, which has {first:g} to {last:g} and, at t = 0, the data itself."
        )
    return times_of(schedule, levels)
