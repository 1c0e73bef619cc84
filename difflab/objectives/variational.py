"""The variational bound as a loss: nats to be minimised, one noise level for each row of a batch.

In T steps (Ho et al. 2020, eq. 5) the sum over k is T times the mean over a random k. In continuous time (Kingma et al. 2021,
VDM, eq. 17-18), with SNR = alpha^2 / sigma^2 and t uniform over the schedule's range,

    -log p(x_0) <= KL(q(x_1 | x_0) || prior) + E -log p(x_0 | x_first) - 1/2 E_t [ dSNR/dt |x_0 - m(x_t, t)|^2 ].

The last term, the diffusion loss, is the same for all schedules with the same two ends. So a schedule that is learned has two
kinds of parameters (ibid., section 5.3, appendix I.2): its ends follow the gradient of the bound; its shape, which the bound does
not feel, that of E[diffusion loss^2], which is the variance of the estimate but for a constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ..bound import check, noised, term_of
from ..chain import MarkovChain
from ..checks import is_number
from ..decoders import DiscretisedGaussian, check_decoder
from ..denoisers import Denoiser, NetworkDenoiser, Posterior
from ..denoisers.base import noise_level
from ..device import in_float64
from ..schedules import FIRST_T, Learned
from .given import check_denoiser, check_given, check_law, check_rows
from .noised import draw_noise
from .times import T_MIN, draw_times
from .weightings import conversion


def chain_loss(
    denoiser: Denoiser,
    chain: MarkovChain,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    generator: Generator | None = None,
    k: Tensor | None = None,
    eps: Tensor | None = None,
    variance: str | Tensor = "large",
    decoder: DiscretisedGaussian | None = None,
) -> Tensor:
    """T L_{k-1} of each row, (n,) float64 nats with gradients: its mean is the bound but for L_T (`bound.prior_term`).

    Args:
        x0: (n, *shape) data; labels: (n,) int64 or None.
        k: (n,) int64 in 1..T, stratified over the chain unless given; eps: as x0. Both are drawn from `generator`, k first.
        variance, decoder: as of `bound.term`.

    A network's mean is not clipped: where it is, its loss would have no gradient. Errors as `bound.term`.
    """
    check_denoiser(denoiser)
    check_rows(x0)
    check(chain, denoiser, variance)
    if k is None:
        k = draw_steps(chain, len(x0), generator, device=x0.device)
    if eps is None:
        eps = draw_noise(x0, generator)
    x_k, t = noised(chain, x0, k, eps)
    predicted = unclipped(denoiser, x_k, t, labels)
    return chain.steps * term_of(chain, x0, k, predicted, decoder=decoder, variance=variance)


def draw_steps(
    chain: MarkovChain, n: int, generator: Generator | None = None, *, device: torch.device | str = "cpu"
) -> Tensor:
    """`n` steps k, (n,) int64, each uniform in 1..T: one in each of n shares of the chain, in order."""
    u = draw_times(n, generator, t_min=0.0, device=device)  # in (0, 1]
    return (u * chain.steps).ceil().long().clamp(1, chain.steps)


def unclipped(denoiser: Denoiser, x_t: Tensor, t: Tensor, labels: Tensor | None) -> Posterior:
    """What `denoiser` says of x_0 at x_t (n, *shape), t (n,): of a network without its clip."""
    if not isinstance(denoiser, NetworkDenoiser):
        return denoiser(x_t, t) if labels is None else denoiser(x_t, t, labels)
    alpha, sigma = noise_level(denoiser.schedule, t, x_t)
    value, fraction = denoiser.outputs_at(x_t, alpha, sigma, labels)
    return Posterior(denoiser.x0_at(value, x_t, alpha, sigma, t), fraction=fraction)


@dataclass(frozen=True, slots=True)
class VariationalLoss:
    """The bound on -log p(x_0) of each row in nats, with gradients.

    Attributes:
        prior, reconstruction, diffusion: its three parts, (n,) float64; the last has one draw of t for each row.
        t: (n,), of that draw.
    """

    prior: Tensor
    reconstruction: Tensor
    diffusion: Tensor
    t: Tensor

    @property
    def per_sample(self) -> Tensor:
        return self.prior + self.reconstruction + self.diffusion

    @property
    def mean(self) -> Tensor:
        """Over the batch, a scalar."""
        return self.per_sample.mean()

    def backward(self, parameters: Iterable[nn.Parameter], schedule: Learned | None = None) -> None:
        """Add to `.grad` of the network's `parameters` the bound's gradient, and to the schedule's what makes it better:
        to its ends the bound's, to its shape that of the mean square of the diffusion loss."""
        follow_bound = list(parameters)
        if schedule is None:
            return _accumulate(self.mean, follow_bound)
        # a schedule that is a module may be among its denoiser's parameters
        own = {id(p) for p in schedule.parameters()}
        follow_bound = [p for p in follow_bound if id(p) not in own] + list(schedule.end_parameters())
        _accumulate(self.mean, follow_bound, keep=True)
        return _accumulate(self.diffusion.square().mean(), list(schedule.shape_parameters()))


