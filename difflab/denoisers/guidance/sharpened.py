"""The exact denoiser of a `Sharpened` density: what guidance of weight w would have to say to sample p_w = p p(y | x)^w / Z.

    E[x_0 | x_t] = int x_0 p_w(x_0) N(x_t; alpha x_0, sigma^2) dx_0 / int p_w(x_0) N(x_t; alpha x_0, sigma^2) dx_0,

for each x_t by the trapezoidal rule, which for smooth integrands that fall off on both sides is exact but for exponentially
little (Trefethen & Weideman 2014). Its window is the box in which the integrand is above exp(-38) of its largest value, found in
a few rounds from nine standard deviations around the posterior mean of the class (below weight 1, of the data).

Score and posterior mean are tied by Tweedie's formula, so this score is that of the sharpened density *under noise*. The
guided score grad log p_t + w grad log p_t(y | x_t) equals it at t = 0 and at w = 0 and 1, and nowhere else.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ...checks import brief, check_samples, is_whole
from ...data.sharpened import Sharpened
from ...device import has_float64
from ...schedules import Schedule
from ..base import Posterior, noise_level
from ..exact import ExactDenoiser

_REACH = 9.0  # standard deviations, of the first window: beyond lies 2e-19 of a Gaussian
_NOTHING = -38.0  # log of what float64 does not see beside 1
_ROUNDS = 5  # of fitting the window
_NODES = {1: 256, 2: 72}  # along each axis, by dimension
_MOST_NODES = 1000  # along each axis: more are beyond float64's digits
_CHUNK = 2**20  # nodes at a time


class SharpenedDenoiser:
    """The posterior mean and variances of x_0 under `data`, and its score and log-density, in one and two dimensions.

    Args:
        data: the density.
        schedule: says what x_t is.
        nodes: along each axis of a row's window; None takes 256 in one dimension, 72 in two.

    Raises TypeError for other data or what is no schedule, ValueError above two dimensions.
    """

    def __init__(self, data: Sharpened, schedule: Schedule, *, nodes: int | None = None) -> None:
        if not isinstance(data, Sharpened):
            raise TypeError(f"A SharpenedDenoiser is of a Sharpened density, but got {brief(data)}.")
        dim = data.mixture.dim
        if dim not in _NODES:
            raise ValueError(f"A sharpened density under noise is known in one and two dimensions, not in {dim}.")
        if nodes is not None and (not is_whole(nodes, 8) or nodes > _MOST_NODES):
            raise ValueError(
                f"The rule needs a whole number of nodes, 8 or more and at most {_MOST_NODES:,}, but got {brief(nodes)}."
            )
        self.data, self.schedule, self.shape = data, schedule, data.mixture.shape
        self._oracle = ExactDenoiser(data.mixture, schedule)
        count = int(nodes or _NODES[dim])
        line = torch.linspace(0, 1, count, dtype=torch.float64, device="cpu")
        self._nodes = torch.cartesian_prod(*[line] * dim).reshape(-1, dim)  # of the unit box
        self._spacing = 1 / (count - 1)

    @property
    def sigma_data(self) -> float:
        """Root mean variance of a coordinate under the density, by quadrature."""
        return float(self.data.moments()[1].diagonal().mean() ** 0.5)

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """Mean and per-coordinate variance of x_0 given x_t (n, D), each (n, D); `t` one time or (n,). The class is fixed:
        ValueError for labels."""
        if labels is not None:
            raise ValueError("The class of a sharpened density is fixed; call it without labels.")
        _, mean, cov, sigma = self._integrals(x_t, t)
        var = torch.diagonal(cov, dim1=1, dim2=2).masked_fill(sigma == 0, 0.0)
        return Posterior(torch.where(sigma == 0, x_t, mean.to(x_t.dtype)), var.to(x_t.dtype))

    def score(self, x_t: Tensor, t: float | Tensor) -> Tensor:
        """grad log p_w,t(x_t), (n, D), for t > 0: (alpha E[x_0 | x_t] - x_t) / sigma^2; nan at t = 0."""
        _, mean, _, sigma = self._integrals(x_t, t)
        alpha, _ = noise_level(self.schedule, t, mean)
        return ((alpha * mean - x_t) / sigma.square()).masked_fill(sigma == 0, math.nan).to(x_t.dtype)

    def log_prob(self, x_t: Tensor, t: float | Tensor) -> Tensor:
        """log p_w,t(x_t) in nats, (n,), for t > 0; nan at t = 0, where `Sharpened.log_density` says it."""
        log_total, _, _, sigma = self._integrals(x_t, t)
        log_noise = self.shape[0] / 2 * (2 * math.pi * sigma.square()).log().expand(len(x_t), 1)[:, 0]
        log_p = log_total - log_noise - self.data.log_normaliser.value
        return log_p.masked_fill(sigma.expand(len(x_t), 1)[:, 0] == 0, math.nan).to(x_t.dtype)

    def _integrals(self, x_t: Tensor, t: float | Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(log of the integral without the noise's constant (n,), mean (n, D), covariance (n, D, D), sigma (n or 1, 1))."""
        check_samples(x_t, self.shape)
        x = x_t.to(torch.float64 if has_float64(x_t.device) else torch.float32)
        alpha, sigma = (a.reshape(-1, 1) for a in noise_level(self.schedule, t, x))
        y = torch.full((len(x),), self.data.label, dtype=torch.int64, device=x.device)
        labels = y if self.data.weight >= 1 else None
        mean, cov = self._oracle(x, t, labels).mean, self._oracle.posterior_covariance(x, t, labels)
        # where there is no noise nothing is integrated, and where x is nan so is the answer; a window all the same
        cov = torch.where(
            (sigma[..., None] == 0) | ~cov.isfinite().all(2, keepdim=True).all(1, keepdim=True),
            torch.eye(x.shape[1], dtype=x.dtype, device=x.device),
            cov,
        )
        rows, parts = max(1, _CHUNK // len(self._nodes)), []
        for first in range(0, max(len(x), 1), rows):
            block = slice(first, first + rows)
            a, s = (level[block] if len(level) == len(x) else level for level in (alpha, sigma))
            parts.append(self._fitted(x[block], a, s.masked_fill(s == 0, 1.0), mean[block], cov[block]))
        log_total, mean, cov = (torch.cat(p) for p in zip(*parts, strict=True))
        return log_total, mean, cov, sigma

    def _fitted(
        self, x: Tensor, alpha: Tensor, sigma: Tensor, mean: Tensor, cov: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        root = torch.linalg.cholesky(cov)
        nodes = self._nodes.to(x.device, x.dtype)
        low = torch.full_like(x, -_REACH)[:, None]  # (n, 1, D), in standard deviations along the columns of the root
        high = -low
        for left in reversed(range(_ROUNDS + 1)):
            u = low + (high - low) * nodes  # (n, nodes, D)
            x0 = mean[:, None] + u @ root.mT
            noise = (x[:, None] - alpha[..., None] * x0).square().sum(-1) / (2 * sigma.square())
            log_f = self._log_unnormalised(x0) - noise
            if left:
                low, high = self._window(u, log_f, low, high)
        cell = ((high - low) * self._spacing).log().sum((1, 2)) + root.diagonal(dim1=1, dim2=2).log().sum(1)
        log_total = log_f.logsumexp(1)
        p = (log_f - log_total[:, None]).exp()[..., None]
        found = (p * x0).sum(1)
        away = x0 - found[:, None]
        return log_total + cell, found, away.mT @ (p * away)

    def _window(self, u: Tensor, log_f: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The box around the nodes where there is something, and a node more; twice as wide where it ends in the middle of it."""
        nothing = (log_f < log_f.amax(1, keepdim=True) + _NOTHING)[..., None]
        first = u.masked_fill(nothing, math.inf).amin(1, keepdim=True)
        last = u.masked_fill(nothing, -math.inf).amax(1, keepdim=True)
        width, node = high - low, (high - low) * self._spacing
        return (
            torch.where(first < low + node / 2, low - width / 2, first - node),
            torch.where(last > high - node / 2, high + width / 2, last + node),
        )

    def _log_unnormalised(self, x0: Tensor) -> Tensor:
        """log p + w log p(y | .) at x0 (n, nodes, D), (n, nodes)."""
        flat = x0.flatten(0, 1)
        y = torch.full((len(flat),), self.data.label, dtype=torch.int64, device=x0.device)
        log_p = self._oracle.log_prob(flat, 0.0)
        within = self._oracle.log_prob(flat, 0.0, y) + math.log(self.data.mixture.weights[self.data.label])
        return (log_p + self.data.weight * (within - log_p)).reshape(x0.shape[:2])
