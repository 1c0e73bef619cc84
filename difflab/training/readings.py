"""What a `Trainer` says of itself: any thread may ask, while another one trains."""

from __future__ import annotations

import threading
from os import PathLike
from pathlib import Path

import numpy as np

from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from ..objectives.objective import Objective
from .folder import Folder
from .metrics_file import write
from .progress import Progress
from .run import Run
from .settings import Settings


class Readings:
    """The part of a `Trainer` that changes nothing."""

    state: str
    _run: Run
    _folder: Folder | None
    _progress: Progress
    _turn: threading.Condition

    @property
    def denoiser(self) -> NetworkDenoiser:
        """What is being trained, live."""
        return self._run.denoiser

    @property
    def data(self) -> DataSet:
        """What it is trained on."""
        return self._run.data

    @property
    def conditional(self) -> bool:
        """Whether it is trained with labels, or vectors in their place."""
        return self._run.conditional

    @property
    def folder(self) -> Path | None:
        """The directory that it writes into."""
        return None if self._folder is None else self._folder.path

    @property
    def settings(self) -> Settings:
        return self._run.settings

    @property
    def objective(self) -> Objective:
        """What is being minimised, live; `objective.floor(oracle, prediction)` is what a loss is to be held against."""
        return self._run.objective

    @property
    def loss(self) -> float:
        return self._progress.loss

    def curve(self) -> np.ndarray:
        """The loss so far, (m, 2) float32 of (step, loss), m <= 600: means over equal blocks of steps."""
        with self._turn:
            return self._progress.curve.points()

    @property
    def steps_per_second(self) -> float:
        with self._turn:
            return self._progress.steps_per_second if self.state == "running" else 0.0

    def metrics(self) -> dict[str, np.ndarray]:
        """What was noted so far, a row every few dozen steps, as `difflab.training.metrics` gives it for a folder; of a run so
        long that there are more than a few thousand rows, every second, fourth, ... one."""
        return self._run.metrics.columns()

    def write_metrics(self, path: str | PathLike[str]) -> None:
        """Write these rows as a table like the metrics.csv that a folder has anyway. Raises OSError."""
        write(path, self._run.metrics.rows())