def variational_loss(
    denoiser: Denoiser,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    generator: Generator | None = None,
    t: Tensor | None = None,
    eps: Tensor | None = None,
    t_first: float | None = None,
    decoder: DiscretisedGaussian | None = None,
) -> VariationalLoss:
    """The bound in continuous time, between the level at `t_first` and t = 1.

    Args:
        x0: (n, *shape) data; labels: (n,) int64 or None.
        t: (n,) in (t_first, 1], stratified unless given; eps: as x0, of x_t and, its coordinates reversed, of the first
            level. Both are drawn from `generator`, t first.
        t_first: the first noise level's time. By default that of a schedule which has one, such as `Learned`; of one that
            goes down to the data itself T_MIN.
        decoder: for data of a few values (see `decoders.decoder_of`); None is the Gaussian density.

    Calls the denoiser twice for each row. Raises ValueError for a t_first outside (0, 1).
    """
    check_denoiser(denoiser)
    check_law(None, None, generator)
    check_rows(x0)
    check_decoder(decoder)
    check_given(x0, t, eps)
    schedule, n = denoiser.schedule, len(x0)
    if t_first is None:
        t_first = T_MIN if schedule.reaches_data else FIRST_T
    if not is_number(t_first) or not 0 < t_first < 1:
        raise ValueError(f"t_first, the time of the first noise level, must lie between 0 and 1, but got {t_first!r}.")
    if t is None:
        t = draw_times(n, generator, t_min=t_first, device=x0.device)
    if eps is None:
        eps = draw_noise(x0, generator)
    first = torch.full_like(t, t_first)
    other_eps = eps.flatten(1).flip(1).reshape(eps.shape)  # of the row's own noise, so that no row depends on another
    return VariationalLoss(
        prior=_prior(denoiser, x0),
        reconstruction=_reconstruction(denoiser, x0, labels, first, other_eps, decoder),
        diffusion=(1 - t_first) * _nats_per_time(denoiser, x0, labels, t, eps),
        t=t,
    )


def _nats_per_time(denoiser: Denoiser, x0: Tensor, labels: Tensor | None, t: Tensor, eps: Tensor) -> Tensor:
    """-1/2 dSNR/dt |x_0 - m|^2 of each row, (n,) float64: of a network from its own prediction, not divided by alpha."""
    schedule = denoiser.schedule
    alpha, sigma = noise_level(schedule, t, x0)
    x_t = alpha * x0 + sigma * eps
    if isinstance(denoiser, NetworkDenoiser):
        said = denoiser.predict_at(x_t, alpha, sigma, labels)
        error = said - denoiser.target_at(x0, eps, alpha, sigma, t)
        gain = denoiser.gain_at(alpha.flatten(), sigma.flatten(), t)
        snr = in_float64(conversion("eps", gain, alpha.flatten(), sigma.flatten(), denoiser.sigma_data))
    else:
        error = x0 - unclipped(denoiser, x_t, t, labels).mean
        snr = in_float64(schedule.log_snr(t)).exp()
    rate = -in_float64(schedule.log_snr_rate(t)) / 2 * snr
    # where alpha is 0 the rate of log-SNR is infinite, but not that of the SNR
    return rate.masked_fill(snr == 0, 0.0) * in_float64(error).square().flatten(1).sum(1)


def _prior(denoiser: Denoiser, x0: Tensor) -> Tensor:
    """KL(q(x_1 | x_0) || N(0, prior_std^2 I)) of each row."""
    one = torch.ones((), dtype=torch.float64)
    alpha, sigma = denoiser.schedule.alpha_sigma(one)
    x, var = in_float64(x0), denoiser.schedule.prior_std**2
    alpha, sigma = alpha.to(x.device), sigma.to(x.device)
    excess = sigma.square() / var - 1
    return ((alpha * x).square() / var + excess - torch.log1p(excess)).flatten(1).sum(1) / 2


def _reconstruction(
    denoiser: Denoiser,
    x0: Tensor,
    labels: Tensor | None,
    first: Tensor,
    eps: Tensor,
    decoder: DiscretisedGaussian | None,
) -> Tensor:
    """-log p(x_0 | x_first) of each row: a Gaussian of variance sigma^2 / alpha^2 about the mean, or its bins."""
    alpha, sigma = noise_level(denoiser.schedule, first, x0)
    x, mean = in_float64(x0), in_float64(unclipped(denoiser, alpha * x0 + sigma * eps, first, labels).mean)
    log_var = -in_float64(denoiser.schedule.log_snr(first)).reshape(-1, *[1] * (x0.ndim - 1)).to(x.device)
    if decoder is not None:
        return decoder.nll(x, mean, log_var).flatten(1).sum(1)
    return (math.log(2 * math.pi) + log_var + (x - mean).square() * (-log_var).exp()).flatten(1).sum(1) / 2


def _accumulate(loss: Tensor, parameters: list[nn.Parameter], keep: bool = False) -> None:
    used = [p for p in parameters if p.requires_grad]
    grads = torch.autograd.grad(loss, used, retain_graph=keep, allow_unused=True)
    for p, g in zip(used, grads, strict=True):
        if g is not None:
            p.grad = g if p.grad is None else p.grad + g
