"""Whether a training is still sane: its losses are finite, and its network answers nothing out of all proportion.

A loss alone does not tell: weightings that grow towards the data have batches a thousand times as heavy as others. So an
explosion is looked for where no weight counts, in the network's own answer F beside what is due: |F - due|^2 / |due|^2 is 1
for a network that answers 0, and of that order for every network that was drawn with care, whatever the schedule, the
prediction and the weighting.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .distributed import World

LOOKS = 4  # in a row: large learning rates bring spikes, even of 10,000, from which a run recovers by itself
_EXPLODED = (
    50.0  # times what it was at first, or 1 if that was less; sound runs stay below 2 (tests/training/test_watch.py)
)


class Watch:
    """Takes in losses without waiting for the device, for `mean`; `wrong` and `exploded` wait, and judge."""

    def __init__(self) -> None:
        self._sum: Tensor | float = 0.0  # since the last `mean`; nan and inf stay in it
        self._count = 0
        self._first: float | None = None
        self._strikes = 0

    @property
    def suspicious(self) -> bool:
        """Whether the last look saw what, seen again, is an explosion."""
        return self._strikes > 0

    def wrong(self, loss: Tensor) -> str:
        """What is wrong with the losses up to `loss`, that of the step in hand, or ""."""
        return "" if math.isfinite(float(self._sum + loss)) else "was not finite"

    def exploded(self, answer: Tensor, due: Tensor, world: World) -> str:
        """What is wrong with a network's `answer` to a batch of which each process of `world` has its rows, or ""."""
        error, size = world.sum(torch.stack([(answer - due).square().sum(), due.square().sum()])).tolist()
        excess = error / size if size > 0 else float(error > 0)  # nothing is due: that happens to points at 0 alone
        if self._first is None:
            self._first = max(excess, 1.0)
        self._strikes = self._strikes + 1 if excess > _EXPLODED * self._first else 0
        return "" if self._strikes < LOOKS else f"exploded to {excess:.2g} times that of a network which answers 0"

    def add(self, loss: Tensor) -> None:
        """`loss` of a step that is done, a scalar without gradients."""
        self._sum = self._sum + loss
        self._count += 1

    def mean(self) -> float | None:
        """The mean of the losses since it was asked last; None if there was none, or in a dry run (meta)."""
        known = self._count > 0 and not (isinstance(self._sum, Tensor) and self._sum.is_meta)
        mean = float(self._sum) / self._count if known else None
        self._sum, self._count = 0.0, 0
        return mean

    def state(self) -> Tensor:
        """(2,) float64: the sum and the number of the losses that the next `mean` will be of. Zeros in a dry run (meta)."""
        if isinstance(self._sum, Tensor) and self._sum.is_meta:
            return torch.zeros(2, dtype=torch.float64)
        return torch.tensor([float(self._sum), self._count], dtype=torch.float64)

    def restore(self, state: Tensor) -> None:
        """Take up a `state`; what is usual is measured anew."""
        self._sum, self._count = float(state[0]), int(state[1])
        self._first, self._strikes = None, 0
