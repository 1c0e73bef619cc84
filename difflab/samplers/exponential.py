"""A step of the probability flow from known values of x_0 or eps, the rest of it being solved exactly: see `integrals`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..schedules.base import Level

#: what is known at a level: x_0 or eps, shaped as x
Value = tuple[Level, Tensor]


def from_x0(x: Tensor, t: Level, s: Level, weights: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """sigma_s / sigma_t x + alpha_s sum_j w_j x_0(t_j), weights for rate -1; alpha_t may be 0."""
    x = x * (s.sigma / t.sigma)
    for weight, x0 in zip(weights, values, strict=True):
        x = torch.add(x, x0, alpha=s.alpha * weight)
    return x


def from_eps(x: Tensor, t: Level, s: Level, weights: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """alpha_s / alpha_t x - sigma_s sum_j w_j eps(t_j), weights for rate +1."""
    x = x * (s.alpha / t.alpha)
    for weight, eps in zip(weights, values, strict=True):
        x = torch.add(x, eps, alpha=-s.sigma * weight)
    return x


def eps_of(x: Tensor, x0: Tensor, t: Level) -> Tensor:
    """(x - alpha x_0) / sigma."""
    return torch.add(x * (1 / t.sigma), x0, alpha=-t.alpha / t.sigma)


def x0_of(x: Tensor, eps: Tensor, t: Level) -> Tensor:
    """(x - sigma eps) / alpha."""
    return torch.add(x * (1 / t.alpha), eps, alpha=-t.ratio)
