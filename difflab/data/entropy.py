"""The differential entropy of a Gaussian mixture by quadrature over cells that are fitted to its components.

No closed form is known for -E log p once components overlap. But p is smooth on the scale of the narrowest component at hand
and nothing where no component is, so space is halved, axis by axis, until each cell is small beside every component that
reaches it ("small" in the component's own whitened coordinates), cells that none reaches are dropped, and on each cell left
a Gauss-Legendre product rule integrates -p log p. Cost follows the volume that components fill, not the box they lie in: a
component a thousand times narrower than its neighbour costs as much as the neighbour.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..estimate import Estimate

if TYPE_CHECKING:
    from .mixture import GaussianMixture

_REACH = 8.5  # standard deviations after which a component has ended: beyond lies less than 1e-14 of it in 3 dimensions
_SMALL = {1: 1.0, 2: 1.0, 3: 2.0}  # by dimension: half the side of a cell, in standard deviations of a component
NODES, FEWER = 10, 8  # of the rule along each axis, and of the one that tells its error
_BUDGET = 80_000_000  # evaluations of a component's density: a few seconds
_BLOCK = 2**17  # of them at a time


def entropy_of(mixture: GaussianMixture) -> Estimate | None:
    """(-E log p in nats, its error), or None above three dimensions and where the budget would not do.

    The error is the change from a coarser rule plus the mass that the cells miss; exact, error 0, for one component.
    """
    if len(mixture.weights) == 1:
        return Estimate(float(np.linalg.slogdet(2 * np.pi * np.e * mixture.covariances[0])[1] / 2), 0.0)
    cells = fitted_cells(mixture)
    if cells is None:
        return None
    (fine, mass), (coarse, _) = (_integrate(mixture, *cells, nodes) for nodes in (NODES, FEWER))
    return Estimate(fine, abs(fine - coarse) + abs(1 - mass))


def fitted_cells(mixture: GaussianMixture) -> tuple[np.ndarray, np.ndarray] | None:
    """Centres and half sides, each (cells, D), of cells on which whatever is as smooth as the components can be integrated;
    None above three dimensions and where the budget would not do."""
    count, dim = mixture.means.shape
    if dim not in _SMALL:
        return None
    return _cells(mixture, _SMALL[dim], _BUDGET // (count * (NODES**dim + FEWER**dim)))


def rule(centres: np.ndarray, halves: np.ndarray, nodes: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points (m, D) and weights (m,), a block at a time: the product rule with `nodes` points along each axis of each cell.
    `count` numbers are computed at each point."""
    dim = centres.shape[1]
    place, weight = np.polynomial.legendre.leggauss(nodes)
    places = np.stack(np.meshgrid(*[place] * dim, indexing="ij"), -1).reshape(-1, dim)
    weights = np.stack(np.meshgrid(*[weight] * dim, indexing="ij"), -1).reshape(-1, dim).prod(1)
    rows = max(1, _BLOCK // (count * len(places)))
    for start in range(0, len(centres), rows):
        centre, half = centres[start : start + rows], halves[start : start + rows]
        points = (centre[:, None] + half[:, None] * places).reshape(-1, dim)
        yield points, (weights * half.prod(1)[:, None]).reshape(-1)


def _cells(mixture: GaussianMixture, small: float, most: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Centres and half sides of the cells, each (cells, D); None if there would be more than `most`."""
    whitening = mixture.whitening  # (K, D, D)
    std = np.sqrt(np.diagonal(mixture.covariances, axis1=1, axis2=2))
    low, high = (mixture.means - _REACH * std).min(0), (mixture.means + _REACH * std).max(0)
    centres, halves = (low + high)[None] / 2, (high - low)[None] / 2
    lengths = np.linalg.norm(whitening, axis=1)  # (K, D): how long a step along an axis is for a component
    done: list[tuple[np.ndarray, np.ndarray]] = []
    total = 0
    while len(centres):
        if total + len(centres) > most:
            return None
        offset = np.einsum("kij,knj->kni", whitening, centres - mixture.means[:, None])
        extent = np.einsum("kij,nj->kni", np.abs(whitening), halves)
        near = np.square(np.maximum(np.abs(offset) - extent, 0)).sum(-1) <= _REACH**2  # (K, cells)
        size = np.where(near[..., None], lengths[:, None] * halves, 0).max(0)  # (cells, D)
        reached, split = near.any(0), size > small
        whole = reached & ~split.any(1)
        done.append((centres[whole], halves[whole]))
        total += int(whole.sum())
        again = reached & ~whole
        centres, halves, split = centres[again], halves[again], split[again]
        for axis in range(centres.shape[1]):
            centres, halves, split = _halved(centres, halves, split, axis)
    return np.concatenate([c for c, _ in done]), np.concatenate([h for _, h in done])


def _halved(
    centres: np.ndarray, halves: np.ndarray, split: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cut = split[:, axis]
    left, right, half = centres[cut], centres[cut], halves[cut]  # indexing copies
    half[:, axis] /= 2
    left[:, axis] -= half[:, axis]
    right[:, axis] += half[:, axis]
    return (
        np.concatenate([centres[~cut], left, right]),
        np.concatenate([halves[~cut], half, half]),
        np.concatenate([split[~cut], split[cut], split[cut]]),
    )


def _integrate(mixture: GaussianMixture, centres: np.ndarray, halves: np.ndarray, nodes: int) -> tuple[float, float]:
    """(integral of -p log p, integral of p) by the product rule with `nodes` points along each axis of each cell."""
    entropy = mass = 0.0
    for points, weights in rule(centres, halves, nodes, len(mixture.weights)):
        log_p = mixture.log_density(points)
        p = np.exp(log_p) * weights
        entropy, mass = entropy - float((p * log_p).sum()), mass + float(p.sum())
    return entropy, mass
