"""What every data set knows of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import brief, is_whole

if TYPE_CHECKING:
    from torch import Generator, Tensor


class DataSet(ABC):
    """Something that can be diffused.

    Attributes:
        name: how it is called on screen.
        shape: of one sample, without the batch: (2,) for points in the plane, (1, 8, 8) for digits.
        range: (lowest, highest) value of a coordinate; for densities without an end, where all but a sliver of the mass lies.
        levels: number of values a coordinate can take if the data is discrete (17 for digits), else None: only discrete
            data has bits/dim.
        sigma_data: standard deviation over all samples and coordinates (EDM's sigma_data).
        second_moment: E|x_0|^2 per coordinate.
        classes: number of labels, or None.
        vector: length of the vectors that stand in the place of labels, or None.
        asked: the name and the options by which it was asked for (`names.named`), or None.
    """

    name: str
    shape: tuple[int, ...]
    range: tuple[float, float]
    levels: int | None = None
    sigma_data: float
    second_moment: float
    classes: int | None = None
    vector: int | None = None
    asked: dict[str, Any] | None = None

    @property
    def dim(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` samples, float32 (n, *shape), on the CPU."""
        return self.sample_labelled(n, generator)[0]

    @abstractmethod
    def sample_labelled(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """Samples as from `sample`, and their conditions: labels, int64 (n,), vectors, float32 (n, vector), or None."""

    @abstractmethod
    def preview(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray | None]:
        """Samples float32 (n, *shape) and labels uint8 (n,), or None where there are no classes, drawn without torch: a first
        picture must not wait for it."""


def check_count(n: int) -> None:
    if not is_whole(n, 0):
        raise ValueError(f"The number of samples must be a whole number, 0 or more, but got {n!r}.")


def check_seed(seed: int) -> None:
    if not is_whole(seed, 0):
        raise ValueError(f"A seed must be a whole number, 0 or more, but got {seed!r}.")


def check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be text, how the data is called on screen, but got {brief(name)}.")


def check_data(data: object) -> None:
    """Raises TypeError for anything but a data set: its name, its class or a tensor, say."""
    if not isinstance(data, DataSet):
        raise TypeError(
            f"Data must be a DataSet such as GaussianMixture.ring() or FiniteSet(examples), but got {brief(data)}."
        )
