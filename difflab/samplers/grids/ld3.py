"""LD3: the grid on which a sampler ends nearest to where the probability flow ends, by gradient (Tong et al. 2025).

The flow is followed finely, once, from a few hundred starts; then the levels of a short grid are moved until the sampler, from
the same starts, ends as near to those ends as it can. This sees the whole error of the method that will be used, at the only
place where it counts.

With levels r_0 = sigma_max fixed and r_1 .. r_{N-1} free, log r_k falls by shares of the whole range: N shares that sum to 1,
softmax(theta), as in the paper. The gradient is taken by central differences in the N - 1 free parameters, on the same starts:
2 (N - 1) runs, which any sampler allows, whatever numbers it steps by, and few where grids are searched for, below 10 steps.
What is made small is the log of the mean distance, smooth in theta, by the quasi-Newton method of Broyden, Fletcher, Goldfarb
and Shanno. (The paper takes stochastic gradient steps through the sampler, on a perceptual distance, and lets each start move a
little; here starts are as they are.)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ...denoisers import Denoiser
from ...flow.reference import flow
from .descent import descend
from .levels import grid_of
from .optimised import Optimised, Search, check_count
from .start import check_follows_flow, starts

if TYPE_CHECKING:
    from ..base import Sampler

_TEACHER = 200  # Runge-Kutta steps of the ends that are aimed at
_MOST_STEPS = 1000
_TRIED = 8  # iterations from each plain grid, before it is known which of them leads furthest down


@torch.no_grad()
def ld3(
    denoiser: Denoiser,
    steps: int,
    sampler: Sampler,
    *,
    n: int = 256,
    iterations: int = 30,
    x: Tensor | None = None,
    shape: tuple[int, ...] | None = None,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    generator: Generator | None = None,
) -> Optimised:
    """The times of `steps` steps from sigma_max to 0 on which `sampler` ends nearest to the flow; `value` is the mean distance.

    Args:
        sampler: what will be run on the grid; one that draws no noise.
        n: starts, drawn as `sample` draws them; or
        x: (n, *shape), the points at sigma_max to start from.
        shape: of one sample, where the denoiser does not know it.
        iterations: of the descent, at most; it ends as soon as one gains less than a hundred-thousandth.
        sigma_min, sigma_max: as of `karras`; no level of the grid is below sigma_min, but for the last, 0.
        generator: draws the starts; torch's global one if None.

    Takes 800 n rows of the denoiser for the flow and about 2 (steps - 1) runs an iteration. It descends from a few plain grids
    and goes on from the best: for methods of higher order there may be deeper valleys elsewhere.

    Raises TypeError for what is no denoiser or sampler, ValueError for counts and levels that are none and for a method that
    draws noise, FloatingPointError where the denoiser returns nan or inf.
    """
    check_follows_flow(sampler)
    search = Search(denoiser, steps, sigma_min, sigma_max, generator)
    check_count("iterations", iterations, 0)
    check_count("steps, of which ld3 moves each by itself,", search.steps, 1, _MOST_STEPS)
    first, lowest = grid_of(search.schedule, search.even(2), to_data=False).tolist()
    x = starts(denoiser, first, n, x, shape, generator)
    ends = search.denoiser(flow(search.denoiser, x, first, lowest, steps=_TEACHER).to(x), lowest).mean
    problem = _Problem(search, sampler, x, ends)
    even, *others = problem.plain()
    theta = even
    if search.steps > 1:
        begun = [descend(problem, start, min(iterations, _TRIED)) for start in (even, *others)]
        theta = descend(problem, min(begun, key=problem), max(0, iterations - _TRIED))
    return search.found(problem.levels(theta), math.exp(problem(theta)), math.exp(problem(even)))


class _Problem:
    """The log of the mean distance to the flow's ends, a function of the shares' logarithms beside that of the last share."""

    def __init__(self, search: Search, sampler: Sampler, x: Tensor, ends: Tensor) -> None:
        self.search, self.sampler, self.x, self.ends = search, sampler, x, ends

    def __call__(self, theta: Tensor) -> float:
        from ..base import final, sample

        times = grid_of(self.search.schedule, self.levels(theta), to_data=True)
        if bool((times.diff() >= 0).any()):  # a share has vanished
            return math.inf
        ended = final(sample(self.search.denoiser, self.sampler, times, x=self.x))
        distance = float((ended - self.ends).flatten(1).double().norm(dim=1).mean())
        return math.log(max(distance, 1e-300))

    def levels(self, theta: Tensor) -> Tensor:
        """(steps,) sigma / alpha; the last share leads from the last of them down to sigma_min."""
        log_high, log_low = math.log(self.search.high), math.log(self.search.low)
        fallen = torch.cat([theta, theta.new_zeros(1)]).softmax(0).cumsum(0)[:-1]
        return torch.cat([fallen.new_zeros(1), fallen]).mul(log_low - log_high).add(log_high).exp()

    def plain(self) -> list[Tensor]:
        """Plain grids to begin with: even steps of log r, Karras's levels, and even angles atan(r), best of DDIM's for Gaussian
        data of variance 1."""
        low, high, steps = self.search.low, self.search.high, self.search.steps
        share = torch.arange(steps, -1, -1, dtype=torch.float64, device="cpu") / steps
        logs = math.log(low) + share * (math.log(high) - math.log(low))
        roots = low ** (1 / 7) + share * (high ** (1 / 7) - low ** (1 / 7))
        angles = math.atan(low) + share * (math.atan(high) - math.atan(low))
        falls = [(-levels.log().diff()).log() for levels in (logs.exp(), roots**7, angles.tan())]
        return [fall[:-1] - fall[-1] for fall in falls]
