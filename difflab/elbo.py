"""Estimates of the ELBO's terms: every step, or bins of steps under a cost that is known beforehand.

A term is constant_k + weight_k E|x_0 - m|^2. The constants of a bin are summed as they are; for the rest, steps are drawn
about in proportion to their share (terms grow like 1/k towards the data, so drawing them evenly would leave most of the
noise to the first few), in strata of equal probability, two draws in each: the mean is unbiased, and the differences of
the pairs give the standard error. One row of a denoiser is spent on each draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import torch
from torch import Generator, Tensor

from .bound import check, noised, prior_term, quadratic, term, term_of
from .chain import MarkovChain
from .data import DataSet
from .decoders import decoder_of
from .denoisers import Denoiser, ExactDenoiser
from .denoisers.base import Checked

__all__ = ["Options", "Terms", "gap", "optimal", "prior_term", "stratified", "term", "terms"]


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of an ELBO, or of the difference of two, with standard errors; float64.

    Attributes:
        edges: (B + 1,) times between the bins, from t_1 to t_T.
        L: (B,) sum over each bin of the terms L_{k-1}, k = 2..T; with one bin for each step, L[k - 2] = L_{k-1}.
        L_error: (B,).
        L_0, L_0_error, L_T: the first and the last term; L_T is exact.
        dim: coordinates of a sample; discrete: whether its likelihood is of discrete data, and so has bits.
        unit: "nats" (per sample), "nats/dim" or "bits/dim".
        rows: how many rows each denoiser was asked for.
    """

    edges: Tensor
    L: Tensor
    L_error: Tensor
    L_0: float
    L_0_error: float
    L_T: float
    dim: int
    discrete: bool
    unit: str = "nats"
    rows: int = 0

    @property
    def total(self) -> float:
        """The bound on -log p(x_0): L_T + sum of L + L_0."""
        return self.L_T + float(self.L.sum()) + self.L_0

    @property
    def total_error(self) -> float:
        return math.hypot(float(self.L_error.square().sum().sqrt()), self.L_0_error)

    def per_dim(self) -> Terms:
        """The same in bits/dim for discrete data, in nats/dim for continuous data."""
        if self.unit != "nats":
            return self
        scale = 1 / (self.dim * (math.log(2) if self.discrete else 1))
        return replace(
            self,
            L=self.L * scale,
            L_error=self.L_error * scale,
            L_0=self.L_0 * scale,
            L_0_error=self.L_0_error * scale,
            L_T=self.L_T * scale,
            unit="bits/dim" if self.discrete else "nats/dim",
        )

    def __add__(self, other: Terms) -> Terms:
        """Term by term, errors as of independent estimates: optimal + gap = learned. ValueError unless bins and unit agree."""
        if not torch.equal(self.edges, other.edges) or self.unit != other.unit:
            raise ValueError("Only terms of the same bins and unit can be added.")
        return replace(
            self,
            L=self.L + other.L,
            L_error=torch.hypot(self.L_error, other.L_error),
            L_0=self.L_0 + other.L_0,
            L_0_error=math.hypot(self.L_0_error, other.L_0_error),
            L_T=self.L_T + other.L_T,
            rows=self.rows + other.rows,
        )


class Options(TypedDict, total=False):
    """What all estimates take, by keyword.

    generator: a CPU generator; the same seed gives the same draws, whatever the denoiser.
    variance: "large" (by default) or "small".
    likelihood: "discretised" or "density", to insist; by default what the data calls for.
    conditional: pass each sample's label to the denoiser.
    device: where the denoiser is; the CPU by default.
    max_batch: rows at a time, 4096 by default.
    """

    generator: Generator | None
    variance: str
    likelihood: str | None
    conditional: bool
    device: str | torch.device
    max_batch: int


def terms(
    denoiser: Denoiser,
    chain: MarkovChain,
    data: DataSet,
    *,
    samples_per_step: int = 32,
    oracle: ExactDenoiser | None = None,
    **options: Unpack[Options],
) -> Terms:
    """Every term by itself: T * samples_per_step rows. As `stratified`."""
    bins = max(1, chain.steps - 1)
    return stratified(denoiser, chain, data, bins=bins, per_bin=samples_per_step, oracle=oracle, **options)


