"""EDM's stochastic sampler: before each of Heun's steps a little noise is added, and the step starts from where that leads.

The churn lets errors of earlier steps be forgotten, as Langevin's noise does, without leaving the marginals: y = x / alpha at the
level r = sigma / alpha, with noise of the variance (1 + gamma)^2 r^2 - r^2, is a sample of the level (1 + gamma) r.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...checks import is_number
from ...denoisers import Denoiser
from ...schedules import Schedule
from ...schedules.base import Level
from .. import grids
from ..base import Sampler, State
from .heun import steps_for, trapezoid

_MOST_CHURN = math.sqrt(2) - 1  # never more new noise than there is already (Karras et al. 2022, section 4)


@dataclass(frozen=True)
class EDMStochastic(Sampler):
    """Karras et al. 2022, Alg. 2, on any schedule; without churn it is `Heun`, to the last bit.

    A step from level r = sigma / alpha first rises to r' = (1 + gamma) r, gamma = min(churn / steps, sqrt(2) - 1), if
    lowest <= r <= highest, and then takes Heun's step from r' to the next level. A schedule has no level above that at
    t = 1: there r' stops, so that a first step from t = 1 rises by nothing.

    Args:
        churn: S_churn, 0 or more; in the paper 5 to 80 by data set. It is shared out among the steps of the grid.
        lowest, highest: S_min and S_max, levels of sigma / alpha in units of x between which noise is added.
        inflation: S_noise, standard deviation of the new noise in units of what is due, above 0; the paper takes 1.003 to 1.007
            to make up for networks that remove too much. Any other than 1 leaves the marginals: then the law does not
            converge to the data's, and the declared order is 0.
    """

    churn: float = 0.0
    lowest: float = 0.0
    highest: float = math.inf
    inflation: float = 1.0
    evaluations_per_step: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not is_number(self.churn) or self.churn < 0:
            raise ValueError(f"The churn of EDM must be a number of 0 or more, but got {self.churn!r}.")
        ends = (self.lowest, self.highest)
        if (
            not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
            or not 0 <= ends[0] < ends[1]
        ):
            raise ValueError(
                f"EDM adds noise between two levels, 0 <= lowest < highest, but got {self.lowest!r} and {self.highest!r}."
            )
        if not is_number(self.inflation) or self.inflation <= 0:
            raise ValueError(f"The inflation of EDM's noise must be a number above 0, but got {self.inflation!r}.")

    @property
    def order(self) -> int:
        return 2 if self.churn == 0 or self.inflation == 1 else 0

    @property
    def random(self) -> bool:
        return self.churn > 0

    @property
    def label(self) -> str:
        if self.churn == 0:
            return "EDM (no churn: Heun)"
        between = "" if self.lowest == 0 and math.isinf(self.highest) else f" from {self.lowest:g} to {self.highest:g}"
        inflated = "" if self.inflation == 1 else f", noise x {self.inflation:g}"
        return f"EDM (churn {self.churn:g}{between}{inflated})"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        schedule, x, z = denoiser.schedule, state.x, None
        here, there = schedule.level(state.t), schedule.level(s)
        risen = self._risen(schedule, here, len(state.grid) - 1)
        if risen.ratio > here.ratio:
            z = state.noise.step(x, state.index)  # no stretch of a path: the noise of steps that overlap is independent
            added = math.sqrt((risen.ratio - here.ratio) * (risen.ratio + here.ratio))
            x = risen.alpha / here.alpha * x + risen.alpha * self.inflation * added * z
            here = risen
        x, denoised, evaluations = trapezoid(denoiser, x, here, there)
        return state.moved(x, s, denoised, evaluations, z=z)

    def _risen(self, schedule: Schedule, here: Level, steps: int) -> Level:
        """The level that a step from `here` starts from once the noise is added."""
        gamma = min(self.churn / steps, _MOST_CHURN)
        if gamma == 0 or here.t == 1 or not self.lowest <= here.ratio <= self.highest:
            return here
        return schedule.level_of_log_snr(here.log_snr - 2 * math.log1p(gamma))

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, steps_for(evaluations))
