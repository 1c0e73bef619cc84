"""The likelihood of data that takes a few values only: the last step of the ELBO in bits.

A density has no meaning for grey levels (it could be made as large as one likes). So the Gaussian p(x_0 | x_1) is integrated over
the bin around each level, with open bins at both ends (Ho et al. 2020, eq. 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .data import DataSet


@dataclass(frozen=True)
class DiscretisedGaussian:
    """A Gaussian seen through `levels` bins, equally spaced over [low, high].

    Exact: with the normal CDF itself, where the published DDPM code has a tanh approximation of it (off by about
    1e-4 bits/dim).
    """

    low: float
    high: float
    levels: int

    def __post_init__(self) -> None:
        if self.levels < 2 or not self.low < self.high:
            raise ValueError(f"Bins need 2 levels or more and low < high, but got {self}.")

    def nll(self, x0: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
        """-log P(x_0 | mean, log_var) of each coordinate in nats, shaped as the three broadcast; x_0 lies on the levels.

        Computed from log Phi, mirrored into the lower tail, so that it is right where both CDFs round to 1.
        """
        width = (self.high - self.low) / (self.levels - 1)
        std = (log_var / 2).exp()
        upper = (x0 - mean + width / 2) / std
        lower = (x0 - mean - width / 2) / std
        upper = torch.where(x0 > self.high - width / 2, torch.inf, upper)
        lower = torch.where(x0 < self.low + width / 2, -torch.inf, lower)
        mirrored = lower + upper > 0
        a, b = torch.where(mirrored, -upper, lower), torch.where(mirrored, -lower, upper)
        log_a, log_b = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
        return -(log_b + torch.log(-torch.expm1(log_a - log_b)))


def decoder_of(data: DataSet, likelihood: str | None = None) -> DiscretisedGaussian | None:
    """The decoder that `data` calls for: discretised if it has levels, else None, the Gaussian density.

    `likelihood`, "discretised" or "density", states what is expected. Raises ValueError if it does not fit the data.
    """
    if likelihood not in (None, "discretised", "density"):
        raise ValueError(f"The likelihood must be 'discretised' or 'density', but got {likelihood!r}.")
    if likelihood == "discretised" and data.levels is None:
        raise ValueError(f"{data.name} is continuous: it has no levels, so no discretised likelihood and no bits/dim.")
    if likelihood == "density" and data.levels is not None:
        raise ValueError(
            f"{data.name} takes {data.levels} values: a density of discrete data has no bound; use 'discretised'."
        )
    return None if data.levels is None else DiscretisedGaussian(*data.range, data.levels)
