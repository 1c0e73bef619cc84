"""Batches noised many at a time: one call draws the examples, times and noise of dozens of steps, and a step takes the next.

What a network is shown does not depend on its weights, so nothing is lost by making it early; for points in the plane it is
what makes a step cost little more than the network itself. The streams are kept as they were before the block, so that a run
can be continued within it.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ..denoisers.network import NetworkDenoiser
from ..objectives.noised import Noised, batches_of
from ..objectives.objective import Objective
from .batches import Batches
from .distributed import World

_NUMBERS = 2**17  # coordinates of a block: what still lies in a core's cache
_MOST = 64  # batches


class Blocks:
    """Draws (batch as it is noised, its labels), one step's after the other.

    Args:
        denoiser: whose view of x_t it is, under the schedule that it has when a batch is drawn.
        batch: examples a step, on all processes together.
        noise: the stream of times and noise; None in a dry run.
        unlabelled: (batch,) bool, the rows that lose their label, or None.
        rows: of each batch that this process trains on. All processes draw all rows: the streams do not know how many
            there are.
    """

    def __init__(
        self,
        source: Batches,
        objective: Objective,
        denoiser: NetworkDenoiser,
        batch: int,
        noise: Generator | None,
        unlabelled: Tensor | None = None,
        rows: slice = slice(None),
    ) -> None:
        self.source, self.objective, self.denoiser = source, objective, denoiser
        self.batch, self.noise, self.unlabelled, self.rows = batch, noise, unlabelled, rows
        fits = _NUMBERS // (batch * source.data.dim)
        # times that learn want to know of each batch before the next is drawn
        self.size = 1 if objective.times(denoiser.schedule).adaptive else min(max(fits, 1), _MOST)
        self._parts: list[tuple[Noised, Tensor | None]] | None = None
        self._before, self._used = self._streams(), 0
        self._schedule = denoiser.schedule

    def draw(self) -> tuple[Noised, Tensor | None]:
        """The next batch's rows, and their labels (n,) or None."""
        if self._used == self.size:
            self._before, self._used, self._parts = self._streams(), 0, None
        if self._schedule is not self.denoiser.schedule:
            self.restore(self.state())  # the same examples, times and noise under the new one
            self._schedule = self.denoiser.schedule
        if self._parts is None:
            self._parts = self._block()
        part = self._parts[self._used]
        self._used += 1
        return part

    def _block(self) -> list[tuple[Noised, Tensor | None]]:
        x0, labels = self.source.draw(self.size * self.batch)
        block = self.objective.noised(self.denoiser, x0, batches=self.size, generator=self.noise)
        noised = block.split(self.size, self.rows)
        if labels is None:
            return [(part, None) for part in noised]
        if self.unlabelled is not None:
            labels = self.denoiser.without_labels(labels, self.unlabelled.repeat(self.size))
        return list(zip(noised, batches_of(labels, self.size, self.rows), strict=True))

    def state(self, *, undrawn: int = 0) -> dict[str, Tensor]:
        """What `restore` needs to go on with the very next batch, or with the one in hand (`undrawn` = 1, after a draw)."""
        used = self._used - undrawn
        before, used = (self._streams(), 0) if used == self.size else (self._before, used)
        return before | {"used": torch.tensor(used)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a `state`. A run that moved to another kind of device goes on with fresh noise: streams differ between them.

        Raises KeyError, RuntimeError or TypeError if it is none.
        """
        used = int(state["used"])
        if used < 0:
            raise RuntimeError(f"{used} batches of a block are said to be used")
        if used >= self.size:  # a run with other batches begins a block of its own
            used = 0
        self.source.restore(state["data"])
        if self.noise is not None and "noise" in state and state["noise"].shape == self.noise.get_state().shape:
            self.noise.set_state(state["noise"])
        self._before, self._used, self._parts = self._streams(), used, None

    def _streams(self) -> dict[str, Tensor]:
        streams = {"data": self.source.state()}
        return streams if self.noise is None else streams | {"noise": self.noise.get_state()}


def streams(generator: Generator | None, device: torch.device, world: World) -> tuple[Generator, Generator | None]:
    """The run's two streams, for data and for noise, the same in all processes. In a dry run on the meta device nothing is
    drawn."""
    if device.type == "meta":
        return Generator(), None
    drawn = torch.randint(2**62, (2,), generator=generator, dtype=torch.int64)
    world.as_first(drawn)
    seeds = drawn.tolist()
    return Generator().manual_seed(seeds[0]), Generator(device).manual_seed(seeds[1])