def optimal(chain: MarkovChain, data: DataSet, *, samples_per_step: int = 32, **options: Unpack[Options]) -> Terms:
    """The terms of the oracle of `data`: the least any denoiser can have. As `terms`."""
    return terms(ExactDenoiser(data, chain.schedule), chain, data, samples_per_step=samples_per_step, **options)


def stratified(
    denoiser: Denoiser,
    chain: MarkovChain,
    data: DataSet,
    *,
    bins: int = 24,
    per_bin: int = 8,
    oracle: ExactDenoiser | None = None,
    **options: Unpack[Options],
) -> Terms:
    """The terms in `bins` groups of neighbouring steps, in nats, for (bins + 1) * per_bin rows of the denoiser.

    Args:
        denoiser: an `ExactDenoiser` of this very `data` is its own oracle.
        bins: at most one for each of the T - 1 steps.
        per_bin: draws (x_0, k, eps) for each bin and for L_0; even.
        oracle: the exact denoiser of `data`, to reduce the noise (see `bound`).
        options: see `Options`.

    Raises ValueError if bins, per_bin, the schedules, the likelihood or the oracle's data do not fit.
    """
    if oracle is None and isinstance(denoiser, ExactDenoiser) and denoiser.data is data:
        oracle = denoiser
    _check_oracle(oracle, data)
    design = _Design(chain, data, bins, per_bin, **options)
    variance, decoder = design.variance, design.decoder
    check(chain, denoiser, variance)
    asked = Checked(denoiser)

    def values(x0: Tensor, k: Tensor, eps: Tensor, *labels: Tensor) -> Tensor:
        x_k, t = noised(chain, x0, k, eps)
        predicted = asked(x_k, t, *labels)
        truth = predicted if oracle is denoiser else None if oracle is None else oracle(x_k, t, *labels)
        return term_of(chain, x0, k, predicted.mean, decoder=decoder, variance=variance, truth=truth)

    return design.estimate(values, quadratic(chain, variance, data.dim)[0], prior_term(chain, data))


def gap(
    denoiser: Denoiser,
    oracle: ExactDenoiser,
    chain: MarkovChain,
    data: DataSet,
    *,
    bins: int = 24,
    per_bin: int = 8,
    **options: Unpack[Options],
) -> Terms:
    """Learned minus optimal, both at the same x_0, k and eps, so that what is left has little noise. As `stratified`.

    Every bin is c_0^2 / (2 var_k) |E[x_0 | x_k] - m|^2 and never negative; L_0 of discrete data is a plain difference. Its
    L_T is 0. `stratified(oracle, ...)` with many rows, once, plus this with few rows, often, is the learned ELBO live.
    """
    _check_oracle(oracle, data)
    design = _Design(chain, data, bins, per_bin, **options)
    variance, decoder = design.variance, design.decoder
    check(chain, denoiser, variance)
    asked = Checked(denoiser)

    def values(x0: Tensor, k: Tensor, eps: Tensor, *labels: Tensor) -> Tensor:
        x_k, t = noised(chain, x0, k, eps)
        truth = oracle(x_k, t, *labels)
        learned, least = (
            term_of(chain, x0, k, mean, decoder=decoder, variance=variance, truth=truth)
            for mean in (asked(x_k, t, *labels).mean, truth.mean)
        )
        return learned - least

    nothing = torch.zeros(chain.steps + 1, dtype=torch.float64)  # the constants are the same on both sides
    return design.estimate(values, nothing, 0.0)


