"""Whether a training is still sane: its losses are finite, and not a thousand times what they were."""

from __future__ import annotations

import math

from torch import Tensor

_WINDOW = 25  # losses whose mean is judged: single ones are wild under weightings that grow towards the data
_EXPLODED = 1000.0  # times the mean of the first window


class Watch:
    """Takes in losses without waiting for the device; `look` waits and judges."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None  # nan and inf stay in a sum
        self._count = 0
        self._window, self._in_window = 0.0, 0
        self._first: float | None = None

    def add(self, loss: Tensor) -> None:
        """`loss` of a step, a scalar without gradients."""
        self._sum = loss if self._sum is None else self._sum + loss
        self._count += 1

    def look(self) -> tuple[float, int, str]:
        """(sum of the losses since the last look, their number, what is wrong or "")."""
        if self._sum is None:
            return 0.0, 0, ""
        total, count = float(self._sum), self._count
        self._sum, self._count = None, 0
        if not math.isfinite(total):
            return total, count, "was not finite"
        self._window += abs(total)
        self._in_window += count
        if self._in_window < _WINDOW:
            return total, count, ""
        mean, self._window, self._in_window = self._window / self._in_window, 0.0, 0
        if self._first is None:
            self._first = mean
        elif mean > _EXPLODED * max(self._first, 1e-12):
            return total, count, f"exploded to {mean:.3g}, from {self._first:.3g} at first,"
        return total, count, ""
