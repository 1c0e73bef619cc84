"""What all guidances share: they stand in the place of the denoiser that they guide."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ...checks import brief, is_number
from ..base import Checked, Denoiser, Posterior, asked, check_answer

_MOST = 10_000  # weights and scales


class Guidance(ABC):
    """`denoiser` with guidance; its schedule, shape, device and sigma_data are the denoiser's.

    Attributes:
        calls: how many networks are asked in one guided call.

    Raises TypeError for what is no denoiser.
    """

    calls: ClassVar[int] = 2

    def __init__(self, denoiser: Denoiser) -> None:
        Checked(denoiser)
        self.denoiser, self.schedule = denoiser, denoiser.schedule

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one sample, where the denoiser knows it."""
        return getattr(self.denoiser, "shape", None)

    @property
    def device(self) -> torch.device | None:
        """Where the denoiser computes; None for one that computes wherever x_t is."""
        return getattr(self.denoiser, "device", None)

    @property
    def sigma_data(self) -> float:
        """Standard deviation of the data, 1 where the denoiser does not know it."""
        return float(getattr(self.denoiser, "sigma_data", 1.0))

    @abstractmethod
    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """The guided x_0, (n, *shape) as `mean`; without variance, for it is the mean of no law.

        `x_t` (n, *shape), `t` one time or (n,), `labels` (n,) int64 where the denoiser knows classes.
        """

    @abstractmethod
    def unguided(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """What is said outside of an `Interval`, in one call."""


def answer_of(denoiser: Denoiser, x_t: Tensor, t: float | Tensor, labels: Tensor | None) -> Posterior:
    """As `asked`, and looked at: numbers are to be computed from it. Raises as `Checked`."""
    answer = asked(denoiser, x_t, t, labels)
    check_answer(answer, x_t)
    return answer


def check_weight(value: object, name: str) -> float:
    """`value` as a float. ValueError unless it is a finite number, within what float16 holds as well."""
    if not is_number(value) or abs(float(value)) > _MOST:  # type: ignore[arg-type]
        raise ValueError(
            f"{name} of a guidance must be a finite number, at most {_MOST:,} in size, but got {brief(value)}."
        )
    return float(value)  # type: ignore[arg-type]


def extrapolated(away: Tensor, toward: Tensor, weight: float) -> Tensor:
    """away + weight (toward - away), exact at weights 0 and 1."""
    return torch.lerp(away, toward, weight)
