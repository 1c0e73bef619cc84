"""The hybrid objective: L_simple teaches the mean, the bound teaches the variance (Nichol & Dhariwal 2021, eq. 16).

    L_hybrid = L_simple + lambda L_vlb,    L_vlb = sum over the T steps = T E_k L_{k-1}

with lambda = 0.001, so that a random step's term counts lambda T (the factor T/1000 of published code). In L_vlb the mean
gets no gradient: it is left to L_simple, whose samples look better. Terms are in bits per dimension, the unit that lambda
was chosen in.
"""

from __future__ import annotations

import math

from torch import Generator, Tensor

from ..bound import check, noised, term_of
from ..chain import MarkovChain
from ..checks import is_number
from ..decoders import DiscretisedGaussian
from ..denoisers import NetworkDenoiser, Posterior
from .denoising import DenoisingLoss
from .given import check_rows
from .noised import draw_noise
from .variational import draw_steps


def hybrid_loss(
    denoiser: NetworkDenoiser,
    chain: MarkovChain,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    generator: Generator | None = None,
    k: Tensor | None = None,
    eps: Tensor | None = None,
    vlb_weight: float = 0.001,
    decoder: DiscretisedGaussian | None = None,
) -> DenoisingLoss:
    """L_simple + vlb_weight T L_{k-1} of each row, at one and the same x_k.

    Args:
        denoiser: with `learned_range`, made for the chain's schedule.
        x0: (n, *shape) data; labels: (n,) int64 or None.
        k: (n,) int64 in 1..T, stratified unless given; eps: as x0. Both are drawn from `generator`, k first.
        vlb_weight: lambda.
        decoder: for data of a few values (see `decoders.decoder_of`); None is the Gaussian density.

    Raises ValueError for a denoiser without a learned range or of another schedule, or a weight below 0.
    """
    check_rows(x0)
    if not getattr(denoiser, "learned_range", False):
        raise ValueError("The hybrid objective teaches a variance: give a denoiser with learned_range=True.")
    if not is_number(vlb_weight) or vlb_weight < 0:
        raise ValueError(f"vlb_weight must be a number of 0 or more, but got {vlb_weight!r}.")
    check(chain, denoiser, "learned")
    if k is None:
        k = draw_steps(chain, len(x0), generator, device=x0.device)
    if eps is None:
        eps = draw_noise(x0, generator)
    x_k, t = noised(chain, x0, k, eps)
    alpha, sigma = (chain.at(table, k, x0) for table in (chain.alpha, chain.sigma))
    value, fraction = denoiser.outputs_at(x_k, alpha, sigma, labels)
    squared = (value - denoiser.target_at(x0, eps, alpha, sigma, t)).square().flatten(1).mean(1)
    mean = denoiser.x0_at(value.detach(), x_k, alpha, sigma, t)
    nats = term_of(chain, x0, k, Posterior(mean, fraction=fraction), decoder=decoder, variance="learned")
    bits = nats / (x0[0].numel() * math.log(2))
    per_sample = squared + (vlb_weight * chain.steps * bits).to(squared.device, squared.dtype)
    return DenoisingLoss(per_sample.mean(), per_sample, t, squared.detach())
