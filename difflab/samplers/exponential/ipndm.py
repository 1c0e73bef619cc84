"""iPNDM: Adams and Bashforth's coefficients of even steps, on steps that need not be even."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ...denoisers import Denoiser
from ...schedules import Schedule
from .. import grids
from ..base import Sampler, State
from ..knobs import check_points
from .integrals import distance
from .step import Value, from_eps, noise_of

#: of the last values of eps, newest first, by how many there are (Liu et al. 2022)
COEFFICIENTS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class IPNDM(Sampler):
    """A step of DDIM with sum_j b_j eps(t_j) in the place of eps (Zhang & Chen 2023, after PNDM, Liu et al. 2022).

    It leaves out PNDM's Runge-Kutta steps: the first steps have fewer values. The coefficients are those of even steps of
    rho = sigma / alpha. Where steps vary smoothly they are off by one part in as many as there are steps, which leaves
    order 2 whatever the number of points; more of them pay by smaller constants at best. `DEIS` has the coefficients of the
    steps as they are.

    Args:
        points: 1 (DDIM) to 4 (the published).
    """

    points: int = 4

    def __post_init__(self) -> None:
        check_points("IPNDM", self.points, len(COEFFICIENTS))

    @property
    def order(self) -> int:
        return min(self.points, 2)

    @property
    def label(self) -> str:
        return f"iPNDM ({self.points}M)"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, max(1, evaluations))

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x0 = denoiser(state.x, t.t).mean
        if s == 0:
            return state.moved(x0, s, x0)
        earlier: tuple[Value, ...] = state.memory or ()
        if earlier:
            whole = math.expm1(distance(t, end))
            x = from_eps(state.x, x0, t, end, [whole * b for b in COEFFICIENTS[len(earlier)][1:]], earlier)
        else:
            x = from_eps(state.x, x0, t, end, (), ())
        # where alpha = 0, eps says nothing of x_0, and rho is infinite
        here: tuple[Value, ...] = ((t, noise_of(state.x, x0, t)),) if t.alpha else ()
        return state.moved(x, s, x0, memory=(*here, *earlier)[: self.points - 1])
