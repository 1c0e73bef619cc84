"""What is kept of power-function averages while a training goes on: copies at evenly spaced steps, of bounded number.

Copies are taken every 32 steps at first, and twice as far apart whenever there would be more than 32 of them: then every other
one is dropped. So there are always 16 to 32 (from step 512 on), which depend on nothing but the step: not on how long the
training is to be, nor on whether it was interrupted. From two lengths, 0.05 and 0.1, at 16 steps and the newest one, any other
from 0.04 to 0.15 is made with a miss of its profile of 1.1 % at most, from 0.035 to 0.2 of 2.5 %; from 32 steps, of a third of
that: evenly spaced, the miss falls with the square of their number (geometrically spaced ones miss ten times as much).

On disk each is a safetensors file of its own, written in one stroke and never again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .atomic import write_atomically

FOLDER = "averages"  # within a run's own
MOST = 32
FIRST = 32  # steps between copies in the beginning
FORMAT = 1
_UNWRITTEN = 64 * 2**20  # bytes that may wait for the next checkpoint


class SnapshotError(ValueError):
    """This file is no copy of averages; one sentence says why."""


def spacing(step: int) -> int:
    """Steps between the copies that are there at step number `step`."""
    apart = FIRST
    while step > MOST * apart:
        apart *= 2
    return apart


class Snapshots:
    """Copies of tensors by their step.

    Args:
        folder: where files of `write` are; None keeps all in memory.

    Attributes:
        keeps: False where another process keeps them: then there are none here.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder, self.keeps = folder, True
        self._unwritten: dict[int, dict[str, Tensor]] = {}
        self._apart = FIRST

    def due(self, step: int) -> bool:
        """Whether a copy belongs to step number `step`, the next one."""
        if step > MOST * self._apart:
            self._thin(spacing(step))
        return step % self._apart == 0

    def add(self, step: int, tensors: dict[str, Tensor]) -> None:
        """Keep `tensors`, which are on the CPU and nobody else's."""
        if not self.keeps:
            return
        self._unwritten[step] = tensors
        if self._folder is not None and sum(map(_bytes, self._unwritten.values())) > _UNWRITTEN:
            with suppress(OSError):  # the next checkpoint tells
                self.write()

    def write(self) -> None:
        """Put on disk what waits for it, and drop files that lie too densely by now. OSError where that cannot be."""
        if self._folder is None:
            return
        for step in sorted(self._unwritten):
            about = json.dumps({"what": "averages", "format": FORMAT, "step": step})
            write_atomically(self._path(step), safetensors.torch.save(self._unwritten[step], {"difflab": about}))
            del self._unwritten[step]
        for step in self._written():
            if step % self._apart:
                self._path(step).unlink(missing_ok=True)

    def move_to(self, folder: Path) -> None:
        """From now on copies are files in `folder`, those that are there already included; the next `write` makes them so."""
        self._folder = folder

    def forget_after(self, step: int) -> None:
        """Drop what was kept of later steps than `step`."""
        self._unwritten = {k: v for k, v in self._unwritten.items() if k <= step}
        for later in self._written():
            if later > step:
                self._path(later).unlink(missing_ok=True)
        self._thin(spacing(step))

    def _thin(self, apart: int) -> None:
        self._apart = apart
        self._unwritten = {k: v for k, v in self._unwritten.items() if k % apart == 0}

    @property
    def steps(self) -> list[int]:
        """Of which there are copies."""
        return sorted({*self._unwritten, *self._written()})

    def read(self, step: int) -> dict[str, Tensor]:
        """The copy of this step. SnapshotError if its file is damaged, or of something else."""
        if step in self._unwritten:
            return self._unwritten[step]
        path = self._path(step)
        try:
            with safe_open(path, "pt") as file:
                about = json.loads((file.metadata() or {})["difflab"])
                if (about["what"], about["format"], about["step"]) != ("averages", FORMAT, step):
                    raise SnapshotError(f"{path.name} is not the averages of step {step}, as this difflab writes them.")
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise SnapshotError(f"{path.name} is damaged, or no copy of averages; delete it to do without.") from error

    def _path(self, step: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{step:09d}.safetensors"

    def _written(self) -> list[int]:
        if self._folder is None:
            return []
        names = (path.stem for path in self._folder.glob("*.safetensors"))
        return sorted(int(name) for name in names if name.isdecimal())


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())
