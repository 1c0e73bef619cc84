"""DPM-Solver++, single step: the values that a step needs are evaluated within it, and nothing is remembered.

Between t and s the levels lie at fractions of the distance in log-SNR, so that the method is the same on every schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ...checks import brief, is_whole
from ...denoisers import Denoiser
from ...schedules import Schedule
from ...schedules.base import Level
from .. import grids
from ..base import Sampler, State
from ..knobs import check_choice
from .integrals import distance, through_two, weights, whole
from .step import from_x0


@dataclass(frozen=True)
class DPMSolverSingleStep(Sampler):
    """DPM-Solver++(2S) (Lu et al. 2022b, alg. 1, r = 1/2), and (3S), as DPM-Solver-3 (Lu et al. 2022, alg. 2, r = 1/3, 2/3).

    Each of a step's evaluations raises its order by one. The step from zero terminal SNR, where no level is a third of the
    way, is one of DDIM, as is the last one to t = 0, which gives x_0.

    Args:
        stages: evaluations of a step, and its order: 2 or 3.
        rule: "midpoint", which takes a line through two values at the middle, or "exact", which integrates the line or, at
            the end of three stages, the parabola: diffusers' solver_type "midpoint" and "heun". Of the same order.
    """

    stages: int = 2
    rule: str = "midpoint"

    def __post_init__(self) -> None:
        if not is_whole(self.stages, 2) or self.stages > 3:
            raise ValueError(
                f"A single step has 2 or 3 stages, but got stages={brief(self.stages)}; one stage is DDIM()."
            )
        check_choice("rule", self.rule, "midpoint", "exact")

    @property
    def order(self) -> int:
        return self.stages

    @property
    def evaluations_per_step(self) -> int:
        return self.stages

    @property
    def label(self) -> str:
        return f"DPM-Solver++ ({self.stages}S{', exact' if self.rule == 'exact' else ''})"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, 1 + max(0, evaluations - 1) // self.stages)  # the last step takes one

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x0 = denoiser(state.x, t.t).mean
        if s == 0:
            return state.moved(x0, s, x0)
        if t.alpha == 0:
            return state.moved(from_x0(state.x, t, end, (1.0,), ((t, x0),)), s, x0)
        take = second_order if self.stages == 2 else third_order
        x, denoised = take(denoiser, state.x, x0, t, end, self.rule)
        return state.moved(x, s, denoised, self.stages)


def second_order(
    denoiser: Denoiser, x: Tensor, x0: Tensor, t: Level, s: Level, rule: str = "midpoint"
) -> tuple[Tensor, Tensor]:
    """x at `s`, and the x_0 that was asked for on the way, at half of it."""
    middle = between(denoiser.schedule, t, s, 1 / 2)
    y = from_x0(x, t, middle, (whole(distance(t, middle), -1.0),), ((t, x0),))
    x0_middle = denoiser(y, middle.t).mean
    return from_x0(x, t, s, _line(t, middle, s, rule), ((t, x0), (middle, x0_middle))), x0_middle


def third_order(
    denoiser: Denoiser, x: Tensor, x0: Tensor, t: Level, s: Level, rule: str = "midpoint"
) -> tuple[Tensor, Tensor]:
    """x at `s`, and the last x_0 that was asked for on the way, at two thirds of it; another one at one third."""
    first, second = between(denoiser.schedule, t, s, 1 / 3), between(denoiser.schedule, t, s, 2 / 3)
    y = from_x0(x, t, first, (whole(distance(t, first), -1.0),), ((t, x0),))
    x0_first = denoiser(y, first.t).mean
    y = from_x0(x, t, second, _line(t, first, second, rule), ((t, x0), (first, x0_first)))
    x0_second = denoiser(y, second.t).mean
    if rule == "midpoint":
        # the nodes 0 and 2/3 are Radau's: the line through them integrates parabolas too, but for O(h^4)
        return from_x0(x, t, s, _line(t, second, s, "exact"), ((t, x0), (second, x0_second))), x0_second
    nodes = (0.0, distance(t, first), distance(t, second))
    values = ((t, x0), (first, x0_first), (second, x0_second))
    return from_x0(x, t, s, weights(nodes, distance(t, s), -1.0), values), x0_second


def between(schedule: Schedule, t: Level, s: Level, fraction: float) -> Level:
    """The level of `schedule` that lies this fraction of the distance in log-SNR from `t` towards `s`."""
    return schedule.level_of_log_snr(t.log_snr + fraction * (s.log_snr - t.log_snr))


def _line(t: Level, node: Level, s: Level, rule: str) -> tuple[float, ...]:
    h, place = distance(t, s), distance(t, node)
    if rule == "midpoint":
        all_of_it = whole(h, -1.0)
        return through_two(place, h, all_of_it, all_of_it)
    return weights((0.0, place), h, -1.0)
