"""One run of a sweep as the sweep sees it: where it is, what state it is in, what it has come to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from ...denoisers import NetworkDenoiser
from ...estimate import Estimate
from ..atomic import write_atomically
from ..checkpoint import CHECKPOINT, load
from ..metrics_file import FILE as METRICS
from . import record
from .configs import Tables
from .job import Outcome
from .measured import Measured, last_step, measured

State = Literal["waiting", "running", "finished", "failed", "lost", "stopped"]


class SweepRun:
    """A configuration under its name, and what has become of it.

    Attributes:
        name, config: the tables that it is trained by.
        differs: the values that not all runs of the sweep share, by dotted key; None where its tables do not say.
        folder: of its checkpoints and metrics.
        error: why it failed or was lost, in one sentence, else "".
        floor: the loss that no network gets below, of a run that has finished on data with an oracle, else None.
        losses: how many workers were lost that had it in hand, as far as the executor tells.
    """

    def __init__(self, name: str, config: Tables, differs: dict[str, Any], folder: Path, token: str) -> None:
        self.name, self.config, self.differs, self.folder = name, config, differs, folder
        self.error, self.losses = "", 0
        self.floor: Estimate | None = None
        self._token = token
        self._end: State | None = None
        self._step = 0
        self._measured: Measured | None = None

    def __repr__(self) -> str:
        return f"SweepRun({self.name!r}, {self.state}, step {self.step})"

    @property
    def state(self) -> State:
        """waiting, running, and the ends: finished, failed, lost, stopped. Where the worker writes to a disk that this process
        does not see, a run waits until it ends."""
        if self._end is not None:
            return self._end
        return "running" if len(self.starts) > self.losses else "waiting"

    @property
    def ended(self) -> bool:
        return self._end is not None

    @property
    def starts(self) -> list[dict[str, Any]]:
        """Every time that a worker of this sweep took it in hand: the "step" it went on from, the "host" and its "pid"."""
        return record.starts(self.folder, self._token)

    @property
    def checkpoint(self) -> Path:
        """The file that it can be loaded from, as the worker sees it."""
        return self.folder / CHECKPOINT

    def load(self) -> NetworkDenoiser:
        """The averaged denoiser of its newest checkpoint. Raises as `difflab.training.load`."""
        return load(self.checkpoint).denoiser

    @property
    def measured(self) -> Measured:
        """What it has come to so far, by its metrics.csv."""
        return self._measured or measured(self.folder)

    @property
    def step(self) -> int:
        return max(self._step, last_step(self.folder))

    @property
    def loss(self) -> Estimate:
        """Mean over the last fifth of the steps so far, with its standard error; nan before there is any."""
        return self.measured.loss

    @property
    def excess(self) -> Estimate | None:
        """How far the loss lies above its floor, where that is known."""
        if self.floor is None or math.isnan(self.loss.value):
            return None
        return Estimate(self.loss.value - self.floor.value, math.hypot(self.loss.error, self.floor.error))

    @property
    def note(self) -> str:
        """What a reader should know: why it ended early, or that it lost a worker and went on."""
        starts = self.starts
        again = f"lost a worker and went on from step {starts[-1]['step']}" if len(starts) > 1 else ""
        return "; ".join(part for part in (self.error, again) if part)

    def row(self) -> dict[str, Any]:
        """Plain values: name, each key that differs, state, step, loss and loss_error, excess and excess_error (None where
        there is no floor), steps_per_second, seconds, note."""
        so_far, excess = self.measured, self.excess
        return {
            "name": self.name,
            **self.differs,
            "state": self.state,
            "step": max(self._step, so_far.step),
            "loss": so_far.loss.value,
            "loss_error": so_far.loss.error,
            "excess": None if excess is None else excess.value,
            "excess_error": None if excess is None else excess.error,
            "steps_per_second": so_far.steps_per_second,
            "seconds": so_far.seconds,
            "note": self.note,
        }

    def end(self, outcome: Outcome) -> None:
        """Take in what the worker handed back."""
        if outcome["metrics"] and not (self.folder / METRICS).exists():  # it trained on a disk of its own
            write_atomically(self.folder / METRICS, outcome["metrics"].encode())
        self.error, self._step = outcome["error"], outcome["step"]
        self.floor = None if outcome["floor"] is None else Estimate(*outcome["floor"])
        self._close(outcome["state"])

    def lose(self, sentence: str) -> None:
        """No worker will hand anything back, for the reason in `sentence`."""
        self.error = sentence
        self._close("lost")

    def cancel(self) -> None:
        """It was stopped before a worker had it."""
        self._close("stopped")

    def _close(self, state: State) -> None:
        self._measured = measured(self.folder)
        self._end = state
