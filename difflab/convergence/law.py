"""The law of a random sampler on Gaussian data, without Monte Carlo.

There E[x_0 | x_t] is affine in x_t, and a method that only adds and multiplies by numbers of its own ends on an affine function
of where it began and of every normal number it drew, x_s = slope x_t + offset + sum_j w_j z_j, whatever it remembers on the way.
So a run whose rows are unit vectors (one row draws z_j = 1 and nothing else) reads all the coefficients off, and with them the
mean slope m + offset and the variance slope^2 v + sum_j w_j^2: to rounding, where samples would leave 1 / sqrt(n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..checks import brief, is_number
from ..denoisers import Denoiser
from ..samplers import Noise, Sampler, sample
from ..samplers.base import Step

_AFFINE = 1e-8  # of the largest coefficient: what rounding may leave of a sum of thousands of terms


@dataclass(frozen=True)
class Law:
    """x at the end of a run, given x at its start, on the line: slope x + offset + sum_j weights_j z_j.

    Attributes:
        slope, offset: what the start is multiplied by, and what is added.
        weights: what each normal draw is multiplied by, in the order in which the method asked for them.
        evaluations: calls of the denoiser.
    """

    slope: float
    offset: float
    weights: tuple[float, ...]
    evaluations: int

    def after(self, mean: float, var: float) -> tuple[float, float]:
        """Mean and variance at the end of a run that starts with this mean and variance. ValueError for what are none."""
        if not is_number(mean) or not is_number(var) or var < 0:
            raise ValueError(
                f"A run starts with a mean and a variance of 0 or more, but got {brief(mean)} and {brief(var)}."
            )
        return self.slope * mean + self.offset, self.slope**2 * var + sum(w * w for w in self.weights)


def law_of(sampler: Sampler | Step, denoiser: Denoiser, grid: Tensor | Sequence[float]) -> Law:
    """The law of `sampler`'s end on this grid, for a denoiser that is affine in x (n, 1): the oracle of a Gaussian.

    Raises ValueError if x_s is no affine function of x_t and of the noise: for other data, or for methods that accept or
    reject, or choose their steps by what they see. Raises as `sample` does.
    """
    listing = _Drawn()
    _end(sampler, denoiser, grid, torch.zeros(1, 1, dtype=torch.float64, device="cpu"), listing)
    draws = len(listing.names)
    x = torch.zeros(draws + 3, 1, dtype=torch.float64, device="cpu")
    x[1], x[-1] = 1.0, 0.7  # the last row has everything at once: it must be the sum of the others
    end, evaluations = _end(sampler, denoiser, grid, x, _Drawn(listing.names))
    offset = end[0]
    slope, weights = end[1] - offset, end[2:-1] - offset
    size = max(1.0, float(end.abs().max()))
    predicted = offset + 0.7 * slope + (_coefficients(draws) * weights).sum()
    if not abs(float(predicted - end[-1])) <= _AFFINE * size:
        raise ValueError(
            "A law is read off where a run's end is affine in its start and its noise, but this one is not: take the oracle of"
            " one Gaussian, and a method that neither rejects nor adapts."
        )
    return Law(float(slope), float(offset), tuple(weights.tolist()), evaluations)


def _end(
    sampler: Sampler | Step, denoiser: Denoiser, grid: Tensor | Sequence[float], x: Tensor, noise: Noise
) -> tuple[Tensor, int]:
    for state in sample(denoiser, sampler, grid, x=x, noise=noise):
        last = state
    return last.x[:, 0].cpu(), last.evaluations


def _coefficients(draws: int) -> Tensor:
    """What the last row draws: numbers of no pattern, so that no mistake cancels."""
    return torch.arange(1, draws + 1, dtype=torch.float64, device="cpu").mul(2.3).sin()


class _Drawn(Noise):
    """Draws nothing: lists what is asked for, or, given the list, answers with unit vectors."""

    def __init__(self, names: list[tuple[int, int]] | None = None) -> None:
        self.names: list[tuple[int, int]] = [] if names is None else names
        self.listing = names is None

    def start(self, n: int, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(n, *shape, device="cpu")

    def step(self, like: Tensor, index: int, substep: int = 0) -> Tensor:
        name = (index, substep)
        z = torch.zeros_like(like)
        if self.listing:
            if name not in self.names:
                self.names.append(name)
            return z
        if name not in self.names:
            raise ValueError(
                "A law is read off where the same noise is drawn whatever x is, but this method asks for more."
            )
        place = self.names.index(name)
        z[2 + place] = 1.0
        z[-1] = _coefficients(len(self.names))[place]
        return z
