"""Gaussian mixtures: the densities about which everything is known exactly, at every noise level."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import LARGEST, array_of, brief, check_generator, is_number, is_whole
from ..estimate import Estimate
from .base import DataSet, check_count, check_seed
from .entropy import entropy_of
from .observed import Observation, normalised
from .tilted import Tilt
from .weights import checked_weights

if TYPE_CHECKING:
    from torch import Generator, Tensor

_TAILS = 4.0  # standard deviations that count as the range of a component


class GaussianMixture(DataSet):
    """p(x) = sum_j w_j N(x; m_j, C_j), in any dimension.

    Args:
        weights: (K,), positive, summing to 1; None is equal ones.
        means: (K, D).
        covariances: (K, D, D) full, (K, D) diagonal, (K,) isotropic or one number: variances, not standard deviations.
        name: how it is called on screen.

    Raises ValueError if shapes disagree, a weight is not positive or their sum not 1, a number is nan or inf, or a
    covariance is not positive definite.
    """

    def __init__(
        self, weights: ArrayLike | None, means: ArrayLike, covariances: ArrayLike, name: str = "mixture"
    ) -> None:
        self.name = name
        self.means = array_of(means, "means")
        if self.means.ndim != 2 or self.means.size == 0:
            raise ValueError(f"means must have the shape (components, dimensions), but got {self.means.shape}.")
        count, dim = self.means.shape
        self.weights = checked_weights(weights, count)
        self.covariances = _full(array_of(covariances, "covariances"), count, dim)
        if not all(np.all(np.abs(a) <= LARGEST) for a in (self.means, self.covariances)):
            raise ValueError(f"means and covariances must be finite, at most {LARGEST:g}; these have nan, inf or more.")
        if not np.allclose(self.covariances, self.covariances.transpose(0, 2, 1)):
            raise ValueError("covariances must be symmetric.")
        if np.linalg.eigvalsh(self.covariances).min() <= 0:
            raise ValueError(
                "covariances must be positive definite: every component needs some width in every direction."
            )

        self.shape, self.classes = (dim,), count
        variances = np.diagonal(self.covariances, axis1=1, axis2=2)
        spread = _TAILS * np.sqrt(variances)
        self.range = (float((self.means - spread).min()), float((self.means + spread).max()))
        moments = self.weights @ (variances + self.means**2)  # E x_d^2
        grand_mean = float((self.weights @ self.means).mean())
        self.second_moment = float(moments.mean())
        self.sigma_data = float(np.sqrt(self.second_moment - grand_mean**2))

    def __repr__(self) -> str:
        return f"GaussianMixture({self.name!r}, components={len(self.weights)}, dim={self.dim})"

    @classmethod
    def ring(cls, components: int = 8, radius: float = 4.0, std: float = 0.2) -> GaussianMixture:
        """Equal modes on a circle, scaled to unit variance per coordinate; the ratio of `std` to `radius` is kept."""
        _check_components(components)
        _check_lengths(radius=radius, std=std)
        angle = 2 * np.pi * np.arange(components) / components
        means = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return cls(None, means, std**2, f"ring of {components}").standardised()

    @classmethod
    def grid(cls, side: int = 3, spacing: float = 2.0, std: float = 0.2) -> GaussianMixture:
        """side x side equal modes on a square lattice, scaled to unit variance per coordinate."""
        _check_components(side)
        _check_lengths(spacing=spacing, std=std)
        axis = spacing * (np.arange(side) - (side - 1) / 2)
        means = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        return cls(None, means, std**2, f"{side} x {side} grid").standardised()

    @classmethod
    def random(cls, components: int = 6, dim: int = 2, seed: int = 0) -> GaussianMixture:
        """Random weights, means and full covariances, scaled to unit variance (over all coordinates)."""
        _check_components(components)
        _check_components(dim)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        means = rng.uniform(-3, 3, (components, dim))
        roots = 0.35 * rng.standard_normal((components, dim, dim))
        covariances = roots @ roots.transpose(0, 2, 1) + 0.02 * np.eye(dim)
        weights = rng.dirichlet(np.full(components, 4.0))
        return cls(weights, means, covariances, f"random mixture of {components}").standardised()

    def standardised(self) -> GaussianMixture:
        """The same shape, shifted to mean 0 and scaled by one number to variance 1 per coordinate on average."""
        centre = self.weights @ self.means
        means = self.means - centre
        variances = np.diagonal(self.covariances, axis1=1, axis2=2) + means**2
        scale = float(np.sqrt((self.weights @ variances).mean()))
        return GaussianMixture(self.weights, means / scale, self.covariances / scale**2, self.name)

    @cached_property
    def _roots(self) -> np.ndarray:
        return np.linalg.cholesky(self.covariances)

    @cached_property
    def whitening(self) -> np.ndarray:
        """W_j with W_j C_j W_j^T = I, (K, D, D): the inverses of the Cholesky roots."""
        return np.linalg.inv(self._roots)

    def sample_labelled(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """`n` samples and the component that each came from."""
        import torch

        check_count(n)
        check_generator(generator)
        component = (
            torch.multinomial(torch.from_numpy(self.weights), n, replacement=True, generator=generator)
            if n
            else (torch.zeros(0, dtype=torch.int64))
        )
        noise = torch.randn(n, self.dim, 1, dtype=torch.float64, generator=generator, device="cpu")
        x = torch.from_numpy(self.means)[component] + (torch.from_numpy(self._roots)[component] @ noise).squeeze(-1)
        return x.float(), component

    def preview(self, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        check_count(n)
        check_seed(seed)
        rng = np.random.default_rng(seed)
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        x = self.means[component] + np.einsum("nij,nj->ni", self._roots[component], rng.standard_normal((n, self.dim)))
        return x.astype(np.float32), component.astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists under "weights", "means", "covariances": what crosses to the browser."""
        return {
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "covariances": self.covariances.tolist(),
        }

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats for x (n, D), float64 (n,). ValueError for another shape, nan or inf."""
        x = array_of(x, "Points")
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise ValueError(f"A density is asked for at points of the shape (n, {self.dim}), but got {x.shape}.")
        if not np.all(np.isfinite(x)):
            raise ValueError("A density is asked for at finite points; these have nan or inf.")
        log_det = np.log(np.diagonal(self._roots, axis1=1, axis2=2)).sum(1)
        log_joint = np.log(self.weights) - log_det - self.dim / 2 * np.log(2 * np.pi) + np.zeros((len(x), 1))
        for j, (mean, whitening) in enumerate(zip(self.means, self.whitening, strict=True)):
            log_joint[:, j] -= np.square((x - mean) @ whitening.T).sum(1) / 2
        largest = log_joint.max(1, keepdims=True)
        return np.asarray(largest[:, 0] + np.log(np.exp(log_joint - largest).sum(1)))

    def entropy(self, samples: int = 200_000, seed: int = 0) -> Estimate:
        """Differential entropy -E log p(x) in nats (not per dimension), and its error.

        By quadrature in up to three dimensions (entropy.py says how; the error is that of a coarser rule); above that, or
        where components are too narrow for it, by Monte Carlo on `samples` draws with its standard error.
        """
        if not is_whole(samples, 2):
            raise ValueError(
                f"A Monte Carlo entropy needs a whole number of samples, two samples or more, but got {samples!r}."
            )
        check_seed(seed)
        found = entropy_of(self)
        if found is not None:
            return found
        log_p = self.log_density(self.preview(samples, seed)[0].astype(float))
        return Estimate(float(-log_p.mean()), float(log_p.std(ddof=1) / np.sqrt(samples)))

    def observed(self, matrix: ArrayLike, value: ArrayLike, noise: ArrayLike) -> GaussianMixture:
        """p(x | y) after seeing y = A x + N(0, noise): the exact posterior, a mixture of as many components.

        Args:
            matrix: A, (m, D).
            value: y, (m,).
            noise: covariance (m, m), variances (m,) or one variance, positive definite.

        Component j of the posterior is component j seen through y (equations in observed.py), so that labels keep their
        meaning. Raises ValueError if shapes disagree, a number is nan or inf, or the noise is not positive definite.
        """
        seen = Observation.checked(matrix, value, noise, self.dim)
        parts = [seen.of_gaussian(m, c) for m, c in zip(self.means, self.covariances, strict=True)]
        evidence, means, covariances = (np.array(a) for a in zip(*parts, strict=True))
        weights = normalised(np.log(self.weights) + evidence)
        return GaussianMixture(weights, means, covariances, f"{self.name}, observed")

    def tilted(self, tilt: Tilt) -> GaussianMixture:
        """p(x) exp(tilt(x)) / Z, exactly: a mixture of as many components, component j being component j tilted (tilted.py).

        Raises TypeError for what is no `Tilt`, ValueError for one of another dimension or one that no mass survives.
        """
        weights, means, covariances = zip(*self._tilted_by(tilt), strict=True)
        return GaussianMixture(normalised(np.array(weights)), means, covariances, f"{self.name}, tilted")

    def log_mean_tilt(self, tilt: Tilt) -> float:
        """log Z = log E exp(tilt(x)) in nats. As `tilted`."""
        return float(np.logaddexp.reduce([log_weight for log_weight, _, _ in self._tilted_by(tilt)]))

    def _tilted_by(self, tilt: Tilt) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """(log of the weight, not normalised, mean, covariance) of each component."""
        if not isinstance(tilt, Tilt):
            raise TypeError(f"A mixture is tilted by a Tilt(linear, quadratic), but got {brief(tilt)}.")
        if len(tilt.linear) != self.dim:
            raise ValueError(f"This tilt is of {len(tilt.linear)} coordinates, and {self.name} has {self.dim}.")
        parts = [tilt.of_gaussian(m, c) for m, c in zip(self.means, self.covariances, strict=True)]
        return [(mass + float(np.log(w)), m, c) for w, (mass, m, c) in zip(self.weights, parts, strict=True)]


def _check_components(count: int) -> None:
    if not is_whole(count):
        raise ValueError(f"A mixture's components and dimensions are whole numbers of at least 1, but got {count!r}.")


def _check_lengths(**lengths: float) -> None:
    for name, length in lengths.items():
        if not is_number(length) or length <= 0:
            raise ValueError(f"{name} must be a length above 0, but got {length!r}.")


def _full(covariances: np.ndarray, count: int, dim: int) -> np.ndarray:
    eye = np.eye(dim)
    if covariances.ndim == 0:
        return np.broadcast_to(covariances * eye, (count, dim, dim)).copy()
    if covariances.shape == (count,):
        return covariances[:, None, None] * eye
    if covariances.shape == (count, dim):
        return covariances[:, :, None] * eye
    if covariances.shape == (count, dim, dim):
        return covariances.copy()
    raise ValueError(
        f"covariances must be one number, ({count},), ({count}, {dim}) or ({count}, {dim}, {dim}),"
        f" but got the shape {covariances.shape}."
    )
