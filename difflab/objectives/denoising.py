"""Denoising score matching (Vincent 2011; Ho et al. 2020, eq. 14): learn E[x_0 | x_t] from pairs (x_0, x_t).

    L = E_{t ~ times} w(t) |prediction - target|^2 / D

L_simple is w = 1 on the network's own prediction and uniform times. See `weightings` for others w and `times` for other laws.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Generator, Tensor

from ..denoisers import Denoiser
from ..denoisers.base import check_samples, noise_level
from ..denoisers.network import NetworkDenoiser
from ..schedules import Schedule
from .given import check_given, check_law, check_network, check_rows, check_schedule
from .noised import Counted, counts, draw_noise
from .score import ScoreModel, checked_score, half_square, score_of
from .times import Times
from .weightings import Weighting


@dataclass(frozen=True, slots=True)
class DenoisingLoss:
    """A batch's loss.

    Attributes:
        mean: over the batch, a scalar that carries gradients.
        per_sample: (n,), weighted as the weighting says, with gradients too.
        t: (n,), where each sample was noised.
        squared: (n,), the mean squared error of the network's own prediction, unweighted, without gradients.
        weight: (n,) what the law of times asks each row to be multiplied by in the mean; None is 1.
    """

    mean: Tensor
    per_sample: Tensor
    t: Tensor
    squared: Tensor
    weight: Tensor | None = None


def denoising_loss(
    denoiser: NetworkDenoiser,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    generator: Generator | None = None,
    t: Tensor | None = None,
    eps: Tensor | None = None,
    weighting: Weighting | None = None,
    times: Times | None = None,
) -> DenoisingLoss:
    """The weighted squared error of the network's own prediction, averaged over coordinates; L_simple by default.

    Args:
        x0: (n, *shape) on the denoiser's device; labels: (n,) int64 or None.
        t, eps: (n,) and as x0, if given; else drawn from `generator`, times first.
        weighting: of noise levels; None is `Uniform`.
        times: the law of t; None is stratified and uniform. Of a t that is given it is not asked.

    A function of its arguments alone. Raises TypeError or ValueError, in one sentence, for x0, t or eps of another kind or
    shape.
    """
    check_network(denoiser)
    check_law(weighting, times, generator)
    check_samples(x0, denoiser.shape)
    check_given(x0, t, eps)
    weight = None
    if t is None:
        t, weight = (Times() if times is None else times).draw(len(x0), generator, device=x0.device)
    if eps is None:
        eps = draw_noise(x0, generator)
    alpha, sigma = (a.reshape(-1, *[1] * (x0.ndim - 1)) for a in denoiser.schedule.alpha_sigma(t))
    answer = denoiser.predict_at(alpha * x0 + sigma * eps, alpha, sigma, labels)
    counted = counts(weighting, denoiser, t)
    return loss_of(answer - denoiser.target_at(x0, eps, alpha, sigma, t), t, counted, weight, weighting)


def loss_of(
    error: Tensor, t: Tensor, counted: Counted, weight: Tensor | None, weighting: Weighting | None
) -> DenoisingLoss:
    """The loss of a network's `error` (n, *shape) at times `t` (n,), `counted` as by `counts` for the same weighting."""
    squared = per_sample = error.square().flatten(1).mean(1)
    if weighting is not None and counted is not None:
        per_sample = weighting.loss(squared, *counted)
    mean = per_sample.mean() if weight is None else (weight * per_sample).mean()
    return DenoisingLoss(mean, per_sample, t, squared.detach(), weight)


def kernel_loss(
    model: ScoreModel | Denoiser,
    schedule: Schedule,
    x0: Tensor,
    t: float | Tensor,
    *,
    generator: Generator | None = None,
    eps: Tensor | None = None,
) -> Tensor:
    """1/2 |s(x_t) + eps / sigma|^2 of each row, (n,): denoising score matching in the form of `score` (Vincent 2011, eq. 9).

    Args:
        model: see `score.ScoreModel`; a denoiser will do.
        schedule: says what x_t is.
        x0: (n, *shape) data; t: one time above 0, or (n,).
        eps: as x0, drawn from `generator` unless given.

    Raises ValueError where there is no noise: the score of q(x_t | x_0) is infinite at sigma = 0. Else as `denoising_loss`.
    """
    check_schedule(schedule)
    check_law(None, None, generator)
    check_rows(x0)
    check_given(x0, None, eps)
    if eps is None:
        eps = draw_noise(x0, generator)
    alpha, sigma = noise_level(schedule, t, x0)
    if sigma.device.type == "cpu" and bool((sigma == 0).any()):
        raise ValueError("Denoising score matching needs noise: at t = 0 the score of x_t given x_0 is infinite.")
    return half_square(checked_score(score_of(model), alpha * x0 + sigma * eps, t) + eps / sigma)
