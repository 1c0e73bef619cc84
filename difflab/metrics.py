"""Distances between two sets of samples, and what they are between two sets of the same law: their floor.

No sampler can come closer to the truth than another true sample of the same size does. So a distance is only read beside
its `noise_floor`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from .data import DataSet, GaussianMixture

_CHUNK = 2**22  # pairs at a time


def sliced_wasserstein(x: Tensor, y: Tensor, *, projections: int = 128, generator: Generator | None = None) -> float:
    """Sliced 2-Wasserstein distance between x and y (n, *shape), in units of x (Bonneel et al. 2015).

    The root of the mean, over random directions drawn from `generator` (on the CPU), of the squared distance of the sorted
    projections. Use the same seed to compare. Raises ValueError unless both sets have the same shape and are not empty.
    """
    x, y = _pair(x, y)
    if x.shape != y.shape:
        raise ValueError(f"Both sets must have the same size, but got {len(x)} and {len(y)} samples.")
    directions = torch.randn(x.shape[1], projections, generator=generator, dtype=torch.float64)
    directions = (directions / directions.norm(dim=0)).to(x)
    gaps = (x @ directions).sort(dim=0).values - (y @ directions).sort(dim=0).values
    return float(gaps.square().mean().sqrt())


def energy_distance(x: Tensor, y: Tensor) -> tuple[float, float]:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| and its standard error (Szekely & Rizzo 2013), x (n, *shape), y (m, *shape).

    A U-statistic: unbiased, so it may be below 0 where both laws agree. The error is that of Hoeffding's first
    projection (delete-one jackknife to leading order). Near equality that order vanishes, and what is left of the error
    is too large, by about 1.4 (of 300 points in the plane: 0.0086 for a spread of 0.0054): a difference that it calls
    real is real, but a small one may go unnoticed; ask `noise_floor` there. Costs (n + m)^2 distances, a block at a
    time. Raises ValueError with fewer than two samples in a set.
    """
    x, y = _pair(x, y)
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError("The energy distance needs two samples or more in each set.")
    across_x, across_y = _mean_distances(x, y), _mean_distances(y, x)
    within_x = _mean_distances(x, x) * n / (n - 1)  # no distance to itself
    within_y = _mean_distances(y, y) * m / (m - 1)
    value = across_x.mean() + across_y.mean() - within_x.mean() - within_y.mean()
    error = ((across_x - within_x).var() / n + (across_y - within_y).var() / m).sqrt() * 2
    return float(value), float(error)


def mode_mass(x: Tensor, mixture: GaussianMixture, within: float = 4.0) -> tuple[np.ndarray, float]:
    """The fraction of x (n, D) at each mode, (K,), and the fraction at none: farther than `within` standard deviations.

    The nearest mode in Mahalanobis distance counts. ValueError if x is empty or of another dimension.
    """
    if x.ndim != 2 or x.shape[1] != mixture.dim or len(x) == 0:
        raise ValueError(f"Samples must have the shape (n, {mixture.dim}), n > 0, but got {tuple(x.shape)}.")
    residual = x.cpu().double().numpy()[:, None] - mixture.means
    distance2 = np.einsum("nki,kij,nkj->nk", residual, np.linalg.inv(mixture.covariances), residual)
    near = distance2.min(1) <= within**2
    counts = np.bincount(distance2.argmin(1)[near], minlength=len(mixture.means))
    return counts / len(x), float(1 - near.mean())


@dataclass(frozen=True, eq=False)
class Floor:
    """A metric between independent true sets: `values` (repeats,), their mean and standard deviation."""

    values: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def std(self) -> float:
        return float(self.values.std(ddof=1))


def noise_floor(
    metric: Callable[[Tensor, Tensor], float],
    data: DataSet,
    n: int,
    repeats: int = 20,
    generator: Generator | None = None,
) -> Floor:
    """`metric` between two fresh samples of `n` from `data`, `repeats` times. ValueError for fewer than two repeats."""
    if repeats < 2:
        raise ValueError(f"A floor needs two repeats or more, but got {repeats}.")
    pairs = ((data.sample(n, generator), data.sample(n, generator)) for _ in range(repeats))
    return Floor(np.array([metric(x, y) for x, y in pairs], dtype=float))


def _pair(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape[1:] != y.shape[1:] or x.ndim < 2 or len(x) == 0 or len(y) == 0:
        raise ValueError(f"The two sets must hold samples of one shape, but got {tuple(x.shape)} and {tuple(y.shape)}.")
    return x.flatten(1).cpu().double(), y.flatten(1).cpu().double()


def _mean_distances(x: Tensor, y: Tensor) -> Tensor:
    """The mean distance of each x to all y, (n,)."""
    rows = max(1, _CHUNK // len(y))
    exact = "donot_use_mm_for_euclid_dist"  # the product form loses small distances to cancellation
    return torch.cat([torch.cdist(part, y, compute_mode=exact).mean(1) for part in x.split(rows)])
