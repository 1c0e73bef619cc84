"""How far and how fast a training may go before it waits: a number of steps, and steps per second.

Neither touches what a step computes: a training that was slowed down, or led step by step, ends on the same bits.
"""

from __future__ import annotations

import math
import time

from ..checks import is_number
from .settings import whole

_MOST_STEPS = 2**53
_LONGEST = 3600.0  # seconds to wait before looking again: a wait may not be of any length


class Pace:
    """Of one `Trainer`, which sees to it that one thread at a time is here.

    Attributes:
        left: steps until it is to pause; None without such an end.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self._limit: float | None = None
        self._due = 0.0  # when the next step may begin

    @property
    def limit(self) -> float | None:
        """Steps per second at most; None for as fast as it goes. ValueError for what is neither None nor above 0."""
        return self._limit

    @limit.setter
    def limit(self, value: object) -> None:
        if value is not None and not (is_number(value) and 0 < value < math.inf):  # type: ignore[operator]
            raise ValueError(
                f"pace must be a number of steps per second above 0, or None for no limit, but got {value!r}."
            )
        self._limit = None if value is None else float(value)  # type: ignore[arg-type]
        self._due = 0.0  # under the new one the next step may begin at once

    def add(self, steps: object) -> None:
        """Pause `steps` steps from now, or that much later than was asked for before. ValueError for no whole number."""
        whole("advance's n", steps, least=1, most=_MOST_STEPS)
        self.left = (self.left or 0) + int(steps)  # type: ignore[call-overload]

    def rest(self) -> None:
        """The next step, whenever it is asked for, need not wait."""
        self._due = 0.0

    @property
    def early(self) -> float:
        """Seconds until the next step may begin, an hour at most; 0 when it may."""
        return 0.0 if self._limit is None else min(_LONGEST, max(0.0, self._due - time.monotonic()))

    def begin(self) -> None:
        """A step begins. It may make up for a little lateness, of less than a step, which is the clock's."""
        if self._limit is not None:
            now, period = time.monotonic(), 1 / self._limit
            self._due = (self._due if now - self._due < period else now) + period

    def end(self) -> bool:
        """A step is done; whether it was the last one of those asked for."""
        if self.left is None:
            return False
        self.left -= 1
        if self.left > 0:
            return False
        self.left = None
        return True
