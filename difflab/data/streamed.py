"""Data that does not fit into memory: examples that are fetched, by their numbers, when they are wanted.

A `Source` knows how many examples there are and gives those that it is asked for: rows of a file, images of a folder, items
of a torch Dataset. `Streamed` makes a data set of one, whose facts are measured on a few examples drawn once and for all;
`held` takes all of them into memory, as a `FiniteSet`, where they fit. Which examples a training sees is the same either way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from ..checks import brief, check_generator, is_whole
from .base import DataSet, check_count, check_seed
from .finite import FiniteSet
from .values import on_levels

if TYPE_CHECKING:
    from torch import Generator, Tensor

MEMORY_LIMIT = 2**31  # bytes of float32 that a set may take where nothing is said: 2 GiB
_MEASURED_NUMBERS = 2**24  # what the measured examples may hold together: 64 MiB
_AT_A_TIME = 2**20  # numbers fetched at a time where a whole set is read


class Source(ABC):
    """N examples that can be asked for by their numbers, 0 to N - 1.

    Attributes:
        name: how the data is called on screen.
        shape: of one example.
        range, levels: as of a `DataSet`; None where they are not known.
        classes: number of labels where examples have one, else None.
        vector: length of the vectors that are examples' conditions, else None.
        threads: how many may fetch at a time.
    """

    name: str = "streamed set"
    shape: tuple[int, ...]
    range: tuple[float, float] | None = None
    levels: int | None = None
    classes: int | None = None
    vector: int | None = None
    threads: int = 2

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The examples of these numbers, int64 (n,): float32 (n, *shape), and their labels, int64 (n,), vectors,
        float32 (n, d), or None. May be called from several threads."""

    def fetch_settled(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """As `fetch`, and the same each time: what tells this data from other. Differs where examples are augmented at
        random."""
        return self.fetch(index)


class Streamed(DataSet):
    """The examples of a source, each as likely as the other, fetched as they are drawn.

    Args:
        source: where they come from.
        measured: how many examples, drawn with a fixed seed, `sigma_data`, `second_moment` and, where
            the source does not know it, `range` are measured on; fewer where they would take more than 64 MiB, all of them
            where there are no more. A measured range is theirs: other examples may lie outside.

    Raises TypeError for what is no source; ValueError, here or when an example is fetched, for one that is nan or inf, or
    lies outside the range or the levels that the source states, and for labels that are none.
    """

    def __init__(self, source: Source, *, measured: int = 2000) -> None:
        if not isinstance(source, Source):
            raise TypeError(f"Streamed data comes from a Source such as ArraySource(x), but got {brief(source)}.")
        if not is_whole(measured, 1):
            raise ValueError(f"measured must be a whole number of examples, 1 or more, but got {measured!r}.")
        if len(source) < 1:
            raise ValueError(f"{source.name} has no examples.")
        self.source, self.name, self.shape, self.levels = source, source.name, tuple(source.shape), source.levels
        self.classes, self.vector = source.classes, source.vector
        if self.levels is not None and source.range is None:
            raise ValueError(f"{self.levels} levels need a range from the lowest to the highest value; give range=.")
        self._stated = source.range
        x, labels = self.some(min(measured, max(1, _MEASURED_NUMBERS // self.dim)))
        if labels is not None and self.classes is None and self.vector is None:
            raise ValueError(f"How many classes {self.name} has is not known before all is read: give classes=.")
        if self.levels is not None and source.range is not None and not on_levels(x, self.levels, source.range):
            raise ValueError(
                f"The examples of {self.name} do not lie on {self.levels} equally spaced levels of the range {source.range}."
            )
        facts = FiniteSet(x, range=source.range)
        self.range, self.sigma_data, self.second_moment = facts.range, facts.sigma_data, facts.second_moment

    def __len__(self) -> int:
        return len(self.source)

    def __repr__(self) -> str:
        return f"Streamed({self.name!r}, n={len(self)}, shape={self.shape})"

    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The examples of these numbers, (n,): float32 (n, *shape), and their labels or vectors, or None."""
        return self._checked(index, *self.source.fetch(index))

    def some(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """About `count` examples with what they come with, always the same ones; all of them where there are no more."""
        check_count(count)
        if count >= len(self):
            index = np.arange(len(self))
        else:  # RandomState's draws are the same in all versions of numpy
            index = np.unique(np.random.RandomState(0).randint(len(self), size=count, dtype=np.int64))
        return self._checked(index, *self.source.fetch_settled(index))

    def _checked(
        self, index: np.ndarray, x: np.ndarray, labels: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        if x.shape != (len(index), *self.shape):
            raise ValueError(f"{self.name} gave {x.shape} for {len(index)} examples of the shape {self.shape}.")
        x = np.asarray(x, np.float32)
        rows = x.reshape(len(x), self.dim)
        self._refuse_any(index, ~np.isfinite(rows).all(1), "has nan or inf")
        if self._stated is not None:
            low, high = (np.float32(end) for end in self._stated)
            outside = np.any((rows < low) | (rows > high), axis=1)
            self._refuse_any(index, outside, f"lies outside the range {self._stated}")
        if self.classes is not None and not _are_labels(labels, len(x), self.classes):
            raise ValueError(f"The labels of {self.name} must be whole numbers from 0 to {self.classes - 1}.")
        if self.vector is not None and not _are_vectors(labels, len(x), self.vector):
            raise ValueError(f"The vectors of {self.name} must be {self.vector} finite numbers for each example.")
        return x, labels

    def _refuse_any(self, index: np.ndarray, wrong: np.ndarray, what: str) -> None:
        if wrong.any():
            raise ValueError(f"Example {index[wrong.argmax()]} of {self.name} {what}.")

    def sample_labelled(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """`n` examples drawn with replacement, and their labels: those that a `FiniteSet` of all would draw."""
        import torch

        check_count(n)
        check_generator(generator)
        x, labels = self.fetch(torch.randint(len(self), (n,), generator=generator, device="cpu").numpy())
        return torch.from_numpy(x), None if labels is None else torch.from_numpy(labels)

    def preview(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        check_count(n)
        check_seed(seed)
        x, labels = self.fetch(np.random.default_rng(seed).integers(len(self), size=n))
        return x, None if labels is None or self.classes is None else labels.astype(np.uint8)


def _are_labels(given: np.ndarray | None, count: int, classes: int) -> bool:
    return given is not None and given.shape == (count,) and bool(np.all((given >= 0) & (given < classes)))


def _are_vectors(given: np.ndarray | None, count: int, vector: int) -> bool:
    return given is not None and given.shape == (count, vector) and bool(np.all(np.isfinite(given)))


def held(source: Source, memory_limit: int) -> FiniteSet | Streamed:
    """All of a source in memory if its examples take no more than `memory_limit` bytes as float32, else streamed."""
    check_memory_limit(memory_limit)
    dim = int(np.prod(source.shape))
    if len(source) < 1 or 4 * len(source) * dim > memory_limit:
        return Streamed(source)
    x = np.empty((len(source), *source.shape), np.float32)
    rows = max(1, _AT_A_TIME // max(1, dim))
    parts = [np.arange(start, min(start + rows, len(x))) for start in range(0, len(x), rows)]
    labels: list[np.ndarray] = []
    with ThreadPoolExecutor(source.threads) as pool:
        for part, (its_x, its_labels) in zip(parts, pool.map(source.fetch, parts), strict=True):
            x[part[0] : part[-1] + 1] = its_x
            if its_labels is not None:
                labels.append(its_labels)
    given = np.concatenate(labels) if labels else None
    if given is not None and source.classes is not None and given.max() >= source.classes:
        raise ValueError(f"{source.name} is said to have {source.classes} classes, but has the label {given.max()}.")
    conditions = {"labels": given} if source.vector is None else {"vectors": given}
    data = FiniteSet(x, **conditions, levels=source.levels, range=source.range, name=source.name)
    if given is not None and source.classes is not None:
        data.classes = source.classes  # also those that no example has: as streamed
    return data


def check_memory_limit(memory_limit: int) -> None:
    if not is_whole(memory_limit, 0):
        raise ValueError(f"memory_limit must be a whole number of bytes, 0 or more, but got {memory_limit!r}.")
