"""The trainings of this process: `difflab.runs()`."""

from __future__ import annotations

import html
import math
import threading
import weakref
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .trainer import Trainer

_HEADS = ("run", "state", "step", "loss", "steps/s", "folder")
# the one list that a process has: which trainings are under way is a fact about it
_trainers: weakref.WeakValueDictionary[int, Trainer] = weakref.WeakValueDictionary()
_numbers = count(1)
_lock = threading.Lock()


class Runs(list["Trainer"]):
    """Trainers, the newest first; shown as a table of how they are now."""

    def rows(self) -> list[tuple[str, ...]]:
        """What the table says of each: name, state, step, loss, speed, folder."""
        return [
            (
                trainer.name,
                trainer.state,
                f"{trainer.step:,} of {trainer.total_steps:,}",
                "" if math.isnan(trainer.loss) else f"{trainer.loss:.4f}",
                f"{trainer.steps_per_second:,.0f}" if trainer.state == "running" else "",
                "" if trainer.folder is None else str(trainer.folder),
            )
            for trainer in self
        ]

    def __repr__(self) -> str:
        if not self:
            return "No training in this process."
        table = [_HEADS, *self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        return "\n".join([*lines, *self._errors()])

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{self!r}</p>"
        cells = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows()]
        head = "".join(f"<th>{name}</th>" for name in _HEADS)
        errors = "".join(f"<p>{html.escape(line)}</p>" for line in self._errors())
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>{errors}"

    def _errors(self) -> list[str]:
        return [f"{trainer.name}: {trainer.error}" for trainer in self if trainer.error]


def runs() -> Runs:
    """Every `Trainer` of this process that something still holds or that still runs, the newest first.

    difflab.runs()                              # how they are doing, as a table
    [run.stop() for run in difflab.runs()]
    """
    with _lock:
        return Runs(trainer for _, trainer in sorted(_trainers.items(), reverse=True))


def enrol(trainer: Trainer) -> int:
    """Let `runs` know of this trainer, for as long as it lives; its number, 1 for the first of this process."""
    with _lock:
        number = next(_numbers)
        _trainers[number] = trainer
        return number
