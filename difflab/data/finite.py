"""Finite sets: data that is a list of examples, whose own exact denoiser is the training set's truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..checks import array_of, check_generator
from .base import DataSet, check_count, check_name, check_seed
from .conditions import checked_conditions
from .observed import Observation, normalised
from .values import checked_levels, checked_range, on_levels
from .weights import checked_weights

if TYPE_CHECKING:
    from torch import Generator, Tensor


_BLOCK = 2**22  # numbers looked at at a time


class FiniteSet(DataSet):
    """N examples, each as likely as the other unless they have weights.

    Args:
        x: (N, *shape), floats.
        labels: (N,) whole numbers from 0, or None.
        vectors: (N, d) finite numbers in the place of labels, or None: what each example comes with, a measurement say. Networks
            learn best from numbers of size 1 or so.
        weights: (N,), positive, summing to 1: how likely each example is; None, and kept as None, if equally.
        levels: number of values a coordinate takes, equally spaced over `range`, if the data is discrete.
        range: (lowest, highest) value; measured if not given.
        name: how it is called on screen.

    Raises ValueError if there is no example, a value is nan or inf, labels, vectors or weights do not match, both labels
    and vectors are given, or the weights do not sum to 1.
    """

    def __init__(
        self,
        x: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        vectors: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        levels: int | None = None,
        range: tuple[float, float] | None = None,
        name: str = "finite set",
    ) -> None:
        check_name(name)
        self.name, self.levels = name, checked_levels(levels)
        with np.errstate(over="ignore"):  # what is too large for float32 is inf, and refused as such
            self.x = np.array(_numbers(x), dtype=np.float32, order="C")
        if self.x.ndim < 2 or self.x.size == 0:
            raise ValueError(f"A finite set needs examples of the shape (N, ...), but got {self.x.shape}.")
        if not np.all(np.isfinite(self.x)):
            raise ValueError("Every example must be finite in float32; this set has nan, inf or larger numbers.")
        self.labels, self.vectors = checked_conditions(labels, vectors, len(self.x))
        self.vector = None if self.vectors is None else self.vectors.shape[1]
        self.shape = self.x.shape[1:]
        self.classes = None if self.labels is None else int(self.labels.max()) + 1
        low, high = float(self.x.min()), float(self.x.max())
        self.range = checked_range((low, high) if range is None else range, levels)
        if not self.range[0] <= low <= high <= self.range[1]:
            raise ValueError(f"The examples lie between {low:g} and {high:g}, outside the range {self.range}.")
        if levels is not None and not all(on_levels(block, levels, self.range) for block in self._blocks()):
            raise ValueError(f"The examples do not lie on {levels} equally spaced levels of the range {self.range}.")
        self.weights = None if weights is None else checked_weights(weights, len(self.x))
        self.second_moment = self._average(lambda rows: np.square(rows, dtype=np.float64).mean(1))
        grand_mean = self._average(lambda rows: rows.mean(1, dtype=np.float64))
        spread = self._average(lambda rows: np.square(rows.astype(np.float64) - grand_mean).mean(1))
        self.sigma_data = float(np.sqrt(spread))

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"FiniteSet({self.name!r}, n={len(self)}, shape={self.shape})"

    def _blocks(self) -> Iterator[np.ndarray]:
        """The examples a few at a time, (n, D): float64 of all of them at once would be twice the set."""
        rows = self.x.reshape(len(self.x), -1)
        step = max(1, _BLOCK // rows.shape[1])
        return (rows[start : start + step] for start in range(0, len(rows), step))

    def _average(self, of: Callable[[np.ndarray], np.ndarray]) -> float:
        """The mean over the examples of a number of each, `of` rows (n, D)."""
        return float(np.average(np.concatenate([of(block) for block in self._blocks()]), weights=self.weights))

    @property
    def conditions(self) -> np.ndarray | None:
        """What each example comes with: the labels, int64 (N,), or the vectors, float32 (N, d), or None."""
        return self.vectors if self.labels is None else self.labels

    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The examples of these numbers, (n,): float32 (n, *shape), and their labels or vectors, or None."""
        return self.x[index], None if self.conditions is None else self.conditions[index]

    def sample_labelled(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """`n` examples drawn with replacement, and their labels or vectors."""
        import torch

        check_count(n)
        check_generator(generator)
        if self.weights is None:
            index = torch.randint(len(self), (n,), generator=generator, device="cpu")
        else:  # torch.multinomial takes no more than 2^24 weights; the inverse of the distribution function takes any
            u = torch.rand(n, generator=generator, dtype=torch.float64, device="cpu")
            index = torch.searchsorted(torch.from_numpy(self.weights).cumsum(0), u).clamp(max=len(self) - 1)
        given = self.conditions
        return torch.from_numpy(self.x)[index], None if given is None else torch.from_numpy(given)[index]

    def preview(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        check_count(n)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        index = rng.integers(len(self), size=n) if self.weights is None else rng.choice(len(self), n, p=self.weights)
        return self.x[index], None if self.labels is None else self.labels[index].astype(np.uint8)

    def observed(self, matrix: ArrayLike, value: ArrayLike, noise: ArrayLike) -> FiniteSet:
        """p(x | y) after seeing y = A x + N(0, noise): the same examples, each weighted by how well it explains y.

        Args:
            matrix: A, (m, D), acting on an example with its coordinates in one row.
            value: y, (m,).
            noise: covariance (m, m), variances (m,) or one variance, positive definite.

        Raises ValueError if shapes disagree, a number is nan or inf, or the noise is not positive definite.
        """
        seen = Observation.checked(matrix, value, noise, self.dim)
        evidence = seen.log_likelihood(self.x.reshape(len(self), -1).astype(float))
        weights = normalised(evidence + (0.0 if self.weights is None else np.log(self.weights)))
        name = f"{self.name}, observed"
        return FiniteSet(
            self.x,
            self.labels,
            vectors=self.vectors,
            weights=weights,
            levels=self.levels,
            range=self.range,
            name=name,
        )


def _numbers(x: ArrayLike) -> ArrayLike:
    """An array of numbers as it is; anything else as `array_of` reads it."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        return x
    return array_of(x, "The examples of a finite set")
