"""What is measured of a walk's points, and what the recursion of the variance predicts of it.

Of points x at a level sigma, with r_k = P(mode k | x) and S_k = C_k + sigma^2 I the mode's covariance there:

    mass of mode k       the mean of r_k, w_k if x is of the law p at that level, whether or not the modes are apart;
    width of the modes   the mean of sum_k r_k (x - m_k)' S_k^-1 (x - m_k) / 2, which is 1 then: variance over the exact one.

The second is predicted, too (samplers.walks.recursion), as if each mode were alone, from what it is at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import GaussianMixture
from ..denoisers import ExactDenoiser
from ..samplers import Sampler
from ..samplers.walks.recursion import predicted_variance
from ..schedules import FIRST_T, Geometric


@dataclass(frozen=True)
class Frame:
    """The points (n, 2) of a walk after some calls, the time of their level (0: denoised), and what is measured of them."""

    x: Tensor
    t: float
    mass: np.ndarray
    mass_error: np.ndarray
    variance: float
    variance_error: float

    @property
    def spread(self) -> float:
        """Half-width of a square around 0 that holds 98 in 100 of them."""
        return float(np.quantile(self.x.abs().amax(1).numpy(), 0.98))


def measured(oracle: ExactDenoiser, x: Tensor, t: float) -> Frame:
    """Mass and width of the modes at the points x (n, 2) of the level at `t`, with their standard errors from row to row."""
    mixture = oracle.data
    assert isinstance(mixture, GaussianMixture)
    sigma = oracle.schedule.level(max(t, FIRST_T)).sigma
    share = oracle.mode_probabilities(x.double(), t).numpy()
    covariances = mixture.covariances + sigma**2 * np.eye(2)
    if t == 0:  # E[x_0 | x] of an exact sample x of the lowest level has C S^-1 C
        covariances = mixture.covariances @ np.linalg.solve(covariances, mixture.covariances)
    off = x.double().numpy()[:, None] - mixture.means
    square = np.einsum("nki,kij,nkj->nk", off, np.linalg.inv(covariances), off, optimize=True)
    width = (share * square).sum(1) / 2
    root = math.sqrt(len(x))
    return Frame(x, t, share.mean(0), share.std(0, ddof=1) / root, float(width.mean()), float(width.std(ddof=1) / root))


class Modes:
    """All directions of all modes as the directions of one Gaussian: what the recursion of each mode by itself needs."""

    def __init__(self, mixture: GaussianMixture) -> None:
        self.mixture = mixture
        widths, self.axes = np.linalg.eigh(mixture.covariances)  # (K, 2), (K, 2, 2)
        self.shape, self.widths = widths.shape, widths.ravel()
        self.order = np.argsort(self.widths, kind="stable")

    def second_moments(self, oracle: ExactDenoiser, x: Tensor, t: float) -> np.ndarray:
        """E[r_k (e . (x - m_k))^2] / E[r_k] for each axis e of each mode k, (2 K,)."""
        share = oracle.mode_probabilities(x.double(), t).numpy()
        along = np.einsum("nki,kij->nkj", x.double().numpy()[:, None] - self.mixture.means, self.axes)
        mass = np.maximum(share.sum(0), np.finfo(float).tiny)[:, None]
        return np.asarray(np.einsum("nk,nkj->kj", share, along**2) / mass).ravel()

    def recursion(self, sampler: Sampler, schedule: Geometric, times: list[float], start: np.ndarray) -> np.ndarray:
        """(times, 2 K), from the second moments (2 K,) at the start: about the mode's centre they obey what variances do."""
        if not np.isfinite(start).all():  # it has exploded on the way
            return np.full((len(times), len(start)), np.inf)
        centre = np.zeros((1, len(self.widths)))
        alone = ExactDenoiser(GaussianMixture([1.0], centre, self.widths[self.order][None]), schedule)
        found = predicted_variance(sampler, alone, times, torch.from_numpy(start[self.order])).numpy()
        back = np.empty_like(found)
        back[:, self.order] = found
        return back

    def width(self, moments: np.ndarray, sigma: float) -> np.ndarray:
        """Of each mode, over the exact one at the level, the mean over its axes: (K,)."""
        with np.errstate(over="ignore"):  # of what explodes
            return np.asarray((moments / (self.widths + sigma**2)).reshape(self.shape).mean(1))
