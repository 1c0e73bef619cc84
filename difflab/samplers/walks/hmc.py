"""Hamiltonian Monte Carlo: proposals far away that are accepted nonetheless, by following a frictionless particle.

A momentum p ~ N(0, I) is drawn, and position and momentum follow H = -log p_t(x) + |p|^2 / 2 by leapfrog steps of length h
(Duane et al. 1987; Neal 2011, eqs. 2.28-2.30):

    p <- p + h/2 score(x),   x <- x + h p,   p <- p + h/2 score(x).

The map is reversible (turn p round, and it leads back), keeps volume, and errs in H by O(h^2) over a fixed time; so accepting
with probability min(1, exp(H_before - H_after)) leaves p_t as it is. One leapfrog step is MALA's proposal with a = h^2 / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...checks import brief, is_seen, is_whole
from ...denoisers.base import beside
from ...schedules.base import Level
from .density import Density, Point, dot, widest
from .metropolis import Metropolis, Proposal


@dataclass(frozen=True)
class HMC(Metropolis):
    """Hamiltonian Monte Carlo at one noise level (`grids.constant`); `leapfrog` evaluations a step, and one more at the start.

    `step_size` is h, in units of x; None begins at sigma D^(-1/4), which is stable for any data (h < 2 sigma is), and scales as
    the best one does (Beskos et al. 2013, from where `target` comes, too: 0.651). Acceptance and step sizes as of `MALA`. `order`
    is that of the leapfrog's energy error; its own law has no error.

    Args:
        leapfrog: steps of each trajectory. On a Gaussian of variance V a trajectory of h leapfrog = pi sqrt(V) leads to -x
            whatever p is, and mixes nothing.
    """

    target: float = 0.651
    leapfrog: int = 10
    order: ClassVar[int] = 2
    unit: ClassVar[str] = "units of x"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_whole(self.leapfrog):
            raise ValueError(f"HMC takes a whole number of leapfrog steps, 1 or more, but got {brief(self.leapfrog)}.")

    @property
    def evaluations_per_step(self) -> int:
        return self.leapfrog

    @property
    def label(self) -> str:
        return f"HMC ({self.leapfrog} leapfrog steps, {self.steps_in_words})"

    def first_size(self, level: Level, dim: int) -> float:
        return level.sigma * dim ** (-1 / 4)

    def propose(self, density: Density, here: Point, size: Tensor, z: Tensor) -> Proposal:
        there, momentum, rise = leapfrog(density, here, z, size, self.leapfrog)
        spent = self.leapfrog * (1 + density.evaluations_of_a_rise)
        way: list[Point] = []
        if is_seen(there.x, torch.isnan):  # it went to infinity, or there was no answer on the way: once more, to look
            leapfrog(density, here, z, size, self.leapfrog, way)
            spent *= 2
        return Proposal(there, rise + (dot(z, z) - dot(momentum, momentum)) / 2, spent, way)


def leapfrog(
    density: Density, here: Point, momentum: Tensor, size: Tensor, steps: int, way: list[Point] | None = None
) -> tuple[Point, Tensor, Tensor]:
    """`steps` steps of length `size` (n,) from (here, momentum): where they end, the momentum there, the rise of log p_t (n,).

    The points where they arrive are appended to `way`, if it is given.
    """
    h, start = beside(size, here.x), here
    rise = torch.zeros(len(here.x), dtype=widest(here.x), device=here.x.device)
    for left in reversed(range(steps)):
        momentum = momentum + h / 2 * here.score
        there = density.at(here.x + h * momentum, log_p=left == 0)
        momentum = momentum + h / 2 * there.score
        if way is not None:
            way.append(there)
        if density.log_prob is None:  # along the way as it was gone
            rise = rise + density.rise(here, there)
        here = there
    return here, momentum, rise if density.log_prob is None else density.rise(start, here)
