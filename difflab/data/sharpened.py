"""What guidance by a class at weight w is named after: p_w(x) = p(x) p(y | x)^w / Z, that is p(x | y)^w p(x)^(1 - w) / Z'.

w = 0 is the data, w = 1 the class y, w > 1 sharpens: away from where other classes are likely too. With components of one
covariance as classes this is no mixture (a ratio of them), so that densities carry a normaliser by quadrature, over the cells
of entropy.py, and samples are drawn by rejection, exactly: for w >= 1 from the class, accepted with probability
p(y | x)^(w - 1), for w < 1 from the data, accepted with probability p(y | x)^w.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..checks import brief, check_generator, is_number, is_whole
from ..estimate import Estimate
from .base import check_count
from .entropy import FEWER, NODES, fitted_cells, rule
from .mixture import GaussianMixture

if TYPE_CHECKING:
    from torch import Generator, Tensor

_TRIES = 10_000_000  # draws after which a rejection that accepts next to nothing gives up


class Sharpened:
    """p(x) p(y | x)^weight / Z for a mixture whose components are classes.

    Args:
        mixture: p; y is its component `label`.
        label: from 0 to the number of components less 1.
        weight: w above, 0 or more: below 0 nothing need be finite.

    Raises TypeError for what is no mixture, ValueError for other labels and weights.
    """

    def __init__(self, mixture: GaussianMixture, label: int, weight: float) -> None:
        if not isinstance(mixture, GaussianMixture):
            raise TypeError(f"A mixture is sharpened, a GaussianMixture, but got {brief(mixture)}.")
        count = len(mixture.weights)
        if not is_whole(label, 0) or label >= count:
            raise ValueError(f"The label must be a whole number from 0 to {count - 1}, but got {label!r}.")
        if not is_number(weight) or weight < 0:
            raise ValueError(f"The weight must be a number of 0 or more, but got {weight!r}.")
        self.mixture, self.label, self.weight = mixture, int(label), float(weight)
        self._class = GaussianMixture(None, mixture.means[[label]], mixture.covariances[[label]])

    def log_class(self, x: np.ndarray) -> np.ndarray:
        """log p(y | x) in nats for x (n, D), (n,); ValueError as `GaussianMixture.log_density`."""
        joint = np.log(self.mixture.weights[self.label]) + self._class.log_density(x)
        return np.asarray(np.minimum(joint - self.mixture.log_density(x), 0.0))

    def log_unnormalised(self, x: np.ndarray) -> np.ndarray:
        """log p(x) + w log p(y | x) in nats for x (n, D), (n,)."""
        return np.asarray(self.mixture.log_density(x) + self.weight * self.log_class(x))

    @cached_property
    def log_normaliser(self) -> Estimate:
        """log Z = log E p(y | x)^w in nats, and its error: the change from a coarser rule plus the mass of p that the cells
        miss. ValueError above three dimensions and for components too narrow for a quadrature."""
        (fine, mass), (coarse, _) = (self._integrals(nodes) for nodes in (NODES, FEWER))
        return Estimate(float(np.log(fine[0])), float((abs(fine[0] - coarse[0]) + abs(1 - mass)) / fine[0]))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p_w(x) in nats for x (n, D), float64 (n,). As `log_normaliser`."""
        return np.asarray(self.log_unnormalised(x) - self.log_normaliser.value)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (D,) and covariance (D, D) of p_w, by quadrature. As `log_normaliser`."""
        (total, first, second), _ = self._integrals(NODES)
        mean = first / total
        return mean, second / total - np.outer(mean, mean)

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """`n` samples, float32 (n, D), on the CPU, by rejection: exactly p_w.

        ValueError where next to no draw is accepted: the class hardly exists on its own at this weight.
        """
        import torch

        check_count(n)
        check_generator(generator)
        source, power = (self._class, self.weight - 1) if self.weight >= 1 else (self.mixture, self.weight)
        kept, found, tried = [torch.zeros(0, self.mixture.dim, device="cpu")], 0, 0
        while found < n:
            if tried >= _TRIES and found * _TRIES < n * tried:
                raise ValueError(
                    f"Of {tried} draws {found} were accepted at weight {self.weight:g}: too few to draw {n} samples by"
                    " rejection."
                )
            x = source.sample(max(1024, 2 * (n - found)), generator)
            u = torch.rand(len(x), generator=generator, dtype=torch.float64, device="cpu").numpy()
            accepted = x[torch.from_numpy(np.log1p(-u) <= power * self.log_class(x.double().numpy()))]
            kept.append(accepted)
            found, tried = found + len(accepted), tried + len(x)
        return torch.cat(kept)[:n]

    def _integrals(self, nodes: int) -> tuple[tuple[float, np.ndarray, np.ndarray], float]:
        """Integrals of p p(y | .)^w times 1, x and x x^T, and of p."""
        cells = fitted_cells(self.mixture)
        if cells is None:
            raise ValueError(
                "A sharpened density is normalised by quadrature in up to three dimensions, of components that are not too"
                f" narrow; this one has {self.mixture.dim} dimensions."
            )
        dim = self.mixture.dim
        total, first, second, mass = 0.0, np.zeros(dim), np.zeros((dim, dim)), 0.0
        for x, weights in rule(*cells, nodes, len(self.mixture.weights)):
            log_p = self.mixture.log_density(x)
            mass += float(np.exp(log_p) @ weights)
            part = np.exp(log_p + self.weight * self.log_class(x)) * weights
            total, first = total + float(part.sum()), first + part @ x
            second = second + np.einsum("n,ni,nj->ij", part, x, x)
        if not total > 0:
            raise ValueError(
                f"At weight {self.weight:g} next to nothing is left of p p(y | x)^w, too little for float64: take a smaller one."
            )
        return (total, first, second), mass
