"""DEIS: eps as a polynomial in the noise level, integrated exactly: exponential Adams-Bashforth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...schedules.base import Level
from ..knobs import check_choice
from .integrals import distance, weights
from .multistep import Multistep
from .step import Value, from_eps, noise_of, x0_of


@dataclass(frozen=True)
class DEIS(Multistep):
    """x_s = alpha_s / alpha_t x_t - sigma_s sum_j w_j eps(t_j), eps a polynomial in log rho (Zhang & Chen 2023, eqs. 14 and 15).

    rho = sigma / alpha, in which the flow of y = x / alpha is dy / drho = eps. One point is DDIM. diffusers'
    DEISMultistepScheduler ("logrho") is this with start="low", and finish="low" for fewer than 15 steps.

    Args:
        points: 1 to 4.
        start, finish: see `Multistep`; they make a difference from three points and from two on.
        variable: "log_rho", or "rho": the paper's rhoAB, the classical Adams-Bashforth method of variable steps. (Its tAB, a
            polynomial in t, depends on the schedule's own time.)
    """

    points: int = 2
    variable: str = "log_rho"
    most: ClassVar[int] = 4
    short: ClassVar[str] = "DEIS"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("variable", self.variable, "log_rho", "rho")

    @property
    def label(self) -> str:
        return super().label + (", in rho" if self.variable == "rho" else "")

    def _value(self, x: Tensor, x0: Tensor, t: Level) -> Tensor:
        return noise_of(x, x0, t)

    def _x0(self, x: Tensor, value: Tensor, t: Level) -> Tensor:
        return x0_of(x, value, t)

    def _moved(self, x: Tensor, x0: Tensor, values: Sequence[Value], s: Level) -> Tensor:
        t = values[0][0]
        if self.variable == "rho":
            nodes = tuple([level.ratio - t.ratio for level, _ in values])
            found = tuple([-w / s.ratio for w in weights(nodes, s.ratio - t.ratio, 0.0)])
        else:
            found = weights(tuple([distance(t, level) for level, _ in values]), distance(t, s), 1.0)
        return from_eps(x, x0, t, s, found[1:], values[1:])
