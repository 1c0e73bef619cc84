"""log p(x) by the probability-flow ODE (Song et al. 2021, section 4.3): exact but for the solver's error.

x_t is carried along the flow whose marginals are those of the noising process; what the flow stretches, the density loses
(the instantaneous change of variables; Chen et al. 2018, theorem 1). At t = 1 the density is the prior's.

The path does not depend on the schedule. With z = x_t / sqrt(alpha^2 + sigma^2) and the angle theta = atan(sigma / alpha),
    dz/dtheta = v(z, theta) = (cos(theta) z - E[x_0 | x_t]) / sin(theta),    d log p/dtheta = -div v,
(v-prediction: Salimans & Ho 2022, appendix D), which is singular nowhere: not at alpha = 0 (theta = pi/2), nor, where the data
has a smooth density, at the data: v = -tan(theta) (z + grad log p) is odd in theta. Therefore
- the integral may begin at theta = 0, at the data itself, where v = 0 costs no evaluation; its result is log p_0(x), not the
  log-density of slightly noised data, which is off by O(sigma^2);
- below the schedule's first level the score is kept as it is there and only tan(theta) goes to 0: with c the finest scale of
  the data this is off by O((sigma_first / c)^4), nothing for the variance-preserving schedules (sigma_first about 1e-5).
The steps are equal in u, theta = (pi/2) sinh(3u) / sinh(3): finer near the data by a factor of ten.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..checks import brief
from ..data import FiniteSet
from ..denoisers import Conditioned, Denoiser
from ..denoisers.base import Checked, check_samples
from ..device import has_float64, in_float64
from ..runge_kutta import Adaptive, Fixed, NotSolved, StepTooSmall
from ..samplers import NoisePool
from ..schedules import FIRST_T, Schedule
from .divergence import Exact, Hutchinson

_LOW_DIMENSION = 3  # up to here the divergence is exact unless asked otherwise
_GRADING = 3.0
_HALF_TURN = math.pi / 2


@dataclass(frozen=True)
class Likelihood:
    """What one integration knows of each of n samples.

    Attributes:
        log_prob: log p(x) in nats (not per dimension), (n,) float64.
        error: of the integration: the sum of the steps' error estimates in nats, (n,). Usually several times too large.
        standard_error: of Hutchinson's estimate in nats, (n,): 0 for the exact divergence, nan for one probe.
        evaluations: how often the denoiser was asked about each sample, (n,) int64, with its Jacobian or products of it.
        latent: x_1 at the end of the flow, (n, *shape).
    """

    log_prob: Tensor
    error: Tensor
    standard_error: Tensor
    evaluations: Tensor
    latent: Tensor

    def __repr__(self) -> str:
        asked = f"{float(self.evaluations.double().mean()):.0f} evaluations" if len(self.log_prob) else "no evaluation"
        return (
            f"Likelihood({len(self.log_prob)} samples, {float(self.log_prob.mean()):.4g} nats on average, {asked} each)"
        )


@torch.no_grad()
def log_likelihood(
    denoiser: Denoiser,
    x: Tensor,
    labels: Tensor | None = None,
    *,
    start: float = 0.0,
    divergence: Exact | Hutchinson | None = None,
    steps: Adaptive | Fixed | None = None,
    log_prior: Callable[[Tensor], Tensor] | None = None,
    generator: Generator | None = None,
) -> Likelihood:
    """log-density of `x` in the model that draws x_1 from the prior and follows the denoiser's flow to the data.

    Args:
        denoiser: any that autograd can follow; asked in the dtype of `x`, so float64 samples give the exact oracles'
            digits. Its rows must be independent. A Conditioned one is asked with its own labels.
        x: (n, *shape).
        labels: (n,) classes, or (n, d) vectors: the log-density given them.
        start: the time at which `x` lives. 0 is data with a density; data without one (images, finite sets) is given
            with its noise, x_start = alpha x_0 + sigma eps, and the result is log p_start(x_start).
        divergence: Exact() or Hutchinson(count, law); None is exact in up to 3 dimensions and Hutchinson() above.
        steps: Adaptive(tolerance) or Fixed(steps); None is Adaptive(). A dry run on "meta" takes Fixed.
        log_prior: x_1 (n, *shape) -> its log-density (n,); None is N(0, prior_std^2 I), from which samplers start.
        generator: of Hutchinson's probes. Row i has the same ones in a batch of 1 and of 100.

    The state is kept in float64. No result depends on what else is in the batch, but for the denoiser's own rounding.
    Raises TypeError for what is no denoiser, ValueError for wrong shapes, nan in `x`, a start outside [0, 1), where the
    density has no scale that a step could resolve, and where the denoiser answers nan or gives no gradient.
    """
    if isinstance(denoiser, Conditioned):
        if labels is not None:
            raise ValueError("The labels of a conditioned denoiser are fixed; ask for its likelihood without labels.")
        labels, denoiser = denoiser.labels, denoiser.denoiser
    flow = _Flow(denoiser, x, labels, start)
    divergence = divergence or (Exact() if flow.dim <= _LOW_DIMENSION else Hutchinson())
    if not isinstance(divergence, Exact | Hutchinson):
        raise TypeError(f"The divergence must be Exact() or Hutchinson(), but got {divergence!r}.")
    if steps is not None and not isinstance(steps, Adaptive | Fixed):
        raise TypeError(f"The steps must be Adaptive() or Fixed(), but got {steps!r}.")
    if log_prior is not None and not callable(log_prior):
        raise TypeError(f"log_prior must be a function of x_1, or None, but got {brief(log_prior)}.")
    flow.divergence = divergence
    if isinstance(divergence, Hutchinson):
        pool = NoisePool(0) if x.device.type == "meta" else NoisePool.drawn(generator)  # a dry run draws nothing
        flow.probes = divergence.probes(x, lambda probe: pool.step(x, probe))
    return flow.solved(steps or Adaptive(), log_prior)


class _Flow:
    """The flow of one batch; its state is y = (z, the integrals of div v), one row each."""

    divergence: Exact | Hutchinson
    probes: Tensor | None = None

    def __init__(self, denoiser: Denoiser, x: Tensor, labels: Tensor | None, start: float) -> None:
        self.denoiser = Checked(denoiser)
        check_samples(x, getattr(denoiser, "shape", None))
        if x.device.type != "meta" and not bool(torch.isfinite(x).all()):
            raise ValueError("Every sample must be finite, but x has nan or inf.")
        if isinstance(start, bool) or not isinstance(start, int | float) or not 0 <= start < 1:
            raise ValueError(f"start is {start!r}, but x must live at a time from 0 (data) to below 1 (noise).")
        if start == 0 and isinstance(getattr(denoiser, "data", None), FiniteSet):
            raise ValueError("A finite set has no density at t = 0; give x its noise and the time of it as start.")
        if labels is not None and (not isinstance(labels, Tensor) or labels.shape[:1] != x.shape[:1]):
            given = tuple(labels.shape) if isinstance(labels, Tensor) else brief(labels)
            raise ValueError(
                f"labels must be {len(x)} whole numbers, or vectors, one for each sample, in a tensor, but got {given}."
            )
        self.x, self.labels, self.dim = x, labels, x[:1].numel() if len(x) else math.prod(x.shape[1:])
        self.schedule: Schedule = denoiser.schedule
        self.start = start
        self.first_angle, _ = _polar(self.schedule, FIRST_T, x.device)
        self.start_angle, self.start_radius = _polar(self.schedule, start, x.device)
        self.end_angle, self.end_radius = _polar(self.schedule, 1.0, x.device)

    def _too_rough(self, u: float) -> str:
        if u < 0.5:
            return (
                f"At t = {self.start:g} the density has no scale that a step could resolve: data on points or surfaces, or a"
                " network that predicts x0, whose error is divided by the noise; give x noise and the time of it as start,"
                " or predict v."
            )
        return (
            "Near t = 1 the flow changes faster than a step could resolve: the error of a network that predicts eps is"
            " divided by alpha there; clip it, predict v, or train it longer."
        )

    def solved(self, steps: Adaptive | Fixed, log_prior: Callable[[Tensor], Tensor] | None) -> Likelihood:
        z = in_float64(self.x).flatten(1) / self.start_radius
        count = 1 if self.probes is None else self.probes.shape[1]
        y = torch.cat([z, z.new_zeros(len(z), count)], dim=1)
        try:
            found = steps.solve(self._slope, y, torch.zeros_like(y) if self.start == 0 else None, self._scale)
        except StepTooSmall as stuck:
            raise ValueError(self._too_rough(stuck.u)) from None
        except NotSolved as reason:
            raise ValueError(f"The likelihood cannot be integrated: {reason}.") from None
        latent = (found.y[:, : self.dim] * self.end_radius).reshape(self.x.shape)
        if log_prior is None:
            std = self.schedule.prior_std
            log_p = -(latent / std).square().flatten(1).sum(1) / 2 - self.dim * math.log(std * math.sqrt(2 * math.pi))
        else:
            log_p = log_prior(latent)
            if not isinstance(log_p, Tensor) or log_p.shape != self.x.shape[:1]:
                given = tuple(log_p.shape) if isinstance(log_p, Tensor) else brief(log_p)
                raise ValueError(f"log_prior must give {len(self.x)} numbers, one for each sample, but gave {given}.")
            log_p = log_p.to(latent)
        stretched = found.y[:, self.dim :]
        log_p = log_p + stretched.mean(1) + self.dim * (self.end_radius / self.start_radius).log()
        if isinstance(self.divergence, Exact):
            standard_error = torch.zeros_like(log_p)
        else:
            standard_error = stretched.std(1, correction=1) / math.sqrt(count) if count > 1 else log_p * torch.nan
        error = found.error[:, self.dim :].mean(1)
        return Likelihood(log_p, error, standard_error, found.evaluations, latent)

    def _scale(self, error: Tensor) -> Tensor:
        """Of an error of y: root mean square of z, and nats per dimension; the larger."""
        moved = error[:, : self.dim].square().mean(1).sqrt()
        return moved.maximum(error[:, self.dim :].mean(1).abs() / self.dim)

    def _slope(self, y: Tensor, u: Tensor, rows: Tensor) -> Tensor:
        """dy/du at the angle of `u` for these rows of the batch."""
        low, high = _u_of(self.start_angle), _u_of(self.end_angle)
        place = low + (high - low) * u
        angle = _HALF_TURN * (_GRADING * place).sinh() / math.sinh(_GRADING)
        angle_rate = (high - low) * _HALF_TURN * _GRADING * (_GRADING * place).cosh() / math.sinh(_GRADING)
        z, asked = y[:, : self.dim], angle.clamp(min=self.first_angle, max=self.end_angle)
        cos, sin = asked.cos()[:, None], asked.sin()[:, None]
        radius, mean, trace = self._denoised(z, asked, rows)
        slope = torch.cat([(cos * z - mean) / sin, (self.dim * cos - radius * trace) / sin], dim=1)
        below = torch.where(angle < asked, angle.tan() / asked.tan(), 1.0)  # the score as at the first level
        return slope * (below * angle_rate)[:, None]

    def _denoised(self, z: Tensor, angle: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """sqrt(alpha^2 + sigma^2) (n, 1), E[x_0 | x_t] (n, D) and the trace of its Jacobian in x_t, (n, probes)."""
        t = self.schedule.t_of_log_snr(-2 * angle.tan().log()).clamp(min=FIRST_T)
        t = torch.where(angle >= self.end_angle, torch.ones_like(t), t)
        alpha, sigma = self.schedule.alpha_sigma(t)
        radius = (alpha.square() + sigma.square()).sqrt()[:, None]
        like = self.x
        x_t = (z * radius).reshape(-1, *like.shape[1:]).to(like.device, like.dtype).detach().requires_grad_()
        t = t.to(like.device, torch.float64 if has_float64(like.device) else torch.float32)
        labels = None if self.labels is None else self.labels.to(like.device)[rows.to(like.device)]
        probes = None if self.probes is None else self.probes[rows.to(like.device)]
        with torch.enable_grad():
            mean = self.denoiser(x_t, t, labels).mean
            if not mean.requires_grad:
                raise ValueError(
                    "The likelihood needs the gradient of the denoiser, but its mean does not depend on x_t."
                )
            trace = self.divergence.trace(mean, x_t, probes)
        return radius, mean.detach().flatten(1).to(z), trace.detach().to(z)


def _polar(schedule: Schedule, t: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """atan(sigma / alpha) and sqrt(alpha^2 + sigma^2) at `t`, float64, where the state of a batch on `device` is kept."""
    home = device if has_float64(device) else torch.device("cpu")
    alpha, sigma = (a.detach().to(home) for a in schedule.alpha_sigma(float(t)))
    return torch.atan2(sigma, alpha), torch.hypot(alpha, sigma)


def _u_of(angle: Tensor) -> Tensor:
    return torch.asinh(angle / _HALF_TURN * math.sinh(_GRADING)) / _GRADING
