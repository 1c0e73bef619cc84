"""Where a training's examples come from: data on the device, drawn from a stream of its own that can be resumed.

What fits lies on the device and a batch is one indexing; no loader, no workers. What does not fit is fetched ahead by threads
while the step computes. The stream alone decides which examples come, so that the two train on the same ones; how much was
fetched ahead is no part of the state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from torch import Generator, Tensor

from ..data import DataSet, FiniteSet, Streamed
from ..device import sent

_AHEAD = 2  # draws that are under way beside the one in hand


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
    """The way to draw from `data`: a finite set without weights is moved to the device once where it takes less than half of
    the memory that is free there, a larger one and streamed data are fetched ahead. `stream` is a CPU generator."""
    if isinstance(data, FiniteSet) and data.weights is None:
        return (_Resident if _fits(data, device) else _Ahead)(data, device, stream, labelled)
    if isinstance(data, Streamed):
        return _Ahead(data, device, stream, labelled)
    return _Sampled(data, device, stream, labelled)


def _fits(data: FiniteSet, device: torch.device) -> bool:
    return device.type != "cuda" or 2 * data.x.nbytes < torch.cuda.mem_get_info(device)[0]


class _Resident(Batches):
    """A finite set lies on the device; a batch is one indexing."""

    def __init__(self, data: FiniteSet, device: torch.device, stream: Generator, labelled: bool) -> None:
        super().__init__(data, device, stream, labelled)
        self.x = torch.from_numpy(data.x).to(device)
        given = data.conditions if labelled else None
        self.labels = None if given is None else torch.from_numpy(given).to(device)

    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        index = sent(torch.randint(len(self.x), (n,), generator=self.stream), self.device)
        return self.x[index], None if self.labels is None else self.labels[index]


class _Sampled(Batches):
    """A density is sampled as it goes."""

    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        x, labels = self.data.sample_labelled(n, self.stream)
        return sent(x, self.device), sent(labels, self.device) if self.labelled and labels is not None else None


class _Ahead(Batches):
    """Examples are fetched by their numbers: the next draws, taken to be of the same size, while this one is worked on."""

    def __init__(self, data: FiniteSet | Streamed, device: torch.device, stream: Generator, labelled: bool) -> None:
        super().__init__(data, device, stream, labelled)
        self._examples, self._threads = data, data.source.threads if isinstance(data, Streamed) else 1
        self._pool = ThreadPoolExecutor(self._threads, "difflab-fetch")
        self._coming: deque[_Fetch] = deque()

    def draw(self, n: int) -> tuple[Tensor, Tensor | None]:
        if self.device.type == "meta":
            return self._empty(n)
        if self._coming and len(self._coming[0].x) != n:
            self.restore(self.state())
        while len(self._coming) <= _AHEAD:
            before = self.stream.get_state()
            index = torch.randint(len(self._examples), (n,), generator=self.stream).numpy()
            fetch = _Fetch(before, *self._empty(n))
            fetch.begin(self._examples, index, self._pool, self._threads)
            self._coming.append(fetch)
        try:
            self._coming[0].wait()
        except BaseException:
            self.restore(self.state())  # this draw has not been: who asks again gets it
            raise
        done = self._coming.popleft()
        labels = None if done.labels is None else done.labels.to(self.device, non_blocking=True)
        return done.x.to(self.device, non_blocking=True), labels

    def _empty(self, n: int) -> tuple[Tensor, Tensor | None]:
        """Where `n` examples and their labels are put, in memory that is copied to the device from."""
        pinned = self.device.type == "cuda"
        where = self.device if self.device.type == "meta" else torch.device("cpu")
        x, labels = torch.empty((n, *self.data.shape), device=where, pin_memory=pinned), None
        if self.labelled and self.data.classes is not None:
            labels = torch.empty(n, dtype=torch.int64, device=where, pin_memory=pinned)
        elif self.labelled and self.data.vector is not None:
            labels = torch.empty((n, self.data.vector), device=where, pin_memory=pinned)
        return x, labels

    def state(self) -> Tensor:
        return self._coming[0].before if self._coming else self.stream.get_state()

    def restore(self, state: Tensor) -> None:
        self.stream.set_state(state)
        for fetch in self._coming:
            fetch.cancel()
        self._coming.clear()


class _Fetch:
    """One draw under way: the stream before it, and where its examples are put."""

    def __init__(self, before: Tensor, x: Tensor, labels: Tensor | None) -> None:
        self.before, self.x, self.labels = before, x, labels
        self._parts: list[Future[None]] = []

    def begin(self, examples: FiniteSet | Streamed, index: np.ndarray, pool: ThreadPoolExecutor, threads: int) -> None:
        x, labels = self.x.numpy(), None if self.labels is None else self.labels.numpy()
        ends = [len(index) * i // threads for i in range(threads + 1)]
        for rows in (slice(*pair) for pair in pairwise(ends)):
            its_labels = None if labels is None else labels[rows]
            self._parts.append(pool.submit(_put, examples, index[rows], x[rows], its_labels))

    def wait(self) -> None:
        """Until all is there. Raises what fetching raised."""
        for part in self._parts:
            part.result()

    def cancel(self) -> None:
        for part in self._parts:
            part.cancel()


def _put(examples: FiniteSet | Streamed, index: np.ndarray, x: np.ndarray, labels: np.ndarray | None) -> None:
    found, its_labels = examples.fetch(index)
    x[...] = found
    if labels is not None:
        labels[...] = its_labels
