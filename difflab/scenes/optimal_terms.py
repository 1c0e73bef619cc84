"""The exact denoiser's terms of a chain, read from the mmse curve of the data: the twin of js/src/scenes/optimal_terms.ts.

    L_{k-1} = D/2 (r - 1 - log r) + c_0^2 / (2 var_k) mmse(log_snr_k),      r = beta-tilde_k / var_k

and L_0 of a density is D/2 log(2 pi var_1) + mmse(log_snr_1) / (2 var_1). As `elbo.interpolated`, but for a curve that is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..data import DataSet
from .mmse_curve import Curve, facts_of

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ..chain import MarkovChain
    from ..denoisers import ExactDenoiser
    from ..mmse import Profile
    from ..terms import Terms

#: of the reverse steps, as the select offers them
VARIANCES = [
    {"name": "large", "label": "large"},
    {"name": "small", "label": "small"},
    {"name": "ddpm_large", "label": "large, DDPM's first"},
    {"name": "ddpm_small", "label": "small, DDPM's first"},
    {"name": "optimal", "label": "optimal"},
]
FIRST_ROWS = 512  # for L_0 of discrete data, which is no mean square


@dataclass(frozen=True)
class Optimal:
    """The exact terms, their sum at the best variance, and the question they answer: data, given the class?, variance, bins."""

    terms: Terms
    least: float
    oracle: ExactDenoiser
    chain: MarkovChain
    variance: str | Tensor
    question: tuple[DataSet, bool, str, int]

    def first(self) -> dict[str, float | None]:
        """L_0 as the browser has it, before a network was measured."""
        return {"optimal": self.terms.L_0, "optimal_error": self.terms.L_0_error, "learned": None}

    def same_question(self, other: Optimal) -> bool:
        same_chain = self.chain.schedule == other.chain.schedule and self.chain.steps == other.chain.steps
        return same_chain and self.question == other.question


def variance_table(curve: Curve, chain: MarkovChain, variance: str, data: DataSet) -> str | Tensor:
    """What the bound takes for `variance`: its name, or the table of the exact denoiser's best one."""
    if variance != "optimal":
        return variance
    import torch

    from ..variances import optimal

    v = _weights(curve, chain, data)[0] / data.dim
    half_range = facts_of(data)["half_range"]
    return optimal(
        chain,
        torch.cat([v.new_full((1,), torch.nan), v]),
        half_range=None if half_range is None else float(half_range),
    )


def chain_terms(
    curve: Curve,
    chain: MarkovChain,
    variance: str | Tensor,
    data: DataSet,
    bins: int,
    first: tuple[float, float] | None,
) -> Terms:
    """The exact denoiser's terms in nats, in the bins of `elbo.stratified`; `first` is (L_0, its error) of discrete data."""
    import torch

    from ..bound import prior_term, quadratic
    from ..terms import Terms

    constant, weight = (table[1:] for table in quadratic(chain, variance, data.dim))
    values, weights = _weights(curve, chain, data)
    inner = torch.linspace(1, chain.steps, min(bins, chain.steps - 1) + 1).round().long()  # as elbo's draws have it
    L, of_levels = constant + weight * values, weight[:, None] * weights
    error = torch.from_numpy(curve.error)
    lengths = inner.diff().tolist()
    by_bin = torch.stack([part.sum(0) for part in of_levels[1:].split(lengths)]) if lengths else of_levels[1:]
    own = (float(L[0]), float((of_levels[0] * error).square().sum().sqrt()))
    everything = of_levels[1:].sum(0) + (of_levels[0] if first is None else 0.0)
    L_0, L_0_error = own if first is None else first
    # the errors of neighbouring terms, and of L_0 with them, come from the same levels
    between = float((everything * error).square().sum().sqrt())
    return Terms(
        edges=chain.times[inner],
        L=torch.stack([part.sum() for part in L[1:].split(lengths)]) if lengths else L[1:],
        L_error=(by_bin.square() @ error.square()).sqrt(),
        L_0=L_0,
        L_0_error=L_0_error,
        L_T=prior_term(chain, data),
        dim=data.dim,
        discrete=data.levels is not None,
        between=between if first is not None else max(0.0, between**2 - L_0_error**2) ** 0.5,
    )


def _weights(curve: Curve, chain: MarkovChain, data: DataSet) -> tuple[Tensor, Tensor]:
    """mse at the chain's levels k = 1..T, and the weights (T, L) by which it is read from the curve's."""
    import torch

    profile = profile_of(curve, data)
    wanted = chain.log_snr[1:]
    place = wanted.clamp(float(curve.log_snr[0]), float(curve.log_snr[-1]))
    beyond = (1 + profile.variance * place.exp()) / (1 + profile.variance * wanted.exp())
    weights = profile.weights_at(place) * beyond[:, None]
    return weights @ profile.mse.to(torch.float64), weights


def profile_of(curve: Curve, data: DataSet) -> Profile:
    import torch

    from ..mmse import Profile

    at, mse, error = (torch.from_numpy(np.asarray(a, np.float64)) for a in (curve.log_snr, curve.mse, curve.error))
    return Profile(at, mse, error, data.dim, float(data.sigma_data) ** 2, data.levels is not None)


def first_term(
    oracle: ExactDenoiser, chain: MarkovChain, variance: str | Tensor, conditional: bool, generator: Generator
) -> tuple[float, float]:
    """L_0 of discrete data in nats and its standard error: its likelihood is that of bins, no mean square."""
    import torch

    from ..bound import term
    from ..decoders import decoder_of

    data = oracle.data
    x0, labels = data.sample_labelled(FIRST_ROWS, generator)
    eps = torch.randn(x0.shape, generator=generator)
    k = torch.ones(FIRST_ROWS, dtype=torch.int64)
    given = labels if conditional else None
    with torch.no_grad():
        nats = term(oracle, chain, x0, k, eps, oracle=oracle, labels=given, variance=variance, decoder=decoder_of(data))
    return float(nats.mean()), float(nats.std()) / FIRST_ROWS**0.5
