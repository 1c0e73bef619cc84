"""A run's own directory: where it can be continued from, and what it measured.

    checkpoint.safetensors              the newest; replaced in one stroke, so that there always is a whole one
    checkpoint-000002000.safetensors    older ones, named by their step
    averages/000000512.safetensors      of the weights, by their step, where any are followed (post_hoc.py)
    metrics.csv                         one row for every few dozen steps
    tensorboard/                        the same for TensorBoard, where asked for
    lock, writer                        held while a training writes here, and who that is

Two trainings never write into one directory, and a run that lies there is never overwritten by another one. A process that is
killed leaves at most an unfinished file of a name that nothing reads, and that the next training here removes.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import warnings
from contextlib import suppress
from os import PathLike
from pathlib import Path

from filelock import FileLock, Timeout
from torch import Tensor, nn

from .atomic import UNFINISHED, unfinished
from .checkpoint import CHECKPOINT, Checkpoint, CheckpointError, load, save
from .event_files import FOLDER as EVENTS
from .event_files import EventFiles, writer_class
from .faults import NotSaved, reason
from .metrics_file import MetricsFile
from .metrics_table import Row
from .run import Run
from .settings import whole
from .snapshots import FOLDER as AVERAGES

UNREAD = "unread-checkpoint.safetensors"  # the newest one of before, where it could not be read
_OLDER = re.compile(r"checkpoint-(\d{9,})\.safetensors")
_MOST_KEPT = 10_000


class FolderError(ValueError):
    """This directory cannot be trained in; one sentence says why."""


class Folder:
    """A directory that one training writes into.

    Args:
        path: made if it is not there; "" to check the others alone.
        save_every: steps between checkpoints.
        keep: how many older checkpoints stay beside the newest.
        tensorboard: also write event files for TensorBoard.

    Raises ValueError for values that cannot be, ImportError where TensorBoard is asked for and is not there. Nothing is touched
    before `open`.
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
        if tensorboard:
            writer_class()
        self.save_every, self.keep, self.tensorboard = save_every, keep, tensorboard
        # a notebook may move to another directory while it trains
        self.path = Path(path).absolute() if path else Path()
        self._lock = FileLock(self.path / "lock", timeout=0, thread_local=False)
        self._writer = self.path / "writer"
        self._metrics: MetricsFile | None = None
        self._events: EventFiles | None = None
        #: of the newest checkpoint here, once it is known, and of the last one that this run wrote
        self.newest_step: int | None = None
        self.saved_step: int | None = None

    @property
    def checkpoint(self) -> Path:
        """Where the newest checkpoint is, or will be."""
        return self.path / CHECKPOINT

    def open(self) -> None:
        """Make the directory and hold it. Raises FolderError in one sentence where that cannot be."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
            self._writer.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        except Timeout as error:
            raise FolderError(
                f"Another training{self._holder()} writes into {self.path}: stop that one, or give another folder."
            ) from error
        except OSError as error:
            self._lock.release()
            raise FolderError(
                f"Nothing can be written into {self.path} ({reason(error)}): give another folder."
            ) from error
        for left in self.path.rglob(f".*{UNFINISHED}"):
            left.unlink(missing_ok=True)

    def _holder(self) -> str:
        try:
            who = self._writer.read_text(encoding="utf-8")
        except OSError:
            return ""
        mine = f"process {os.getpid()} on {platform.node()}"
        return " of this process" if who == mine else f" ({who})" if who else ""

    def newest(self, network: nn.Module | None = None) -> Checkpoint | None:
        """What lies here to go on from, or None. As `load`, but for what cannot be read: then the newest that can is taken,
        and a warning says so."""
        there = ([self.checkpoint] if self.checkpoint.exists() else []) + self._older()[::-1]
        refused: CheckpointError | None = None
        for path in there:
            try:
                found = load(path, network)
            except CheckpointError as error:
                refused = refused or error
                continue
            if path == self.checkpoint:
                self.newest_step = found.step
            else:
                why = f"{refused}" if refused else f"There is no {CHECKPOINT} in {self.path}."
                warnings.warn(f"{why} The run goes on from step {found.step}, {path.name}.", stacklevel=2)
            return found
        if refused is not None:
            raise refused
        return None

    def begin(self, run: Run) -> None:
        """`run` is what is trained here; what was noted after its step is forgotten. FolderError if that cannot be written."""
        _ = run.config  # what it says of the data is read now: that may be gone when a checkpoint is written
        try:
            if self.newest_step is None and self.checkpoint.exists():
                os.replace(self.checkpoint, self.path / UNREAD)
            run.averages.snapshots.move_to(self.path / AVERAGES)
            run.averages.snapshots.forget_after(run.step)
            self._metrics = MetricsFile(self.path, run.step)
            run.metrics.hold(self._metrics.kept)
            if self.tensorboard:
                self._events = EventFiles(self.path / EVENTS, run.step, self._metrics.kept)
        except OSError as error:
            raise FolderError(
                f"Nothing can be written into {self.path} ({reason(error)}): give another folder."
            ) from error

    def note(self, run: Run, row: Row) -> None:
        """Write a row of its metrics. Raises NotSaved."""
        assert self._metrics is not None
        try:
            self._metrics.add(row)
            if self._events is not None:
                self._events.add(row)
        except OSError as error:
            raise self._not_saved(run, error) from error

    def save(self, run: Run, state: dict[str, Tensor] | None = None) -> None:
        """Write a checkpoint, unless that of this step is there; the one before it becomes an older one. `state` is that of the
        run where it was taken before. Raises NotSaved."""
        if run.step == self.newest_step:
            return
        try:
            if self.keep and self.newest_step is not None:
                self._keep(self.path / f"checkpoint-{self.newest_step:09d}.safetensors")
            run.averages.snapshots.write()
            if self._metrics is not None:
                self._metrics.sync()  # no checkpoint without the rows before it
            save(run, self.checkpoint, state)
            self.newest_step = self.saved_step = run.step
            for path in self._older()[: -self.keep or None]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise self._not_saved(run, error) from error

    def _not_saved(self, run: Run, error: OSError) -> NotSaved:
        there = self.checkpoint.exists()  # not where somebody removed the directory
        return NotSaved(run, self.path, error, self.newest_step if there else None)

    def _older(self) -> list[Path]:
        """The older checkpoints, by their step."""
        found = [(int(m[1]), path) for path in self.path.iterdir() if (m := _OLDER.fullmatch(path.name))]
        return [path for _, path in sorted(found)]

    def _keep(self, older: Path) -> None:
        """The newest checkpoint under another name too; its own is never without a file."""
        beside = unfinished(older)
        try:
            try:
                os.link(self.checkpoint, beside)
            except OSError:  # a file system without hard links
                shutil.copyfile(self.checkpoint, beside)
            os.replace(beside, older)  # also over one of a run that went another way from there
        finally:
            beside.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the directory."""
        try:
            for written in (self._metrics, self._events):
                if written is not None:
                    written.close()
        finally:
            if self._lock.is_locked:
                with suppress(OSError):
                    self._writer.unlink(missing_ok=True)
            self._lock.release()
