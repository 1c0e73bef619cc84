"""Data whose probability flow is known: where a sampler should have ended, point by point.

- Gaussian data: the flow is the linear map between the marginals, x_s = alpha_s m + S_s^(1/2) S_t^(-1/2) (x_t - alpha_t m) with
  S = alpha^2 C + sigma^2 (Karras et al. 2022, appendix B.3 has it for one direction).
- A mixture on the line: the flow cannot cross itself, so that it carries quantiles to quantiles, x_s = F_s^-1(F_t(x_t)).
- A mixture in the plane: no closed form; followed finely (`reference.flow`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import brief, check_samples, is_whole
from ..data import GaussianMixture
from ..denoisers import ExactDenoiser
from ..device import in_float64
from ..flow.reference import check_steps, check_times, flow
from ..schedules import Schedule

_BISECTIONS, _POLISHED = 60, 4  # halvings of a quantile's bracket; Newton steps after them
_MOST_POINTS = 10**8
_REMEMBERED = 16  # pairs of starts and ends


@dataclass(frozen=True, eq=False)
class Target(ABC):
    """Data and where its flow ends.

    Attributes:
        data: the mixture.
    """

    data: GaussianMixture

    @property
    def name(self) -> str:
        return self.data.name

    def denoiser(self, schedule: Schedule) -> ExactDenoiser:
        """The oracle, whose errors are rounding: what is measured is the sampler's alone."""
        return ExactDenoiser(self.data, schedule)

    def start(self, n: int, schedule: Schedule, t: float) -> Tensor:
        """n points of p_t, (n, D) float64, always the same ones: the data's own with noise of a fixed seed."""
        _check_points(n)
        check_schedule(schedule)
        check_times(t, t)
        level = schedule.level(t)
        noise = np.random.Generator(np.random.Philox(1)).standard_normal((int(n), self.data.dim))
        x0 = self.data.preview(int(n), 0)[0].astype(float)
        return torch.from_numpy(level.alpha * x0 + level.sigma * noise)

    def pairs(self, n: int, schedule: Schedule, t: float, s: float) -> tuple[Tensor, Tensor]:
        """`start` at `t` and its `end` at `s`, remembered: both depend on the two noise levels alone, not on the schedule
        between them."""
        _check_points(n)
        check_schedule(schedule)
        check_times(t, s)
        key = (n, schedule.level(t)[1:], schedule.level(s)[1:])
        if key in self._pairs:
            return self._pairs[key]
        x = self.start(n, schedule, t)
        found = x, self.end(x, schedule, t, s)
        if s > 0:  # down to the data the lowest level counts too
            if len(self._pairs) >= _REMEMBERED:
                self._pairs.clear()
            self._pairs[key] = found
        return found

    @cached_property
    def _pairs(self) -> dict[Any, tuple[Tensor, Tensor]]:
        return {}

    @abstractmethod
    def end(self, x: Tensor, schedule: Schedule, t: float, s: float) -> Tensor:
        """Where the flow takes `x` (n, D) from `t` to `s`, in float64. TypeError or ValueError for points, or times, that are
        none."""


def _one_gaussian() -> GaussianMixture:
    return GaussianMixture(None, [[0.5]], 0.3, "Gaussian")


def _on_the_line() -> GaussianMixture:
    return GaussianMixture([0.4, 0.6], [[-0.9], [0.7]], [0.25, 0.16], "two Gaussians on the line")


def _in_the_plane() -> GaussianMixture:
    covariances = [[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.08], [-0.08, 0.25]], [[0.15, 0.0], [0.0, 0.3]]]
    return GaussianMixture([0.3, 0.3, 0.4], [[-0.9, 0.4], [0.8, 0.7], [0.2, -0.9]], covariances, "three Gaussians")


@dataclass(frozen=True, eq=False)
class Gaussian(Target):
    """One Gaussian in any dimension, by default N(0.5, 0.3) on the line; the flow in closed form.

    On the line its law under random samplers is known too (`law`). Raises ValueError for a mixture of several.
    """

    data: GaussianMixture = field(default_factory=_one_gaussian)

    def __post_init__(self) -> None:
        _check_data(self.data)
        if len(self.data.weights) != 1:
            raise ValueError(
                f"A Gaussian target has one component, but this mixture has {len(self.data.weights)}; take Line or Plane."
            )

    def end(self, x: Tensor, schedule: Schedule, t: float, s: float) -> Tensor:
        check_samples(x, self.data.shape)
        check_schedule(schedule)
        check_times(t, s)
        there, here = schedule.level(t), schedule.level(s)
        variances, basis = np.linalg.eigh(self.data.covariances[0])
        # sigma_s = 0 needs no special case: then S_s = C
        stretch = np.hypot(here.alpha * np.sqrt(variances), here.sigma) / np.hypot(
            there.alpha * np.sqrt(variances), there.sigma
        )
        x = in_float64(x)
        mean, matrix = (torch.from_numpy(a).to(x.device) for a in (self.data.means[0], basis * stretch @ basis.T))
        return here.alpha * mean + (x - there.alpha * mean) @ matrix.T

    def law(self, schedule: Schedule, t: float) -> tuple[float, float]:
        """Mean and variance of p_t. ValueError unless the data is one-dimensional."""
        if self.data.dim != 1:
            raise ValueError(f"A law is read off on one-dimensional Gaussian data, but this has {self.data.dim}.")
        check_schedule(schedule)
        level = schedule.level(t)
        mean, var = float(self.data.means[0, 0]), float(self.data.covariances[0, 0, 0])
        return level.alpha * mean, level.alpha**2 * var + level.sigma**2


