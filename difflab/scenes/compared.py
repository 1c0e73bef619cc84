"""What runs can be compared: trainers, directories and runs of a sweep, each read as a row of words and a loss curve."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import brief

if TYPE_CHECKING:
    from ..training import Trainer
    from ..training.sweeps import SweepRun

POINTS = 100  # of a curve: means over a hundredth of the steps, or single batches would hide it
TAIL = 0.2  # of the steps so far: what the loss beside the curve is the mean of
ENDS = ("finished", "failed", "stopped", "lost")


class Compared:
    """One run. `key` tells it from others."""

    key: Any

    def look(self) -> tuple[dict[str, Any], np.ndarray]:
        """(row, curve (m, 2) of (step, loss)) as they are now. A row has the name, state, step, speed, loss with its error and
        its excess over the exact floor, what differs, and a note, "" where there is none; numbers that are not known are None.
        """
        raise NotImplementedError

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return False


class OfTrainer(Compared):
    """A `Trainer` of this process."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = self.key = trainer

    def look(self) -> tuple[dict[str, Any], np.ndarray]:
        trainer = self.trainer
        curve = trainer.curve()
        row = {
            "name": trainer.name,
            "state": trainer.state,
            "step": trainer.step,
            "differs": "",
            "note": trainer.error,
            "excess": None,
            "speed": trainer.steps_per_second or None,
        }
        return row | tail(curve), _thinned(curve)

    @property
    def ended(self) -> bool:
        return self.trainer.state in ENDS


class OfFolder(Compared):
    """A run's directory, or a `SweepRun` in its own: what its metrics.csv says; only what is new in it is read."""

    def __init__(self, folder: Path, of: SweepRun | None = None) -> None:
        from ..training.curve import LossCurve
        from ..training.metrics_file import FILE

        self.key, self.path, self.of = folder, folder / FILE, of
        self._new_curve = lambda: LossCurve(2 * POINTS)
        self._forget()

    def _forget(self) -> None:
        self._read, self._curve, self._last = 0, self._new_curve(), (0, 0.0)
        self._first: tuple[int, float] | None = None

    def look(self) -> tuple[dict[str, Any], np.ndarray]:
        self._follow()
        step, seconds = self._last
        first = self._first or (0, 0.0)
        speed = (step - first[0]) / (seconds - first[1]) if seconds > first[1] else None
        row = {
            "name": self.key.name,
            "state": "",
            "step": step,
            "differs": "",
            "note": "",
            "speed": speed,
            "excess": None,
        }
        if self.of is not None:
            differs = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in self.of.differs.items())
            row |= {"name": self.of.name, "state": self.of.state, "note": self.of.note, "differs": differs}
            row["step"] = max(step, self.of.step)
            row["excess"] = None if self.of.excess is None else self.of.excess.value
        curve = self._curve.points()
        return row | tail(curve), _thinned(curve)

    @property
    def ended(self) -> bool:
        return self.of is not None and self.of.state in ENDS

    def _follow(self) -> None:
        """Take in the whole lines that were added; a table that became shorter is read anew."""
        try:
            with open(self.path, "rb") as file:
                if file.seek(0, io.SEEK_END) < self._read:
                    self._forget()
                file.seek(self._read)
                added = file.read()
        except FileNotFoundError:
            self._forget()
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in csv.reader(io.StringIO(whole.decode("utf-8", errors="replace"))):
            try:
                step, loss, seconds = int(line[0]), float(line[1]), float(line[3])
            except (IndexError, ValueError):  # the head
                continue
            self._first = self._first or (step, seconds)
            self._last = (step, seconds)
            if math.isfinite(loss):
                self._curve.add(step, loss)


def compared(source: object) -> list[Compared]:
    """What `source` holds to compare: a trainer, a directory, a sweep or a run of one, or several of them.

    Raises TypeError, in one sentence, for anything else, ValueError for a directory that is not there.
    """
    if isinstance(source, str | PathLike):
        folder = Path(source)
        if not folder.is_dir():
            raise ValueError(f"There is no directory {folder}: give the folder= that a run trains in.")
        return [OfFolder(folder)]
    if hasattr(source, "curve") and hasattr(source, "total_steps"):
        return [OfTrainer(source)]  # type: ignore[arg-type]
    if hasattr(source, "differs") and isinstance(getattr(source, "folder", None), Path):
        return [OfFolder(source.folder, source)]  # type: ignore[attr-defined, arg-type]
    if hasattr(source, "runs"):
        return compared(source.runs)
    if isinstance(source, Iterable):
        return [one for part in source for one in compared(part)]
    raise TypeError(
        f"Runs to compare are Trainers, directories of runs or a sweep, one or several, but got {brief(source)}."
    )


def tail(curve: np.ndarray) -> dict[str, float | None]:
    """The mean `loss` of the last fifth of a curve (m, 2), and its standard `error`; None where there are too few points."""
    if not len(curve):
        return {"loss": None, "error": None}
    last = curve[curve[:, 0] >= (1 - TAIL) * curve[-1, 0], 1].astype(float)
    error = float(last.std(ddof=1) / math.sqrt(len(last))) if len(last) > 1 else None
    return {"loss": float(last.mean()), "error": error}


def _thinned(curve: np.ndarray) -> np.ndarray:
    """At most POINTS points: neighbours are averaged."""
    group = -(-len(curve) // POINTS) or 1
    whole = len(curve) // group * group
    merged = curve[:whole].reshape(-1, group, 2).mean(1)
    return np.concatenate([merged, curve[whole:].mean(0, keepdims=True)]) if whole < len(curve) else merged
