"""DPM-Solver++, multistep: x_0 as a polynomial in the log-SNR, under an exponential that is integrated exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...schedules.base import Level
from ..knobs import check_choice
from .integrals import distance, through_two, weights, whole
from .multistep import Multistep
from .step import Value, from_x0


@dataclass(frozen=True)
class DPMSolver(Multistep):
    """x_s = sigma_s / sigma_t x_t + alpha_s sum_j w_j x_0(t_j), w_j of `integrals.weights` (Lu et al. 2022b, prop. 4.1, alg. 2).

    With one point it is DDIM, with two DPM-Solver++(2M). With three it converges with order 3, which the published code and
    diffusers' do not: they multiply their second difference by half of what its integral is, and start low, either of which
    leaves order 2. For diffusers' steps of two points and fewer take start="low", and finish="low" as its
    `lower_order_final` for fewer than 15 steps.

    Args:
        points: 1 to 3.
        start, finish: see `Multistep`; they make a difference from three points and from two on.
        rule: of steps from two points, "midpoint" takes x_0 at the middle of the step, as published; "exact" integrates the line,
            diffusers' solver_type="heun". Both are of order 2.
    """

    points: int = 2
    rule: str = "midpoint"
    short: ClassVar[str] = "DPM-Solver++"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("rule", self.rule, "midpoint", "exact")

    @property
    def label(self) -> str:
        return super().label + (", exact" if self.rule == "exact" and self.points > 1 else "")

    def _value(self, x: Tensor, x0: Tensor, t: Level) -> Tensor:
        return x0

    def _x0(self, x: Tensor, value: Tensor, t: Level) -> Tensor:
        return value

    def _moved(self, x: Tensor, x0: Tensor, values: Sequence[Value], s: Level) -> Tensor:
        t = values[0][0]
        h = distance(t, s)
        if len(values) == 2 and self.rule == "midpoint":
            all_of_it = whole(h, -1.0)
            found: tuple[float, ...] = through_two(distance(t, values[1][0]), h, all_of_it, all_of_it)
        else:
            found = weights(tuple([distance(t, level) for level, _ in values]), h, -1.0)
        return from_x0(x, t, s, found, values)
