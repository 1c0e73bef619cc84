"""GITS: the grid along which the probability flow is followed with the least local errors (Chen et al. 2024, section 4).

A fine path of the flow is computed once, from many starts. A jump of the method between any two of its levels then has a local
error: how far from the fine path it lands. Of all grids with so many jumps, dynamic programming finds the one whose errors,
summed, are least.

Local errors do not simply add up: what an early one becomes depends on the flow after it. The paper multiplies whatever comes
later by gamma = 1.15 a step, which shifts steps towards the data.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ...checks import brief, is_number
from ...denoisers import Denoiser, Posterior
from ...flow.reference import flow
from .cheapest import cheapest, even_way, price
from .levels import grid_of
from .optimised import MOST_LEVELS, Counted, Optimised, Search, check_count
from .start import check_follows_flow, starts

if TYPE_CHECKING:
    from ..base import Sampler

_MOST_GAMMA = 10  # its power for every step is taken
_BETWEEN = 2  # Runge-Kutta steps from one level of the fine path to the next


@torch.no_grad()
def gits(
    denoiser: Denoiser,
    steps: int,
    sampler: Sampler | None = None,
    *,
    n: int = 256,
    levels: int = 60,
    gamma: float = 1.15,
    x: Tensor | None = None,
    shape: tuple[int, ...] | None = None,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    generator: Generator | None = None,
) -> Optimised:
    """The times of `steps` steps from sigma_max to 0 along which local errors sum up least; `value` is their sum.

    Args:
        sampler: whose jumps they are; None is DDIM's, Euler's method in sigma / alpha, as in the paper, which then uses the
            grid for other methods too. Each jump starts afresh: of a multistep method it is the first step.
        n: starts, drawn as `sample` draws them; or
        x: (n, *shape), the points at sigma_max to start from.
        shape: of one sample, where the denoiser does not know it.
        levels: of the fine path, evenly spaced in log-SNR; after them comes the data. The grid is a part of them.
        gamma: how much more an error counts than one of the step before it.
        sigma_min, sigma_max: as of `karras`.
        generator: draws the starts; torch's global one if None.

    Takes 8 n levels rows of the denoiser for the path, and for the jumps none (DDIM), or n levels^2 / 2 for each further
    evaluation that a step takes (Heun: one). Raises TypeError for what is no denoiser or sampler, ValueError for counts and
    levels that are none and for a method that draws noise, FloatingPointError where the denoiser returns nan or inf.
    """
    from ..chains.ddim import DDIM  # which asks for grids itself

    method = check_follows_flow(DDIM() if sampler is None else sampler)
    search = Search(denoiser, steps, sigma_min, sigma_max, generator)
    check_count("levels", levels, max(2, search.steps), MOST_LEVELS)
    if not is_number(gamma) or not 0 < gamma <= _MOST_GAMMA:
        raise ValueError(
            f"gamma, by which a later error counts more, must be a number above 0 and at most {_MOST_GAMMA}, but got"
            f" {brief(gamma)}."
        )
    row = search.even(levels)
    times = grid_of(search.schedule, row, to_data=True).tolist()
    path = fine_path(search.denoiser, starts(denoiser, times[0], n, x, shape, generator), times)
    cost = _local_errors(search.denoiser, method, path, times)
    way, value = cheapest(cost, search.steps, gamma)
    return search.found(row[way[:-1]], value, price(cost, even_way(levels + 1, search.steps), gamma))


def fine_path(denoiser: Denoiser, x: Tensor, times: list[float]) -> list[Tensor]:
    """The probability flow from `x` at times[0], at all `times`, in the dtype of x; the last is 0, where it ends on
    E[x_0 | x]."""
    path = [x]
    for t, s in pairwise(times[:-1]):
        path.append(flow(denoiser, path[-1], t, s, steps=_BETWEEN).to(x.device, x.dtype))
    return [*path, denoiser(path[-1], times[-2]).mean]


class _Remembering:
    """A denoiser that is asked only once what it answers at a level of the path."""

    def __init__(self, denoiser: Counted) -> None:
        self.denoiser, self.schedule = denoiser, denoiser.schedule
        self._x: Tensor | None = None

    def at(self, x: Tensor, t: float) -> None:
        self._x, self._t, self._answer = x, t, self.denoiser(x, t)

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        return self._answer if x_t is self._x and t == self._t else self.denoiser(x_t, t)


def _local_errors(denoiser: Counted, method: Sampler, path: list[Tensor], times: list[float]) -> Tensor:
    """Mean distance from the path, as x / alpha, after one step between each two of its levels: (levels, levels)."""
    from ..base import State
    from ..noise import NoisePool

    remembering, pool = _Remembering(denoiser), NoisePool(0)  # a method that follows the flow draws nothing
    cost = torch.zeros(len(times), len(times), dtype=torch.float64, device="cpu")
    for i, (x, t) in enumerate(zip(path[:-1], times[:-1], strict=True)):
        remembering.at(x, t)
        missed = []
        for y, s in zip(path[i + 1 :], times[i + 1 :], strict=True):
            landed = method.step(remembering, State(x, t, (t, s), pool), s).x
            missed.append((landed - y).flatten(1).norm(dim=1).mean() / denoiser.schedule.level(s).alpha)
        cost[i, i + 1 :] = torch.stack(missed).to(cost)
    return cost
