"""The oracles: denoisers that are exact, because the data is a Gaussian mixture or a finite set.

Both are mixtures in the end. Given x_t = alpha x_0 + sigma eps, component j of the data has the responsibility r_j(x_t) and a
Gaussian (or, for a finite set, a point) posterior; mean, variance, score and log-density are sums over j (for a finite set:
Karras et al. 2022, appendix B.3). Sums are done in float64, since at small noise the exponents are large.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..data import DataSet, FiniteSet, GaussianMixture
from ..device import has_float64
from ..schedules import Schedule
from .base import Posterior, check_labels, check_samples, noise_level

_CHUNK = 2**22  # pairs (sample, component) at a time: 32 MB in float64


class ExactDenoiser:
    """The exact posterior of `data` under `schedule`.

    Attributes:
        of: "population" for a GaussianMixture, "training set" for a FiniteSet. They are different truths: a network that
            reached the second would have learned its training examples by heart.
        shape: of one sample, without the batch.

    Raises TypeError for data without a closed form.
    """

    def __init__(self, data: DataSet, schedule: Schedule) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"An exact denoiser needs a Schedule such as VPCosine(), but got {schedule!r}.")
        self.data, self.schedule = data, schedule
        self._components: _Gaussians | _Points
        if isinstance(data, GaussianMixture):
            self.of, self._components = "population", _Gaussians(data)
        elif isinstance(data, FiniteSet):
            self.of, self._components = "training set", _Points(data)
        else:
            raise TypeError(f"An exact denoiser needs a GaussianMixture or a FiniteSet, but got {type(data).__name__}.")
        self.shape = data.shape

    def __repr__(self) -> str:
        return f"ExactDenoiser({self.data!r}, {self.schedule}, of={self.of!r})"

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """Mean and per-coordinate variance of x_0 given x_t (n, *shape); given `labels` (n,), within their class."""
        mean, var, _, _ = self._evaluate(x_t, t, labels)
        return Posterior(mean, var)

    def score(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """grad log p_t(x_t), shaped as `x_t`. ValueError at t = 0 for a finite set, which has no density there."""
        return self._evaluate(x_t, t, labels, density=True)[2]

    def log_prob(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        """log p_t(x_t) in nats, (n,). ValueError at t = 0 for a finite set."""
        return self._evaluate(x_t, t, labels, density=True)[3]

    def _evaluate(
        self, x_t: Tensor, t: float | Tensor, labels: Tensor | None, density: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check_samples(x_t, self.data.shape)
        n = len(x_t)
        if labels is not None:
            check_labels(labels, self.data.classes, n)
        dtype = torch.float64 if has_float64(x_t.device) else torch.float32
        x = x_t.reshape(n, self.data.dim).to(dtype)
        if isinstance(t, Tensor):
            t = t.to(x.device, dtype)
        alpha, sigma = (a.expand(n, 1) for a in noise_level(self.schedule, t, x))
        components = self._components.to(x)
        rows = max(1, _CHUNK // components.count // components.width)
        parts = [
            components.evaluate(x[i], alpha[i], sigma[i], None if labels is None else labels.to(x.device)[i], density)
            for i in (slice(a, a + rows) for a in range(0, max(n, 1), rows))
        ]
        mean, var, score, log_p = (torch.cat(p) for p in zip(*parts, strict=True))
        shaped = (a.reshape(x_t.shape).to(x_t.dtype) for a in (mean, var, score))
        return (*shaped, log_p.to(x_t.dtype))  # type: ignore[return-value]


class _Gaussians:
    """C_j = Q_j diag(l_j) Q_j^T, so that alpha^2 C_j + sigma^2 I is diagonal in the same basis at every noise level."""

    def __init__(self, data: GaussianMixture) -> None:
        means, covariances = torch.from_numpy(data.means), torch.from_numpy(data.covariances)
        self.variances, self.bases = torch.linalg.eigh(covariances)  # (K, D), (K, D, D)
        self.means, self.log_weights = means, torch.from_numpy(data.weights).log()
        self.count, self.width = means.shape

    def to(self, x: Tensor) -> _Gaussians:
        moved = object.__new__(_Gaussians)
        moved.__dict__ |= {k: v.to(x.device, x.dtype) if isinstance(v, Tensor) else v for k, v in self.__dict__.items()}
        return moved

    def evaluate(
        self, x: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None, density: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        alpha, sigma = alpha[..., None], sigma[..., None]  # (n, 1, 1) against (n, K, D)
        total = alpha.square() * self.variances + sigma.square()
        residual = torch.einsum("nkd,kde->nke", x[:, None] - alpha * self.means, self.bases)
        whitened = residual / total
        log_joint = self.log_weights - (residual * whitened + (2 * math.pi * total).log()).sum(-1) / 2
        if labels is not None:
            others = torch.arange(self.count, device=x.device) != labels[:, None]
            log_joint = (log_joint - self.log_weights).masked_fill(others, -torch.inf)
        log_p = log_joint.logsumexp(1)
        r = (log_joint - log_p[:, None]).exp()[..., None]

        means = self.means + torch.einsum("nke,kde->nkd", alpha * self.variances * whitened, self.bases)
        mean = (r * means).sum(1)
        within = torch.einsum("nke,kde->nkd", self.variances * sigma.square() / total, self.bases.square())
        var = (r * (within + (means - mean[:, None]).square())).sum(1)
        score = -(r * torch.einsum("nke,kde->nkd", whitened, self.bases)).sum(1)
        return mean, var, score, log_p


class _Points:
    """The responsibilities are a softmax over squared distances to the scaled examples."""

    width = 1

    def __init__(self, data: FiniteSet) -> None:
        self.points = torch.from_numpy(data.x).double().flatten(1)
        self.labels = None if data.labels is None else torch.from_numpy(data.labels)
        self.count = len(self.points)

    def to(self, x: Tensor) -> _Points:
        moved = object.__new__(_Points)
        moved.points = self.points.to(x.device, x.dtype)
        moved.labels = None if self.labels is None else self.labels.to(x.device)
        moved.count = self.count
        return moved

    def evaluate(
        self, x: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None, density: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if density and bool((sigma == 0).any()):
            raise ValueError("A finite set has no density at t = 0; ask for its score and log-density at t > 0.")
        var_t = sigma.square().clamp(min=torch.finfo(x.dtype).tiny)
        distance = (
            x.square().sum(1, keepdim=True)
            - 2 * alpha * (x @ self.points.T)
            + alpha.square() * self.points.square().sum(1)
        )
        logits = -distance.clamp(min=0) / (2 * var_t)
        count: float | Tensor = float(self.count)
        if labels is not None and self.labels is not None:
            same = self.labels == labels[:, None]
            logits, count = logits.masked_fill(~same, -torch.inf), same.sum(1)
        log_sum = logits.logsumexp(1)
        r = (logits - log_sum[:, None]).exp()
        mean = r @ self.points
        var = (r @ self.points.square() - mean.square()).clamp(min=0)
        score = (alpha * mean - x) / var_t
        size = torch.as_tensor(count, dtype=x.dtype, device=x.device).log()
        log_p = log_sum - size - x.shape[1] / 2 * (2 * math.pi * var_t[:, 0]).log()
        mean = torch.where(sigma == 0, x, mean)
        return mean, torch.where(sigma == 0, torch.zeros_like(var), var), score, log_p
