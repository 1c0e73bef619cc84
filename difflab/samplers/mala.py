"""Metropolis-adjusted Langevin: Langevin's step as a proposal, so that its size costs rejections and no longer a bias.

From x it proposes y ~ q(. | x) = N(x + a score(x), 2 a), and accepts it with the probability min(1, r) of metropolis.py
(Roberts & Tweedie 1996). What Langevin samples is off by O(a), and a >= 2 V explodes; here p_t is left as it is at every a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..denoisers.base import beside
from ..schedules.base import Level
from .density import Density, Point, dot, widest
from .metropolis import Metropolis, Proposal


@dataclass(frozen=True)
class MALA(Metropolis):
    """Metropolis-adjusted Langevin at one noise level (`grids.constant`); one evaluation a step, and one more at the start.

    `step_size` is a, in squared units of x, as of `Langevin`; None begins at sigma^2 D^(-1/3), which is stable for any data, and
    scales as the best one does (Roberts & Rosenthal 1998, from where `target` comes, too: 0.574). The chain's acceptance and step
    sizes are in `State.memory` (`metropolis.Chain`). `order` is that of the walk which it adjusts; its own law has no error.
    """

    order: ClassVar[int] = 1
    unit: ClassVar[str] = "squared units of x"

    @property
    def label(self) -> str:
        return f"MALA ({self.steps_in_words})"

    def first_size(self, level: Level, dim: int) -> float:
        return level.sigma**2 * dim ** (-1 / 3)

    def propose(self, density: Density, here: Point, size: Tensor, z: Tensor) -> Proposal:
        a = beside(size, here.x)
        there = density.at(here.x + a * here.score + (2 * a).sqrt() * z)
        back, forth = _log_q(here, there, size), _log_q(there, here, size)
        return Proposal(there, density.rise(here, there) + back - forth, 1 + density.evaluations_of_a_rise)


def _log_q(to: Point, of: Point, a: Tensor) -> Tensor:
    """log q(to | of), (n,), up to what is the same both ways; of the points as they are, rounded to their type."""
    wide = widest(of.x)
    moved = to.x.to(wide) - of.x.to(wide) - beside(a, of.x.to(wide)) * of.score.to(wide)
    return -dot(moved, moved) / (4 * a)
