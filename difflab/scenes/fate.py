"""When the fate of a sample is decided: from which time on the exact posterior p(k | x_t) names the mode where it ends.

The browser draws this from the same frames (js/src/core/fate.ts); here it becomes a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data import GaussianMixture

if TYPE_CHECKING:
    from ..schedules import Schedule

DECIDED = 0.95


def mode_posterior(mixture: GaussianMixture, x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """p(k | x_t) (n, K) in float64 for x (n, D) at the level (alpha, sigma)."""
    covariances = alpha**2 * mixture.covariances + sigma**2 * np.eye(mixture.dim)
    residual = x[:, None] - alpha * mixture.means
    squared = np.einsum("nki,kij,nkj->nk", residual, np.linalg.inv(covariances), residual, optimize=True)
    log = np.log(mixture.weights) - np.linalg.slogdet(covariances)[1] / 2 - squared / 2
    weights = np.exp(log - log.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def decided_shares(mixture: GaussianMixture, schedule: Schedule, times: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(F,): the share of the samples whose last mode has a posterior above 0.95 at each of the `times` of `frames` (F, n, 2)."""
    ends = mode_posterior(mixture, frames[-1].astype(float), 1.0, 0.0).argmax(1)
    shares = []
    for t, x in zip(times.astype(float), frames, strict=True):
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(t)) if t > 0 else (1.0, 0.0)
        own = mode_posterior(mixture, x.astype(float), alpha, sigma)[np.arange(len(x)), ends]
        shares.append(float((own > DECIDED).mean()))
    return np.array(shares)


def half_time(times: np.ndarray, shares: np.ndarray) -> float | None:
    """The time from which on, towards data, at least half of the samples stay decided, linear between frames; None if they
    are not even at the end."""
    if shares[-1] < 0.5:
        return None
    last = len(shares) - 1
    while last > 0 and shares[last - 1] >= 0.5:
        last -= 1
    if last == 0:
        return float(times[0])
    before, after = float(shares[last - 1]), float(shares[last])
    u = (0.5 - before) / (after - before)
    return float(times[last - 1] + u * (times[last] - times[last - 1]))
