"""A run's own directory: where it can be continued from, and what it measured.

    checkpoint.safetensors              the newest; replaced in one stroke, so that there always is a whole one
    checkpoint-000002000.safetensors    older ones, named by their step
    averages/000000512.safetensors      of the weights, by their step, where any are followed (post_hoc.py)
    metrics.csv                         one row for every few dozen steps
    lock                                held while a training writes here

Two trainings never write into one directory, and a run that lies there is never overwritten by another one.
"""

from __future__ import annotations

import os
import shutil
from os import PathLike
from pathlib import Path

from filelock import FileLock, Timeout
from torch import nn

from .checkpoint import Checkpoint, load, save
from .metrics_file import MetricsFile
from .run import Run
from .settings import whole
from .snapshots import FOLDER as AVERAGES

CHECKPOINT = "checkpoint.safetensors"
_MOST_KEPT = 10_000


class FolderError(ValueError):
    """This directory cannot be trained in; one sentence says why."""


class Folder:
    """A directory that one training writes into.

    Args:
        path: made if it is not there.
        save_every: steps between checkpoints.
        keep: how many older checkpoints stay beside the newest.
        tensorboard: also write event files for TensorBoard.

    Raises ValueError for values that cannot be. Nothing is touched before `open`.
    """

    def __init__(
        self, path: str | PathLike[str], *, save_every: int = 1000, keep: int = 2, tensorboard: bool = False
    ) -> None:
        whole("save_every", save_every, least=1)
        whole("keep", keep, least=0, most=_MOST_KEPT)
        if not isinstance(tensorboard, bool):
            raise ValueError(f"tensorboard must be True or False, but got {tensorboard!r}.")
        if not isinstance(path, str | PathLike):
            raise TypeError(f"folder must be the path of a directory, but got {path!r}.")
        self.path, self.save_every, self.keep, self.tensorboard = Path(path), save_every, keep, tensorboard
        self._lock = FileLock(self.path / "lock", timeout=0, thread_local=False)
        self._metrics: MetricsFile | None = None
        self._saved_step: int | None = None

    @property
    def checkpoint(self) -> Path:
        """Where the newest checkpoint is, or will be."""
        return self.path / CHECKPOINT

    def open(self) -> None:
        """Make the directory and hold it. Raises FolderError in one sentence where that cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout as error:
            raise FolderError(
                f"Another training writes into {self.path}: stop that one, or give another folder."
            ) from error
        except OSError as error:
            raise FolderError(
                f"Nothing can be written into {self.path} ({error.strerror}): give another folder."
            ) from error

    def newest(self, network: nn.Module | None = None) -> Checkpoint | None:
        """What lies here to go on from, or None. As `load`."""
        return load(self.checkpoint, network) if self.checkpoint.exists() else None

    def begin(self, run: Run) -> None:
        """`run` is what is trained here; what was noted after its step is forgotten."""
        self._saved_step = run.step if self.checkpoint.exists() else None
        run.averages.snapshots.move_to(self.path / AVERAGES)
        run.averages.snapshots.forget_after(run.step)
        self._metrics = MetricsFile(self.path, run.step, tensorboard=self.tensorboard)

    def note(self, run: Run, loss: float) -> None:
        """A row of metrics: the mean `loss` since the last one."""
        assert self._metrics is not None
        self._metrics.add(run.step, loss, run.settings.learning_rate(run.step, run.steps))

    def save(self, run: Run) -> None:
        """Write a checkpoint, unless that of this step is there; the one before it becomes an older one."""
        if run.step == self._saved_step:
            return
        if self.keep and self._saved_step is not None:
            self._keep(self.path / f"checkpoint-{self._saved_step:09d}.safetensors")
        run.averages.snapshots.write()
        save(run, self.checkpoint)
        self._saved_step = run.step
        older = sorted(self.path.glob("checkpoint-*.safetensors"))
        for path in older[: max(len(older) - self.keep, 0)]:
            path.unlink(missing_ok=True)

    def _keep(self, older: Path) -> None:
        """The newest checkpoint under another name too; its own is never without a file."""
        if older.exists():
            return
        try:
            os.link(self.checkpoint, older)
        except OSError:  # a file system without hard links
            shutil.copyfile(self.checkpoint, older)

    def close(self) -> None:
        """Let go of the directory."""
        if self._metrics is not None:
            self._metrics.close()
        self._lock.release()
