"""The mmse of data over log-SNR, E|x_0 - E[x_0 | x_t]|^2: all that a bound with an exact denoiser needs of the data.

No schedule changes it, so it crosses to the browser once, and every chain's terms are read from it there. A mixture and a small
finite set are measured in numpy first, for the first picture must not wait for torch; then the oracle measures with more draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..data import DataSet, FiniteSet, GaussianMixture

if TYPE_CHECKING:
    from torch import Generator

#: 0.29 apart, as close as `elbo.interpolated` asks for. Beyond them the curve goes on as a Gaussian's
LEVELS = np.linspace(-12.0, 16.0, 96)
ROWS = {
    "mixture": 4096,
    "points": 192,
    "images": 64,
}  # a level: the oracle of 1,797 digits costs more than that of 8 modes
_PREVIEW = (4, 24)  # draws a level, fewest and most
_WORK = 2**20  # distances to components that a first picture may wait for: a tenth of a second
_BLOCK = 2**22  # numbers held at a time


@dataclass(frozen=True)
class Curve:
    """`mse` (L,) summed over the coordinates of a sample at `log_snr` (L,), and its standard errors (L,); float64."""

    log_snr: np.ndarray
    mse: np.ndarray
    error: np.ndarray

    def wire(self) -> np.ndarray:
        """(3, L) float32: log-SNR, mse, error."""
        return np.stack([self.log_snr, self.mse, self.error]).astype(np.float32)


def that_differs(data: DataSet) -> DataSet:
    """The data. ValueError, in one sentence, for one point many times, of which there is nothing to guess."""
    if not data.sigma_data > 0:
        raise ValueError(f"The bits go to telling samples apart, but all of {data.name} is one point.")
    return data


def facts_of(data: DataSet) -> dict[str, float | int | bool | None]:
    """What else the terms of a chain need of the data, per coordinate; `half_range` is that of discrete data, else None."""
    low, high = data.range
    return {
        "dim": data.dim,
        "variance": float(data.sigma_data) ** 2,
        "second_moment": float(data.second_moment),
        "half_range": (high - low) / 2 if data.levels else None,
    }


def preview(data: DataSet, seed: int, conditional: bool) -> Curve | None:
    """The curve from a few draws, without torch; None where that takes long, or the data has no list of components."""
    if isinstance(data, GaussianMixture):
        count = len(data.weights)
    elif isinstance(data, FiniteSet) and data.vectors is None:
        count = len(data.x)
    else:
        return None
    fewest, most = _PREVIEW
    draws = min(most, _WORK // (len(LEVELS) * count))
    if draws < fewest:
        return None
    x0, labels = data.preview(len(LEVELS) * draws, seed)
    noise = np.exp(-np.repeat(LEVELS, draws))  # sigma^2 / alpha^2
    eps = np.random.default_rng([seed, 2]).standard_normal((len(x0), data.dim))
    y = x0.reshape(len(x0), -1) + eps * np.sqrt(noise)[:, None]
    given = labels.astype(np.int64) if conditional and labels is not None else None
    size = max(1, _BLOCK // (count * (data.dim if isinstance(data, GaussianMixture) else 1)))
    blocks = [slice(i, i + size) for i in range(0, len(y), size)]
    found = [_posterior_variance(data, y[b], noise[b], None if given is None else given[b]) for b in blocks]
    values = np.concatenate(found).reshape(len(LEVELS), draws)
    return Curve(LEVELS, values.mean(1), values.std(1, ddof=1) / draws**0.5)


def _posterior_variance(
    data: GaussianMixture | FiniteSet, y: np.ndarray, noise: np.ndarray, labels: np.ndarray | None
) -> np.ndarray:
    """The trace of Var[x_0 | y] for y = x_0 + sqrt(noise) eps, (n,)."""
    if isinstance(data, GaussianMixture):
        widths, axes = np.linalg.eigh(data.covariances)  # (K, D), (K, D, D)
        total = widths[None] + noise[:, None, None]
        off = np.einsum("nkd,kde->nke", y[:, None] - data.means[None], axes)
        log_p = np.log(data.weights) - (off**2 / total + np.log(total)).sum(2) / 2
        inner = (widths * noise[:, None, None] / total).sum(2)
        centres = data.means[None] + np.einsum("nke,kde->nkd", off * widths / total, axes)
        own: np.ndarray | None = np.arange(len(data.weights))
    else:
        points = data.x.reshape(len(data.x), -1).astype(np.float64)
        log_p = (y @ points.T - (points**2).sum(1) / 2) / noise[:, None]
        log_p += 0.0 if data.weights is None else np.log(data.weights)
        inner, centres, own = np.zeros(1), points, data.labels
    if labels is not None and own is not None:
        log_p = np.where(own[None] == labels[:, None], log_p, -np.inf)
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    if centres.ndim == 2:
        squares, mean = p @ (centres**2).sum(1), p @ centres
    else:
        squares, mean = (p * (inner + (centres**2).sum(2))).sum(1), np.einsum("nk,nkd->nd", p, centres)
    return np.maximum(squares - (mean**2).sum(1), 0.0)  # type: ignore[no-any-return]


def measured(data: DataSet, generator: Generator, conditional: bool) -> Curve:
    """The curve by the oracle, `ROWS` draws a level."""
    import torch

    from ..denoisers import ExactDenoiser
    from ..mmse import profile
    from ..schedules import VPLogSNRLinear

    oracle = ExactDenoiser(data, VPLogSNRLinear(float(LEVELS[-1]), float(LEVELS[0])))
    rows = ROWS["images" if data.is_image else "mixture" if isinstance(data, GaussianMixture) else "points"]
    curve = profile(oracle, data, torch.from_numpy(LEVELS), rows, generator, conditional=conditional)
    return Curve(LEVELS, curve.mse.numpy(), curve.error.numpy())


@lru_cache(maxsize=8)
def entropy_per_dim(data: DataSet, conditional: bool) -> tuple[float | None, float | None]:
    """Entropy per dimension where it is known: of a mixture in nats, of discrete examples in bits; given the class or not."""
    if isinstance(data, GaussianMixture):
        if conditional:
            _, log_det = np.linalg.slogdet(2 * np.pi * np.e * data.covariances)
            return float(data.weights @ log_det / 2 / data.dim), 0.0
        nats, error = data.entropy()
        return nats / data.dim, error / data.dim
    if isinstance(data, FiniteSet) and data.levels and data.weights is None:
        given = conditional and data.labels is not None
        counts = np.bincount(data.labels) if given else np.array([len(data)])  # type: ignore[arg-type]
        counts = counts[counts > 0]
        return float(counts @ np.log2(counts) / counts.sum() / data.dim), 0.0
    return None, None
