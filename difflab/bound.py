"""The terms of the ELBO: where the bits go, step by step (Ho et al. 2020, eq. 5).

    -log p(x_0) <= L_T + sum_{k=2..T} L_{k-1} + L_0
    L_T     = KL( q(x_T | x_0) || N(0, prior_std^2 I) )
    L_{k-1} = E KL( q(x_{k-1} | x_k, x_0) || p(x_{k-1} | x_k) ),   p = N(c_x x_k + c_0 E[x_0 | x_k], var_k I)
    L_0     = E -log p(x_0 | x_1)

with var_k of p either "large", beta_k, or "small", the variance of q(x_{k-1} | x_k, x_0) with that of k = 2 at k = 1, where it
would be 0 (as DDPM clips it). All in float64 nats.

The oracle's own terms are the least that any denoiser can have with these variances: they are what is `optimal`. Where the
oracle is at hand, |x_0 - m|^2 is replaced by its expectation given x_k (Rao-Blackwell),
sum Var[x_0 | x_k] + |E[x_0 | x_k] - m|^2: the same mean with less noise, and a gap (learned minus
optimal) that is never negative.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .chain import MarkovChain
from .data import DataSet
from .decoders import DiscretisedGaussian
from .denoisers import Denoiser, Posterior
from .device import has_float64, in_float64


def prior_term(chain: MarkovChain, data: DataSet) -> float:
    """L_T in nats per sample, exact: it needs of the data only E|x_0|^2. What the end of the chain still tells of x_0."""
    var, prior = float(chain.sigma[-1]) ** 2, chain.schedule.prior_std**2
    signal = float(chain.alpha_bar[-1]) * data.second_moment
    return data.dim / 2 * ((var + signal) / prior - 1 - math.log(var / prior))


def noised(chain: MarkovChain, x0: Tensor, k: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """(x_k, t_k): alpha_k x_0 + sigma_k eps, shaped as x0 (n, *shape), and the denoiser's time (n,), for k (n,) in 1..T."""
    t = _at(chain.times, k, x0)
    return chain.at(chain.alpha, k, x0) * x0 + chain.at(chain.sigma, k, x0) * eps, t


def term(
    denoiser: Denoiser,
    chain: MarkovChain,
    x0: Tensor,
    k: Tensor,
    eps: Tensor,
    *,
    decoder: DiscretisedGaussian | None = None,
    variance: str = "large",
    labels: Tensor | None = None,
    oracle: Denoiser | None = None,
) -> Tensor:
    """L_{k-1} of each row, (n,) float64 nats: L_0 where k = 1.

    Args:
        x0: (n, *shape); k: (n,) int64 in 1..T, mixed as one likes; eps: the noise, shaped as x0.
        decoder: for data of a few values (see `decoders.decoder_of`); None is the Gaussian density.
        labels: (n,) passed to the denoiser.
        oracle: the exact denoiser of the very data that x0 was drawn from, to take the expectation over x_0 given x_k.
            It may be `denoiser` itself.

    Raises ValueError for an unknown variance or a denoiser of another schedule.
    """
    check(chain, denoiser, variance)
    x_k, t = noised(chain, x0, k, eps)
    predicted = denoiser(x_k, t) if labels is None else denoiser(x_k, t, labels)
    truth = None
    if oracle is not None:
        truth = predicted if oracle is denoiser else oracle(x_k, t, labels)
    return term_of(chain, x0, k, predicted.mean, decoder=decoder, variance=variance, truth=truth)


def term_of(
    chain: MarkovChain,
    x0: Tensor,
    k: Tensor,
    mean: Tensor,
    *,
    decoder: DiscretisedGaussian | None = None,
    variance: str = "large",
    truth: Posterior | None = None,
) -> Tensor:
    """As `term`, from a prediction `mean` of x_0 made at x_k; `truth` is the exact posterior at the same x_k."""
    x0, mean, dim = in_float64(x0), in_float64(mean), x0[0].numel()
    error = (x0 - mean).square().flatten(1).sum(1)
    if truth is not None:
        if truth.var is None:
            raise ValueError("The oracle must know the posterior variance; this denoiser does not.")
        bias = (in_float64(truth.mean) - mean).square().flatten(1).sum(1)
        error = in_float64(truth.var).flatten(1).sum(1) + bias
    constant, weight = (_at(table, k, x0) for table in quadratic(chain, variance, dim))
    nats = constant + weight * error
    if decoder is None:
        return nats
    log_var = _at(model_log_vars(chain, variance), k, x0).reshape(-1, *[1] * (x0.ndim - 1))
    return torch.where(k.to(nats.device) == 1, decoder.nll(x0, mean, log_var).flatten(1).sum(1), nats)


def quadratic(chain: MarkovChain, variance: str, dim: int) -> tuple[Tensor, Tensor]:
    """Tables (constant_k, weight_k), (T + 1,) float64, index 0 unused: L_{k-1} = E[constant_k + weight_k |x_0 - m|^2] nats.

    weight_k = c_0^2 / (2 var_k); at k = 1 the constant is that of the Gaussian density.
    """
    log_var = model_log_vars(chain, variance)
    log_ratio = chain.posterior_log_var - log_var  # -inf at k = 1
    constant = dim / 2 * (log_ratio.exp() - 1 - log_ratio)
    constant[1] = dim / 2 * (math.log(2 * math.pi) + log_var[1])
    return constant, chain.posterior_x0.square() / (2 * log_var.exp())


def model_log_vars(chain: MarkovChain, variance: str) -> Tensor:
    """log var_k of p(x_{k-1} | x_k), (T + 1,) float64, index 0 unused. ValueError for "small" at T = 1, which has none."""
    if variance == "large":
        return chain.beta.log()
    if variance != "small":
        raise ValueError(f"The variance must be 'large' or 'small', but got {variance!r}.")
    if chain.steps < 2:
        raise ValueError("A chain of one step has no small variance: the posterior of x_0 given x_0 has none.")
    table = chain.posterior_log_var.clone()
    table[1] = table[2]
    return table


def check(chain: MarkovChain, denoiser: Denoiser, variance: str) -> None:
    """Raises ValueError, in one sentence, if these three cannot be combined."""
    if getattr(denoiser, "schedule", chain.schedule) != chain.schedule:
        raise ValueError(f"The denoiser was made for {denoiser.schedule}, but the chain follows {chain.schedule}.")
    model_log_vars(chain, variance)


def _at(table: Tensor, k: Tensor, x: Tensor) -> Tensor:
    """Entries k of a float64 table, (n,), on the device of x (on the CPU where that has no float64)."""
    device = x.device if has_float64(x.device) else "cpu"
    return table.to(device).gather(0, k.to(device))
