"""UniPC: a predictor, and a corrector that takes the predictor's step again with the value at its end, at no evaluation more.

The value at the end of a step is needed for the next step anyway. So a step first takes the last one again, from where it
began and with what is now known at its end, and then goes on from there with that value, as if it had been asked for at the
corrected x: the difference is multiplied by another h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from ...denoisers import Denoiser
from ...schedules import Schedule
from ...schedules.base import Level
from .. import grids
from ..base import Sampler, State
from ..knobs import check_choice, check_flag, check_points
from .dpm_solver_single_step import third_order
from .integrals import distance, through_two, weights, whole
from .multistep import low_ends, steps_left
from .step import Value, from_x0


class Memory(NamedTuple):
    """The last step: where it began, and the values it was taken with, the one at its beginning first.

    Attributes:
        x: corrected, where `values[0]` is.
        values: newest first; those that were used, then older ones.
        used: how many were; 0 after a step that has nothing to correct.
    """

    x: Tensor
    values: tuple[Value, ...]
    used: int


@dataclass(frozen=True)
class UniPC(Sampler):
    """UniPC-p in data prediction (Zhao et al. 2023, algs. 1 and 2; diffusers' UniPCMultistepScheduler).

    Predictor and corrector integrate polynomials through p and p + 1 values exactly, but where two values are involved: there
    the slope's integral is taken as B(h) / 2. The corrector raises the order of each step by one, so that a run converges with
    order p + 1 if it starts with steps of order p at least: with p = 3 the first one is a single step of third order.

    Args:
        points: p, 1 to 3.
        variant: B(h) = h, "bh1", or 1 - e^-h, "bh2"; it is seen where two values are involved alone.
        corrector: without it, two points and "bh2" are DPMSolver(2), and three DPMSolver(3, start="low").
        start: "full", or "low", the published one: the first step is a corrected step of one value, and the order at most 3
            (2 without the corrector). They differ for three points, by two evaluations.
        finish: "full", or "low": the last steps have no more values than steps are left, diffusers' `lower_order_final`. The
            order is at most 2 where the grid then ends above zero.
    """

    points: int = 2
    variant: str = "bh2"
    corrector: bool = True
    start: str = "full"
    finish: str = "full"

    def __post_init__(self) -> None:
        check_points("UniPC", self.points, 3)
        check_choice("variant", self.variant, "bh1", "bh2")
        check_choice("start", self.start, "full", "low")
        check_choice("finish", self.finish, "full", "low")
        check_flag("corrector", self.corrector)

    @property
    def order(self) -> int:
        # a first step of one value errs by O(h^2), by O(h^3) if it is corrected; a last one of one value is never corrected
        most = 2 if self.finish == "low" else 2 + self.corrector if self.start == "low" else 4
        return min(self.points + self.corrector, most)

    @property
    def label(self) -> str:
        kind = "UniPC" if self.corrector else "UniP"
        return low_ends(f"{kind}-{self.points} ({self.variant})", self.points, self.start, self.finish)

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, max(1, evaluations - 2 * self._careful))

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x, last = state.x, state.memory or Memory(state.x, (), 0)
        x0 = denoiser(x, t.t).mean
        if s == 0:
            return state.moved(x0, s, x0)
        if t.alpha == 0:  # no polynomial goes through lambda = -inf
            return state.moved(from_x0(x, t, end, (1.0,), ((t, x0),)), s, x0)
        here: Value = (t, x0)
        if self.corrector and last.used:
            x = self._moved(last.x, (last.values[0], here, *last.values[1 : last.used]), t)
        used = min(self.points, len(last.values) + 1, steps_left(state) if self.finish == "low" else self.points)
        values = (here, *last.values)[: self.points]
        if self._careful and not last.values:
            x, denoised = third_order(denoiser, x, x0, t, end)
            return state.moved(x, s, denoised, 3, memory=Memory(x, values, 0))
        return state.moved(self._moved(x, values[:used], end), s, x0, memory=Memory(x, values, used))

    @property
    def _careful(self) -> bool:
        """Whether the first step is a single step of third order."""
        return self.points == 3 and self.start == "full"

    def _moved(self, x: Tensor, values: tuple[Value, ...], s: Level) -> Tensor:
        """x at `s`, from the value where x is, which comes first, and from others before or after it."""
        t = values[0][0]
        h = distance(t, s)
        if len(values) == 2:
            all_of_it = whole(h, -1.0)
            lever = h if self.variant == "bh1" else all_of_it
            found: tuple[float, ...] = through_two(distance(t, values[1][0]), h, all_of_it, lever)
        else:
            found = weights(tuple([distance(t, level) for level, _ in values]), h, -1.0)
        return from_x0(x, t, s, found, values)