class _Design:
    """The draws (x_0, k, eps): for L_0 (k = 1) and for each bin of k = 2..T, `per_bin` of them."""

    def __init__(
        self,
        chain: MarkovChain,
        data: DataSet,
        bins: int,
        per_bin: int,
        *,
        generator: Generator | None = None,
        variance: str = "large",
        likelihood: str | None = None,
        conditional: bool = False,
        device: str | torch.device = "cpu",
        max_batch: int = 4096,
    ) -> None:
        self.variance, self.decoder = variance, decoder_of(data, likelihood)
        self.device, self.max_batch = device, max_batch
        if bins < 1 or per_bin < 2 or per_bin % 2:
            raise ValueError(f"Give 1 bin or more and an even number of draws for each, not {bins} and {per_bin}.")
        if conditional and data.classes is None:
            raise ValueError(f"{data.name} has no classes to condition on.")
        inner = torch.linspace(1, chain.steps, min(bins, chain.steps - 1) + 1).round().long()
        self.ends = torch.cat([inner.new_zeros(1), inner])  # bin j holds the k in (ends[j], ends[j + 1]]
        self.edges, self.half, self.data = chain.times[inner], per_bin // 2, data
        chance = _chances(chain, data, variance, self.ends)

        u = torch.rand(len(inner), self.half, 2, generator=generator, dtype=torch.float64)
        place = (torch.arange(self.half)[:, None] + u) / self.half + torch.arange(len(inner))[:, None, None]
        k = 1 + torch.searchsorted(chance.cumsum(0), place, right=True)  # chance of k = 1..T
        # rounding of the sum must not carry a draw over the end of its bin
        self.k = k.maximum(self.ends[:-1, None, None] + 1).minimum(self.ends[1:, None, None]).flatten()
        self.chance = chance[self.k - 1]
        x0, labels = data.sample_labelled(len(self.k), generator)
        eps = torch.randn(x0.shape, generator=generator)
        self.draws = [x0, self.k, eps] + ([labels] if conditional and labels is not None else [])

    def estimate(self, values: Callable[..., Tensor], constant: Tensor, L_T: float) -> Terms:
        with torch.no_grad():
            batches = zip(*(d.split(self.max_batch) for d in self.draws), strict=True)
            parts = [values(*(d.to(self.device) for d in batch)).cpu() for batch in batches]
        if any(part.device.type != "meta" and not bool(part.isfinite().all()) for part in parts):
            raise FloatingPointError("The denoiser returned nan or inf, so its bound is not a number.")
        pairs = ((torch.cat(parts) - constant[self.k]) / self.chance).reshape(-1, self.half, 2)
        known = torch.stack([part.sum() for part in constant[1:].split(self.ends.diff().tolist())])
        mean = known + pairs.mean((1, 2))
        error = (pairs[..., 0] - pairs[..., 1]).square().sum(1).sqrt() / 2 / self.half
        return Terms(
            edges=self.edges,
            L=mean[1:],
            L_error=error[1:],
            L_0=float(mean[0]),
            L_0_error=float(error[0]),
            L_T=L_T,
            dim=self.data.dim,
            discrete=self.data.levels is not None,
            rows=len(self.k),
        )


def _chances(chain: MarkovChain, data: DataSet, variance: str, ends: Tensor) -> Tensor:
    """The probability of each k = 1..T within its bin, (T,): a mixture, so that no term is much larger than its chance.

    Its parts: terms as a Gaussian of the data's variance has them; terms of a constant error in eps, which towards t = 1
    become an error sigma / alpha as large in x_0 (an untrained eps network loses most of its bits in the last step
    alone); and an even part.
    """
    weight, snr = quadratic(chain, variance, 1)[1], chain.alpha.square() / chain.sigma.square()
    var = data.sigma_data**2
    parts = []
    sizes = ends.diff().tolist()
    for known, eps in zip(
        (weight * var / (1 + snr * var))[1:].split(sizes), (weight / snr)[1:].split(sizes), strict=True
    ):
        parts.append(0.45 * known / known.sum() + 0.45 * eps / eps.sum() + 0.1 / len(known))
    return torch.cat(parts)


def _check_oracle(oracle: ExactDenoiser | None, data: DataSet) -> None:
    if oracle is not None and oracle.data is not data:
        raise ValueError(
            f"The oracle must know exactly the data of the terms, {data.name}; it knows {oracle.data.name}."
        )
