"""What a run measured, as rows: the one table that metrics.csv, event files and `Trainer.metrics` all show.

Values are rounded once, here, to what the file holds, so that none of them tells another number than the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """What is known every few dozen steps.

    Attributes:
        step: after which it was noted.
        loss: mean over the steps since the row before.
        learning_rate: of this step.
        seconds: of training so far; pauses of a `Trainer` do not count.
        steps_per_second: since the row before.
        gradient_norm: of this step, before clipping; nan where gradients are not clipped.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    steps_per_second: float
    gradient_norm: float = math.nan


COLUMNS = Row._fields
HEAD = ",".join(COLUMNS) + "\n"


class Metrics:
    """The rows of a run. One thread adds them; any may read them.

    Args:
        limit: how many are held at most, an even number. A run that is longer holds every second of its rows then, later every
            fourth, and so on, and always the newest; what stays is as it was noted.
    """

    def __init__(self, limit: int = 4096) -> None:
        self._limit, self._stride, self._count = limit, 1, 0
        self._rows: list[Row] = []
        self._newest: Row | None = None
        self._from = (0, 0.0)  # the step and the seconds that the next speed is measured from
        self._began = time.monotonic()

    def hold(self, rows: Iterable[Row]) -> None:
        """Take up what was noted before an interruption."""
        for row in rows:
            self._hold(row)

    def go_on(self, step: int) -> None:
        """The clock goes on: the next step is the one after `step`. Steps after the last row are taken to have been as fast as
        those before it: their time was not noted."""
        newest, seconds = self._newest, 0.0
        if newest is not None:
            speed = newest.steps_per_second
            seconds = newest.seconds + ((step - newest.step) / speed if speed > 0 else 0.0)
        self._from = (step, seconds)
        self._began = time.monotonic() - seconds

    def leave_out(self, seconds: float) -> None:
        """The last `seconds` were no training."""
        self._began += seconds

    def add(self, step: int, loss: float, learning_rate: float, gradient_norm: float = math.nan) -> Row:
        """The row after `step`, as it is held."""
        seconds = time.monotonic() - self._began
        before, then = self._from
        speed = (step - before) / (seconds - then) if seconds > then else math.nan
        self._from = (step, seconds)
        row = Row(
            step,
            _rounded(loss),
            _rounded(learning_rate),
            round(seconds, 3),
            _rounded(speed, 5),
            _rounded(gradient_norm),
        )
        self._hold(row)
        return row

    def _hold(self, row: Row) -> None:
        self._newest = row
        self._count += 1
        if self._count % self._stride:
            return
        self._rows.append(row)
        if len(self._rows) == self._limit:
            self._rows = self._rows[1::2]
            self._stride *= 2

    def rows(self) -> list[Row]:
        """Oldest first."""
        held, newest = list(self._rows), self._newest  # in this order: another thread may add one in between
        return held if newest is None or (held and held[-1].step >= newest.step) else [*held, newest]

    def columns(self) -> dict[str, np.ndarray]:
        """`COLUMNS` by name, each (rows,): int64 of steps, float64 of all others."""
        return columns(self.rows())


def columns(rows: list[Row]) -> dict[str, np.ndarray]:
    """`rows` as arrays (rows,) by the names of `COLUMNS`."""
    return {
        name: np.array([row[i] for row in rows], dtype=np.int64 if name == "step" else np.float64)
        for i, name in enumerate(COLUMNS)
    }


def _rounded(value: float, digits: int = 8) -> float:
    """A float32 has 8 decimal digits of its own; a speed never has as many."""
    return float(f"{value:.{digits}g}")


def text(rows: Iterable[Row]) -> str:
    """`rows` as lines of comma-separated values; nan is an empty one."""
    return "".join(",".join("" if v != v else str(v) for v in row) + "\n" for row in rows)
