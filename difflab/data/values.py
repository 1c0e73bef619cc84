"""What values the coordinates of examples may take: their range, and, where data is discrete, its levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..checks import is_number, is_whole

_MOST_LEVELS = 2**16  # of 16-bit pixels; with many more, all that float32 holds would lie on one


def checked_levels(levels: Any) -> int | None:
    """A whole number from 2 to 65,536, or None for continuous data. ValueError for anything else."""
    if levels is not None and not (is_whole(levels, 2) and levels <= _MOST_LEVELS):
        raise ValueError(
            f"levels must be a whole number from 2 to {_MOST_LEVELS}, or None for continuous data, but got {levels!r}."
        )
    return None if levels is None else int(levels)


def checked_range(value_range: Any, levels: int | None = None) -> tuple[float, float]:
    """The lowest and the highest value, two finite numbers, apart where there are levels. ValueError for others."""
    if not isinstance(value_range, tuple | list) or len(value_range) != 2 or not all(map(is_number, value_range)):
        raise ValueError(
            f"range must be two finite numbers, the lowest and the highest value, but got {value_range!r}."
        )
    low, high = float(value_range[0]), float(value_range[1])
    if levels is not None and low == high:
        raise ValueError(f"{levels} levels need a range from the lowest to the highest, but got {(low, high)}.")
    return low, high


def on_levels(x: np.ndarray, levels: int, value_range: tuple[float, float]) -> bool:
    """Whether every value of `x`, float32, is one of `levels` equally spaced ones over the range."""
    low, high = value_range
    steps = (x - low) * ((levels - 1) / (high - low))
    return bool(np.allclose(steps, steps.round(), atol=1e-3))
