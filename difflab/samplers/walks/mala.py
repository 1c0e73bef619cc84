"""Metropolis-adjusted Langevin: Langevin's step as a proposal, so that its size costs rejections and no longer a bias.

From x it proposes y ~ q(. | x) = N(x + a score(x), 2 a), and accepts it with the probability min(1, r) of metropolis.py
(Roberts & Tweedie 1996). What Langevin samples is off by O(a), and a >= 2 V explodes; here p_t is left as it is at every a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...denoisers.base import beside
from ...schedules.base import Level
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
        there = density.at(torch.addcmul(_pulled(here, a), (2 * a).sqrt(), z))
        fine = z.element_size() >= 4
        # there as it is, rounded: of a coarse type that is not quite where z leads
        forth = -dot(z, z) / 2 if fine else _log_q(there, here, size)
        log_ratio = density.rise(here, there) + _log_q(here, there, size) - forth
        return Proposal(there, log_ratio, 1 + density.evaluations_of_a_rise)


def _pulled(point: Point, a: Tensor) -> Tensor:
    """x + a score, the mean of what is proposed from there."""
    return torch.addcmul(point.x, a, point.score)


def _log_q(to: Point, of: Point, a: Tensor) -> Tensor:
    """log q(to | of), (n,), up to what is the same both ways."""
    if to.x.element_size() < 4:
        to, of = (p._replace(x=p.x.to(widest(p.x)), score=p.score.to(widest(p.x))) for p in (to, of))
    off = to.x - _pulled(of, beside(a, of.x))
    return dot(off, off) / (-4 * a)
