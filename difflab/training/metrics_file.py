"""What a run measured, as a plain table that anything can read: metrics.csv in its directory."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from os import PathLike
from pathlib import Path

import numpy as np

from .atomic import write_atomically
from .metrics_table import COLUMNS, HEAD, Row, columns, text

FILE = "metrics.csv"


class MetricsFile:
    """The file in `folder`, for a run that goes on from `step`: rows after it are dropped first, and a last line that was cut
    short with them. Raises OSError where it cannot be written.

    Attributes:
        kept: the rows that were there and stayed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / FILE
        found = [Row(**row) for row in read(path)] if path.exists() else []  # type: ignore[arg-type] # steps are whole
        self.kept = [row for row in found if row.step <= step]
        write(path, self.kept)
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def add(self, row: Row) -> None:
        """Write it where a process that is killed leaves it. Raises OSError."""
        self._file.write(text([row]))
        self._file.flush()

    def sync(self) -> None:
        """Write all rows where a machine that loses power leaves them. Raises OSError."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Nothing is left to be written but what `add` has failed to write."""
        with suppress(OSError):
            self._file.close()


def write(path: str | PathLike[str], rows: list[Row]) -> None:
    """A table of these rows, in one stroke. Raises OSError."""
    write_atomically(path, (HEAD + text(rows)).encode())


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv, each by the names of `COLUMNS`; nan where the file has no value. A line that was cut short, or
    is no row, is left out. Raises OSError."""
    whole = path.read_bytes().decode("utf-8", errors="replace").rpartition("\n")[0]
    head, *lines = [line.split(",") for line in whole.splitlines()] or [[]]
    rows = []
    for line in lines:
        cells = dict(zip(head, line, strict=False))
        try:
            values: dict[str, float] = {name: float(cells.get(name) or math.nan) for name in COLUMNS}
            if len(line) == len(head):
                rows.append(values | {"step": int(cells["step"])})
        except (KeyError, ValueError):
            continue
    return rows


def metrics(folder: str | PathLike[str]) -> dict[str, np.ndarray]:
    """What the run in `folder` has measured so far, also while it goes on: its metrics.csv as arrays, one a column.

        rows = difflab.training.metrics("runs/digits")
        plt.plot(rows["step"], rows["loss"])

    Returns step (rows,) int64 and loss, learning_rate, seconds, steps_per_second and gradient_norm (rows,) float64 (see `Row`).
    Raises TypeError for what is no path, and FileNotFoundError in one sentence where no run lies.
    """
    if not isinstance(folder, str | PathLike):
        raise TypeError(f"folder must be the path of a run's directory, but got {folder!r}.")
    try:
        found = read(Path(folder) / FILE)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"There is no {FILE} in {folder}: give the folder= that a run trains in.") from error
    return columns([Row(**row) for row in found])  # type: ignore[arg-type]
