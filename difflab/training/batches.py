"""Where a training's examples come from: data on the device, drawn from a stream of its own that can be resumed."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from ..data import DataSet, FiniteSet


class Batches(ABC):
    """Draws (x0 (n, *shape), labels (n,) or vectors (n, d) or None), on the device, the same sequence for the same stream."""

    def __init__(self, data: DataSet, device: torch.device, stream: Generator, labelled: bool) -> None:
        self.data, self.device, self.stream, self.labelled = data, device, stream, labelled

    @abstractmethod
    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        """The next `n` examples."""

    def state(self) -> Tensor:
        """What `restore` needs to go on with the very next example."""
        return self.stream.get_state()

    def restore(self, state: Tensor) -> None:
        """Take up a `state`. RuntimeError if it is none."""
        self.stream.set_state(state)


def batches(data: DataSet, device: torch.device, stream: Generator, labelled: bool) -> Batches:
    """The way to draw from `data`; a finite set without weights is moved to the device once. `stream` is a CPU generator."""
    if isinstance(data, FiniteSet) and data.weights is None:
        return _Resident(data, device, stream, labelled)
    return _Sampled(data, device, stream, labelled)


class _Resident(Batches):
    """A finite set lies on the device; a batch is one indexing."""

    def __init__(self, data: FiniteSet, device: torch.device, stream: Generator, labelled: bool) -> None:
        super().__init__(data, device, stream, labelled)
        self.x = torch.from_numpy(data.x).to(device)
        given = data.conditions if labelled else None
        self.labels = None if given is None else torch.from_numpy(given).to(device)

    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        index = torch.randint(len(self.x), (n,), generator=self.stream).to(self.device)
        return self.x[index], None if self.labels is None else self.labels[index]


class _Sampled(Batches):
    """A density is sampled as it goes."""

    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        x, labels = self.data.sample_labelled(n, self.stream)
        return x.to(self.device), labels.to(self.device) if self.labelled and labels is not None else None
