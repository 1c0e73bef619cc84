"""The oracles: denoisers that are exact, because the data is a Gaussian mixture or a finite set.

Given x_t = alpha x_0 + sigma eps, component j of the data (a Gaussian, or one example) has the responsibility r_j(x_t) and a
known posterior; mean, covariance, score, divergence and log-density are sums over j (gaussians.py, points.py). Sums are done
in float64 where the device has it; where it has not, in float32, in forms that lose no digits there.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Literal

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..checks import is_seen
from ..data import DataSet, FiniteSet, GaussianMixture
from ..device import has_float64
from ..schedules import Schedule
from .base import Posterior, check_labels, check_samples, noise_level
from .gaussians import Gaussians, GaussiansAt
from .points import Points, PointsAt

_CHUNK = 2**22  # numbers at a time: 32 MB in float64


class ExactDenoiser:
    """The exact posterior of `data` under `schedule`.

    Attributes:
        of: "population" for a GaussianMixture, "training set" for a FiniteSet. They are different truths: a network that
            reached the second would have learned its training examples by heart.
        shape: of one sample, without the batch.

    All methods take `x_t` (n, *shape), one time `t` or (n,) of them, and, to ask within classes, `labels` (n,): of a
    mixture its components. They raise TypeError for what is not floating point, ValueError for wrong shapes, times outside
    [0, 1] and labels that are none; nan in a row of x_t stays in that row's answer. At t = 0 a finite set has no density: its
    score, log-density and divergence are refused there (and are nan where looking at `t` would stop a GPU).

    Raises TypeError for data without a closed form.
    """

    def __init__(self, data: DataSet, schedule: Schedule) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"An exact denoiser needs a Schedule such as VPCosine(), but got {schedule!r}.")
        self.data, self.schedule = data, schedule
        self._components: Gaussians | Points
        if isinstance(data, GaussianMixture):
            self.of, self._components = "population", Gaussians(data)
        elif isinstance(data, FiniteSet):
            self.of, self._components = "training set", Points(data)
        else:
            raise TypeError(f"An exact denoiser needs a GaussianMixture or a FiniteSet, but got {type(data).__name__}.")
        self.shape = data.shape
        self._moved: dict[tuple[torch.device, torch.dtype], Gaussians | Points] = {}

    @property
    def sigma_data(self) -> float:
        """Standard deviation of a coordinate of the data."""
        return self.data.sigma_data

    def __repr__(self) -> str:
        return f"ExactDenoiser({self.data!r}, {self.schedule}, of={self.of!r})"

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """Mean and per-coordinate variance of x_0 given x_t, each (n, *shape)."""
        both = self._ask(x_t, t, labels, lambda at: at.mean_and_var())
        mean, var = (part.reshape(x_t.shape) for part in both.unbind(1))
        return Posterior(mean, var)

    def posterior_covariance(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """Cov[x_0 | x_t], (n, D, D) with the coordinates of a sample in one row, D = data.dim."""
        return self._ask(x_t, t, labels, lambda at: at.covariance(), covariance=True)

    def mode_probabilities(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """P(x_0 came from component j | x_t), (n, K); for a finite set P(x_0 is example j | x_t), (n, N), at t > 0."""
        return self._ask(x_t, t, labels, lambda at: at.probabilities(), density=True)

    def score(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """grad log p_t(x_t), shaped as `x_t`."""
        return self._ask(x_t, t, labels, lambda at: at.score(), density=True).reshape(x_t.shape)

    def log_prob(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """log p_t(x_t) in nats, (n,)."""
        return self._ask(x_t, t, labels, lambda at: at.log_prob(), density=True)

    def divergence(
        self,
        x_t: Tensor,
        t: float | Tensor,
        labels: Tensor | None = None,
        *,
        of: Literal["score", "mean"] = "score",
    ) -> Tensor:
        """The trace of the Jacobian in x_t of the score (the Laplacian of log p_t) or of the posterior mean, (n,)."""
        if of not in ("score", "mean"):
            raise ValueError(f"There is a divergence of the score and of the mean, but got of={of!r}.")
        if of == "mean":
            return self._ask(x_t, t, labels, lambda at: at.divergence_of_mean())
        return self._ask(x_t, t, labels, lambda at: at.divergence_of_score(), density=True)

    def observed(
        self, matrix: ArrayLike | Tensor, value: ArrayLike | Tensor, noise: ArrayLike | Tensor
    ) -> ExactDenoiser:
        """The oracle of p(x_0 | y) for y = A x_0 + N(0, noise): its score is that of p_t(x_t | y), and so on.

        Args:
            matrix: A, (m, D), acting on a sample with its coordinates in one row.
            value: y, (m,).
            noise: covariance (m, m), variances (m,) or one variance, positive definite.

        What a mixture becomes is a mixture, what a finite set becomes is the set reweighted: see `data.observed`, whose
        errors it raises.
        """
        if not isinstance(self.data, GaussianMixture | FiniteSet):  # never: for the type checker
            raise TypeError(f"There is no closed form for {type(self.data).__name__}.")
        return ExactDenoiser(self.data.observed(matrix, value, noise), self.schedule)

    def _ask(
        self,
        x_t: Tensor,
        t: float | Tensor,
        labels: Tensor | None,
        question: Callable[[GaussiansAt | PointsAt], Tensor],
        density: bool = False,
        covariance: bool = False,
    ) -> Tensor:
        """The answer to `question`, in the dtype of `x_t`; rows are gone through in blocks, so that memory is bounded."""
        check_samples(x_t, self.data.shape)
        n = len(x_t)
        if labels is not None:
            check_labels(labels, self.data.classes, n)
            _check_examples(self._components, labels)
            labels = labels.to(x_t.device)
        if density and self.of == "training set" and _is_zero_somewhere(t):
            raise ValueError("A finite set has no density at t = 0; ask for its score and log-density at t > 0.")
        dtype = torch.float64 if has_float64(x_t.device) else torch.float32
        x = x_t.reshape(n, self.data.dim).to(dtype)
        if isinstance(t, Tensor):
            t = t.to(x.device, dtype)
        alpha, sigma = (a.reshape(-1, 1) for a in noise_level(self.schedule, t, x))  # (1, 1) if it is one for all
        components = self._on(x.device, dtype)
        rows = max(1, _CHUNK // components.numbers_per_row(covariance))
        parts = []
        for first in range(0, max(n, 1), rows):
            block = slice(first, first + rows)
            level = (alpha[block], sigma[block]) if len(alpha) == n else (alpha, sigma)
            parts.append(question(components.at(x[block], *level, None if labels is None else labels[block])))
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).to(x_t.dtype)

    def _on(self, device: torch.device, dtype: torch.dtype) -> Gaussians | Points:
        if device.type == "meta":  # a dry run's tensors do not outlive it
            return self._components.to(device, dtype)
        if (device, dtype) not in self._moved:
            self._moved[device, dtype] = self._components.to(device, dtype)
        return self._moved[device, dtype]


def _is_zero_somewhere(t: float | Tensor) -> bool:
    """Whether t = 0 is asked about; not looked at on an accelerator, which would have to stop for it."""
    if isinstance(t, Tensor):
        return is_seen(t, lambda t: t == 0)
    return isinstance(t, Real) and t == 0


def _check_examples(components: Gaussians | Points, labels: Tensor) -> None:
    if isinstance(components, Points) and components.missing and labels.device.type != "meta":
        asked = components.missing.intersection(labels.tolist())
        if asked:
            raise ValueError(f"This set has no example of class {min(asked)}: nothing is known of x_0 within it.")