@dataclass(frozen=True, eq=False)
class Line(Target):
    """A mixture on the line, by default of two Gaussians; the flow by quantiles.

    The quantile is solved for in the nearer tail, to about 1e-15 over the density there: 1e-13 where both marginals have more
    than a hundredth of their highest. ValueError for data in more dimensions.
    """

    data: GaussianMixture = field(default_factory=_on_the_line)

    def __post_init__(self) -> None:
        _check_data(self.data)
        if self.data.dim != 1:
            raise ValueError(
                f"Quantiles are of numbers, but this data has {self.data.dim} dimensions; take Plane, for any number."
            )

    def end(self, x: Tensor, schedule: Schedule, t: float, s: float) -> Tensor:
        check_samples(x, self.data.shape)
        check_schedule(schedule)
        check_times(t, s)
        there, here = self._at(schedule, t), self._at(schedule, s)
        x = in_float64(x)
        left, right = there.tails(x)
        return here.quantile(left, right)

    def _at(self, schedule: Schedule, t: float) -> _Tails:
        level = schedule.level(t)
        means, variances = self.data.means[:, 0], self.data.covariances[:, 0, 0]
        std = np.hypot(level.alpha * np.sqrt(variances), level.sigma)
        return _Tails(
            *(torch.from_numpy(np.ascontiguousarray(a)) for a in (self.data.weights, level.alpha * means, std))
        )


@dataclass(frozen=True)
class _Tails:
    """A mixture on the line, as its probabilities left and right of a point."""

    weights: Tensor
    means: Tensor
    std: Tensor

    def tails(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """P(X < x) and P(X > x), shaped as x (n, 1); each has its own digits, however small."""
        u = self._scaled(x) / math.sqrt(2)
        return tuple(  # type: ignore[return-value]
            (self.weights.to(x.device) * torch.special.erfc(sign * u)).sum(1, keepdim=True) / 2 for sign in (-1, 1)
        )

    def quantile(self, left: Tensor, right: Tensor) -> Tensor:
        reach = 40 * self.std.max()
        low = (self.means.min() - reach).to(left).expand_as(left)
        high = (self.means.max() + reach).to(left).expand_as(left)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            below = self._missing(middle, left, right) > 0  # the quantile lies further right
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        x = (low + high) / 2
        for _ in range(_POLISHED):
            density = self._density(x).clamp(min=torch.finfo(x.dtype).tiny)
            x = (x + self._missing(x, left, right) / density).maximum(low - (high - low)).minimum(high + (high - low))
        return x

    def _missing(self, x: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Probability between x and the quantile, by the smaller tail, which has more digits."""
        found_left, found_right = self.tails(x)
        return torch.where(left < right, left - found_left, found_right - right)

    def _density(self, x: Tensor) -> Tensor:
        scaled = self._scaled(x)
        height = (self.weights / self.std / math.sqrt(2 * math.pi)).to(x.device)
        return (height * (-scaled.square() / 2).exp()).sum(1, keepdim=True)

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self.means.to(x.device)) / self.std.to(x.device)


@dataclass(frozen=True, eq=False)
class Plane(Target):
    """A mixture in any number of dimensions, by default three Gaussians in the plane; the flow followed finely.

    Args:
        steps: of the reference; ValueError unless it is a whole number of at least 1.
    """

    data: GaussianMixture = field(default_factory=_in_the_plane)
    steps: int = 500

    def __post_init__(self) -> None:
        _check_data(self.data)
        check_steps(self.steps)

    def end(self, x: Tensor, schedule: Schedule, t: float, s: float) -> Tensor:
        check_samples(x, self.data.shape)
        return flow(self.denoiser(schedule), in_float64(x), t, s, steps=self.steps)


def check_schedule(schedule: Schedule) -> None:
    """Raises TypeError for what is no schedule."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"An order is measured on a Schedule such as VPCosine(), but got {brief(schedule)}.")


def _check_data(data: GaussianMixture) -> None:
    if not isinstance(data, GaussianMixture):
        raise TypeError(f"A target is of a GaussianMixture, whose oracle is exact, but got {brief(data)}.")


def _check_points(n: int) -> None:
    if not is_whole(n) or n > _MOST_POINTS:
        raise ValueError(
            f"An error is measured on a whole number of points, 1 or more and at most {_MOST_POINTS:,}, but got {brief(n)}."
        )
