"""A step of the probability flow from known values of x_0 or eps, the rest of it being solved exactly: see `integrals`.

Where a denoiser is small, a step takes as long as its operations are many. The values of eps are kept as sigma eps =
x - alpha x_0, one operation, and linear combinations are made of additions with a factor (see `linear`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ... import linear
from ...schedules.base import Level

#: what is known at a level: x_0 or sigma eps, shaped as x
Value = tuple[Level, Tensor]


def combined(x: Tensor, keep: float, factors: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """keep x + sum_j factor_j value_j, in the dtype of `x`; one value at least."""
    first = values[0] if values[0].dtype == x.dtype else values[0].to(x.dtype)
    out = linear.combined(keep, x, factors[0], first)
    for factor, value in zip(factors[1:], values[1:], strict=True):
        out.add_(value, alpha=factor)
    return out


def from_x0(x: Tensor, t: Level, s: Level, weights: Sequence[float], values: Sequence[Value]) -> Tensor:
    """sigma_s / sigma_t x + alpha_s sum_j w_j x_0(t_j), weights for rate -1; alpha_t may be 0."""
    return combined(x, s.sigma / t.sigma, [s.alpha * w for w in weights], [x0 for _, x0 in values])


def from_eps(x: Tensor, x0: Tensor, t: Level, s: Level, weights: Sequence[float], earlier: Sequence[Value]) -> Tensor:
    """alpha_s / alpha_t x - sigma_s sum_j w_j eps(t_j), weights for rate +1, whose sum is exp(h) - 1; alpha_t may be 0.

    Written in x_0 at `t` and the others' eps alone, for near alpha_t = 0 the two terms of that are large and nearly cancel:
    keep x + (alpha_s - keep alpha_t) x_0 - sigma_s sum_(j > 0) w_j eps(t_j), keep = sigma_s / sigma_t (1 + sum_(j > 0) w_j).

    Args:
        weights: of the others, w_1, w_2, ...
        earlier: their levels and sigma_j eps(t_j).
    """
    keep = s.sigma / t.sigma * (1 + sum(weights))
    factors = [-s.sigma * w / level.sigma for w, (level, _) in zip(weights, earlier, strict=True)]
    return combined(x, keep, [s.alpha - keep * t.alpha, *factors], [x0, *[noise for _, noise in earlier]])


def noise_of(x: Tensor, x0: Tensor, t: Level) -> Tensor:
    """sigma eps = x - alpha x_0."""
    return torch.sub(x, x0, alpha=t.alpha)


def x0_of(x: Tensor, noise: Tensor, t: Level) -> Tensor:
    """x_0 = (x - sigma eps) / alpha."""
    return (x - noise) / t.alpha
