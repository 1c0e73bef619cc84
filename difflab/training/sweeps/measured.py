"""What a run has come to, from its metrics.csv: read while it goes on, or when it has ended."""

from __future__ import annotations

import io
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from ...estimate import Estimate
from ..metrics_file import FILE, read

_UNKNOWN = Estimate(math.nan, math.nan)
_TAIL = 4096  # bytes, of which a row takes a few dozen
_LAST = 0.2  # share of the steps so far that the loss is a mean over


@dataclass(frozen=True)
class Measured:
    """Of a run so far.

    Attributes:
        step: of the last row.
        loss: mean over the last fifth of the steps so far, with its standard error over the rows (nan with a single one); it is
            still falling then, so that the error is of the mean over these steps and not of the last one's.
        seconds: of training.
        steps_per_second: over all of them.
    """

    step: int = 0
    loss: Estimate = _UNKNOWN
    seconds: float = 0.0
    steps_per_second: float = math.nan


def rows(folder: Path) -> list[dict[str, float]]:
    """Of metrics.csv in `folder`; none where it is not there."""
    try:
        return read(folder / FILE)
    except OSError:
        return []


def last_step(folder: Path) -> int:
    """Of the last row of metrics.csv in `folder`, by its last few lines alone; 0 where there is none."""
    try:
        with open(folder / FILE, "rb") as file:
            file.seek(max(file.seek(0, io.SEEK_END) - _TAIL, 0))
            lines = file.read().splitlines(keepends=True)
    except OSError:
        return 0
    whole = [line.partition(b",")[0] for line in lines if line.endswith(b"\n")]
    return next((int(step) for step in reversed(whole) if step.isdigit()), 0)


def measured(folder: Path) -> Measured:
    """What the run in `folder` has come to."""
    found = rows(folder)
    if not found:
        return Measured()
    step, seconds = int(found[-1]["step"]), found[-1]["seconds"]
    late = [row["loss"] for row in found if row["step"] > (1 - _LAST) * step]
    error = statistics.stdev(late) / math.sqrt(len(late)) if len(late) > 1 else math.nan
    return Measured(step, Estimate(statistics.fmean(late), error), seconds, step / seconds if seconds > 0 else math.nan)
