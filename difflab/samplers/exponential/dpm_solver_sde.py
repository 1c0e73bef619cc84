"""SDE-DPM-Solver++: DPM-Solver++ on the reverse SDE, whose noise is integrated exactly too.

With lambda = log(alpha / sigma) the reverse SDE has the solution (Lu et al. 2022b, on diffusion SDEs)

    x_s = sigma_s / sigma_t e^-h x_t + 2 alpha_s int_t^s exp(-2 (lambda_s - lambda)) x_0 dlambda + sigma_s sqrt(1 - e^-2h) z,

h = lambda_s - lambda_t: twice as fast an exponential as the flow's. x_0 is a random function of lambda, which follows the noise
of the path; a line through its last two values knows the present step's noise only one step later. Nothing is lost by that
but O(h^2) at the end, and the law of x_s converges with order 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...denoisers import Denoiser
from ...schedules import Schedule
from .. import grids
from ..base import Sampler, State
from ..knobs import check_choice, check_points
from .integrals import distance, through_two, weights
from .step import combined


@dataclass(frozen=True)
class DPMSolverSDE(Sampler):
    """SDE-DPM-Solver++ of one or two points, the latter known as "2M SDE" (Lu et al. 2022b: SDE-DPM-Solver++1 and 2M).

    With one point it is ancestral sampling with the small variance. `order` is that of the sampled law.

    Args:
        points: 1 or 2 values of x_0; the first step has one.
        rule: of two points, "midpoint", as published, or "exact", diffusers' solver_type="heun".
    """

    points: int = 2
    rule: str = "midpoint"
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_points("DPMSolverSDE", self.points, 2)
        check_choice("rule", self.rule, "midpoint", "exact")

    @property
    def order(self) -> int:
        return self.points

    @property
    def label(self) -> str:
        return f"DPM-Solver++ ({self.points}M SDE{', exact' if self.rule == 'exact' and self.points == 2 else ''})"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.log_snr(schedule, max(1, evaluations))

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x0 = denoiser(state.x, t.t).mean
        if s == 0:
            return state.moved(x0, s, x0)
        h = distance(t, end)
        fresh = -math.expm1(-2 * h)  # 1 where alpha_t = 0
        values = ((t, x0), *(state.memory or ()))
        found: tuple[float, ...] = (fresh,)
        if len(values) == 2 and self.rule == "midpoint":
            found = through_two(distance(t, values[1][0]), h, fresh, fresh)
        elif len(values) == 2:
            found = tuple(2 * w for w in weights((0.0, distance(t, values[1][0])), h, -2.0))
        z = state.draw(denoiser.schedule, s)
        factors = [end.alpha * w for w in found]
        x = combined(state.x, end.sigma / t.sigma * math.exp(-h), factors, [x0 for _, x0 in values])
        x.add_(z, alpha=end.sigma * math.sqrt(fresh))
        keep = self.points == 2 and t.alpha > 0  # no line goes through lambda = -inf
        return state.moved(x, s, x0, z=z, memory=((t, x0),) if keep else None)
