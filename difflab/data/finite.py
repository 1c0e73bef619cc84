"""Finite sets: data that is a list of examples, whose own exact denoiser is the training set's truth."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .base import DataSet, check_count

if TYPE_CHECKING:
    from torch import Generator, Tensor


class FiniteSet(DataSet):
    """N examples, each as likely as the other.

    Args:
        x: (N, *shape), floats.
        labels: (N,) whole numbers from 0, or None.
        levels: number of values a coordinate takes, equally spaced over `range`, if the data is discrete.
        range: (lowest, highest) value; measured if not given.
        name: how it is called on screen.

    Raises ValueError if there is no example, a value is not finite, or the labels do not match.
    """

    def __init__(
        self,
        x: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        levels: int | None = None,
        range: tuple[float, float] | None = None,
        name: str = "finite set",
    ) -> None:
        if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 2):
            raise ValueError(
                f"levels must be a whole number of at least 2, or None for continuous data, but got {levels!r}."
            )
        if np.iscomplexobj(x):
            raise ValueError("A finite set needs real numbers; this one has complex ones.")
        self.name, self.levels = name, levels
        self.x = np.ascontiguousarray(x, dtype=np.float32)
        if self.x.ndim < 2 or self.x.size == 0:
            raise ValueError(f"A finite set needs examples of the shape (N, ...), but got {self.x.shape}.")
        if not np.all(np.isfinite(self.x)):
            raise ValueError("Every example must be finite; this set has nan or inf.")
        if labels is not None and not np.array_equal(np.asarray(labels), np.asarray(labels).astype(np.int64)):
            raise ValueError("labels must be whole numbers; these are not.")
        self.labels = None if labels is None else np.ascontiguousarray(labels, dtype=np.int64)
        if self.labels is not None and (self.labels.shape != self.x.shape[:1] or self.labels.min() < 0):
            raise ValueError(f"labels must be {len(self.x)} whole numbers from 0, one for each example.")
        self.shape = self.x.shape[1:]
        self.classes = None if self.labels is None else int(self.labels.max()) + 1
        low, high = float(self.x.min()), float(self.x.max())
        self.range = range or (low, high)
        if not self.range[0] <= low <= high <= self.range[1]:
            raise ValueError(f"The examples lie between {low:g} and {high:g}, outside the range {self.range}.")
        if levels is not None:
            steps = (self.x - self.range[0]) * ((levels - 1) / max(self.range[1] - self.range[0], 1e-30))
            if not np.allclose(steps, steps.round(), atol=1e-3):
                raise ValueError(
                    f"The examples do not lie on {levels} equally spaced levels of the range {self.range}."
                )
        self.sigma_data = float(self.x.std(dtype=np.float64))
        self.second_moment = float(np.square(self.x, dtype=np.float64).mean())

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"FiniteSet({self.name!r}, n={len(self)}, shape={self.shape})"

    def sample_labelled(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """`n` examples drawn with replacement, and their labels."""
        import torch

        check_count(n)
        index = torch.randint(len(self), (n,), generator=generator)
        labels = None if self.labels is None else torch.from_numpy(self.labels)[index]
        return torch.from_numpy(self.x)[index], labels

    def preview(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        index = np.random.default_rng(seed).integers(len(self), size=n)
        return self.x[index], None if self.labels is None else self.labels[index].astype(np.uint8)


@cache
def digits() -> FiniteSet:
    """The 1,797 handwritten digits that scikit-learn ships (Alpaydin & Kaynak 1998): (1, 8, 8), 17 grey levels on [-1, 1]."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    return FiniteSet(x.reshape(-1, 1, 8, 8) / 8 - 1, labels, levels=17, range=(-1.0, 1.0), name="digits 8x8")


@cache
def two_moons(n: int = 2000, noise: float = 0.06, seed: int = 0) -> FiniteSet:
    """scikit-learn's two interleaved half circles, `n` points in the plane, shifted to mean 0 and scaled to variance 1."""
    from sklearn.datasets import make_moons

    check_count(n)
    if n < 2:
        raise ValueError(f"Two moons need at least 2 points, but got {n}.")
    x, labels = make_moons(n, noise=noise, random_state=seed)
    x = x - x.mean(0)
    return FiniteSet(x / x.std(), labels, name="two moons")
