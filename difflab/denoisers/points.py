"""A finite set under noise: a mixture of equally wide Gaussians around the scaled examples (Karras et al. 2022, appendix B.3).

The responsibilities are a softmax over -|x_t - alpha p_j|^2 / (2 sigma^2). Written as x^2 - 2xp + p^2 the distances are one
matrix product, fast and small, but at small noise the few digits that decide are lost in the difference; written as
differences they are exact and cost N x D numbers a row. Both are used: the product finds the nearest examples, which are then
gone through one by one. At small noise the nearest alone matter, at large noise the product's rounding does not.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..data import FiniteSet
from .base import bayes

_NEAREST = 32  # examples that are gone through one by one
_FLAT = 4  # in so few dimensions all of them are


class Points:
    """The examples as tensors, ready to be asked at any noise level."""

    def __init__(self, data: FiniteSet) -> None:
        self.points = torch.from_numpy(data.x).double().flatten(1)
        self.squares = self.points.square().sum(1)
        self.count, self.dim = self.points.shape
        weights = np.full(self.count, 1 / self.count) if data.weights is None else data.weights
        self.log_weights = torch.from_numpy(np.log(weights))
        self.labels = None if data.labels is None else torch.from_numpy(data.labels)
        self.log_class: Tensor | None = None  # of each class' share
        self.missing: set[int] = set()  # classes without an example
        if data.labels is not None:
            share = np.bincount(data.labels, weights, minlength=data.classes or 0)
            self.missing = set(np.flatnonzero(share == 0).tolist())
            self.log_class = torch.from_numpy(np.log(np.where(share > 0, share, 1.0)))
        self.nearest = self.count if self.dim <= _FLAT else min(self.count, _NEAREST)

    def to(self, device: torch.device, dtype: torch.dtype) -> Points:
        moved = object.__new__(Points)
        moved.__dict__ |= {
            k: v.to(device, dtype if v.is_floating_point() else None) if isinstance(v, Tensor) else v
            for k, v in self.__dict__.items()
        }
        return moved

    def numbers_per_row(self, covariance: bool) -> int:
        """How many numbers a row of x_t takes at most: what blocks of rows are cut by."""
        one_by_one = 0 if self.nearest == self.count else self.nearest * self.dim
        return self.count + one_by_one + (self.dim**2 if covariance else 0)

    def at(self, x: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None) -> PointsAt:
        """`x` (n, D) of noise level `alpha`, `sigma` (n, 1), or (1, 1) if it is one for all rows; `labels` (n,) keep the
        examples of one class for each row."""
        return PointsAt(self, x, alpha, sigma, labels)


class PointsAt:
    """What is known at x_t (n, D); whatever is asked for is computed then. Where sigma = 0, densities are nan."""

    def __init__(self, of: Points, x: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None) -> None:
        self.of, self.x, self.alpha = of, x, alpha
        self.at_data = sigma == 0
        self.sigma = sigma.masked_fill(self.at_data, 1.0)  # so that no nan hides behind what is chosen in its place
        log_prior = of.log_weights
        if labels is not None and of.labels is not None and of.log_class is not None:
            log_prior = (log_prior - of.log_class[labels][:, None]).masked_fill(
                of.labels != labels[:, None], -torch.inf
            )
        self.index: Tensor | None = None
        if of.nearest == of.count:
            columns = zip(x.T, of.points.T, strict=True)  # axis by axis: (n, N) at a time
            distance = sum((c[:, None] - alpha * p).square() for c, p in columns)
            log_joint = log_prior - distance / (2 * self.sigma.square())
        else:
            log_joint = self._nearest_one_by_one(log_prior)
        self.r, log_sum = bayes(log_joint, 1)
        self.log_p = log_sum - of.dim / 2 * (2 * math.pi * self.sigma[:, 0].square()).log()
        self._mean = torch.where(self.at_data, x, self.r @ of.points)

    def _nearest_one_by_one(self, log_prior: Tensor) -> Tensor:
        of, x, alpha, scale = self.of, self.x, self.alpha, -1 / (2 * self.sigma.square())
        product = x.square().sum(1, keepdim=True) - 2 * alpha * (x @ of.points.T) + alpha.square() * of.squares
        log_joint = log_prior + product.clamp(min=0) * scale
        self.index = log_joint.detach().topk(of.nearest, dim=1).indices
        exact = (x[:, None] - alpha[..., None] * of.points[self.index]).square().sum(-1)
        prior = log_prior.expand(len(x), -1).gather(1, self.index)
        return log_joint.scatter(1, self.index, prior + exact * scale)

    def log_prob(self) -> Tensor:
        return self.log_p.masked_fill(self.at_data[:, 0], torch.nan)

    def probabilities(self) -> Tensor:
        return self.r.masked_fill(self.at_data, torch.nan)

    def mean_and_var(self) -> Tensor:
        """(n, 2, D): both at once, since the second needs the first."""
        return torch.stack([self._mean, self._var()], dim=1)

    def score(self) -> Tensor:
        return ((self.alpha * self._mean - self.x) / self.sigma.square()).masked_fill(self.at_data, torch.nan)

    def covariance(self) -> Tensor:
        rows = [(r.sqrt()[:, None] * (self.of.points - m)) for r, m in zip(self.r, self._mean, strict=True)]
        found = torch.stack([a.T @ a for a in rows]) if rows else self.x.new_zeros(0, self.of.dim, self.of.dim)
        return found.masked_fill(self.at_data[..., None], 0.0)

    def divergence_of_score(self) -> Tensor:
        """(alpha^2 tr Cov[x_0 | x_t] / sigma^2 - D) / sigma^2: Tweedie's second identity."""
        within = self.alpha.square() / self.sigma.square() * self._var().sum(1, keepdim=True)
        return ((within - self.of.dim) / self.sigma.square()).masked_fill(self.at_data, torch.nan)[:, 0]

    def divergence_of_mean(self) -> Tensor:
        """alpha / sigma^2 tr Cov[x_0 | x_t]; D where x_t is x_0 itself."""
        trace = self.alpha / self.sigma.square() * self._var().sum(1, keepdim=True)
        return trace.masked_fill(self.at_data, float(self.of.dim))[:, 0]

    def _var(self) -> Tensor:
        """sum r (p - mean)^2: term by term for the nearest, by E p^2 - mean^2 for the rest, which have the smaller part."""
        mean, points = self._mean, self.of.points
        if self.index is None:
            near = torch.stack(
                [(self.r * (p - m[:, None]).square()).sum(1) for m, p in zip(mean.T, points.T, strict=True)], dim=1
            )
            return near.masked_fill(self.at_data, 0.0)
        near_r = self.r.gather(1, self.index)
        near = torch.einsum("nm,nmd->nd", near_r, (points[self.index] - mean[:, None]).square())
        rest = self.r.scatter(1, self.index, 0.0)
        far = rest @ points.square() - 2 * mean * (rest @ points) + mean.square() * rest.sum(1, keepdim=True)
        return (near + far.clamp(min=0)).masked_fill(self.at_data, 0.0)
