"""What multistep methods share: what they remember, how they start, how they end.

A method of k points draws a polynomial through the last k values (of x_0 or of eps) as a function of the noise level, at one
evaluation a step. At first there is only one value, and a step from fewer values is less accurate: begun with a single value, the
first step errs by O(h^2), once, and however many points the method has later, it converges with order 2. So methods of three
and four points start more carefully:

- a step with one value too few is *corrected*: take it, evaluate at its end, take it again with that value among the nodes,
  which makes it one order better. The value is kept as the next step's own (the error of the first attempt, multiplied by
  another h, no longer matters), so that this costs no evaluation: the first step takes two, the second none;
- a step with two values too few, the first of four points, is a single step of third order, two evaluations more.

What a run remembers is a tuple of (level, value), newest first, in `State.memory`. Any step may start from none.
Where alpha = 0 no value is worth remembering: lambda is infinite there, and no polynomial goes through it. A run from there
begins with a step of DDIM, and converges with order 2 at most, in single steps too: steps that are even in t do not become
short in lambda there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...denoisers import Denoiser
from ...schedules import Schedule
from ...schedules.base import Level
from .. import grids
from ..base import Sampler, State
from ..knobs import check_choice, check_points
from .dpm_solver_single_step import third_order
from .step import Value, from_x0


@dataclass(frozen=True)
class Multistep(Sampler):
    """Base of the methods that remember; subclasses say what a value is and what its weight is.

    Args:
        points: how many values a step is made of, once there are so many.
        start: "full", as told above, or "low": the first steps simply have fewer values, as published and as in diffusers,
            and the order is at most 2.
        finish: "full", or "low": the last steps have no more values than steps are left, as diffusers' `lower_order_final`
            makes it for fewer than 15 steps. It steadies runs of a few large steps; the order is at most 2 where the grid ends
            above zero. The last step to t = 0 has one value always: it gives x_0.
    """

    points: int = 2
    start: str = "full"
    finish: str = "full"
    most: ClassVar[int] = 3
    short: ClassVar[str]

    def __post_init__(self) -> None:
        check_points(type(self).__name__, self.points, self.most)
        for knob in ("start", "finish"):
            check_choice(knob, getattr(self, knob), "full", "low")

    @property
    def order(self) -> int:
        return min(self.points, 2) if "low" in (self.start, self.finish) else self.points

    @property
    def label(self) -> str:
        return low_ends(f"{self.short} ({self.points}M)", self.points, self.start, self.finish)

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.compact(schedule, max(1, evaluations - 2 * (self.points == 4 and self.start == "full")))

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x = state.x
        past: tuple[Value, ...] = state.memory or ()
        if past and past[0][0].t == t.t:  # the step that led here was corrected, by the value at its end
            value, past = past[0][1], past[1:]
            denoised, spent = state.denoised, 0
            x0 = self._x0(x, value, t)
        else:
            denoised = x0 = denoiser(x, t.t).mean
            value, spent = self._value(x, x0, t), 1
        if s == 0:
            return state.moved(x0, s, denoised, spent)
        if t.alpha == 0:
            return state.moved(from_x0(x, t, end, (1.0,), ((t, x0),)), s, denoised, spent)
        here: Value = (t, value)
        known = (here, *past)[: min(self.points, steps_left(state)) if self.finish == "low" else self.points]
        memory = (here, *past)[: self.points - 1]
        missing = self.points - 2 - len(past) if self.start == "full" else 0
        if missing > 1:
            x, denoised = third_order(denoiser, x, x0, t, end)
            return state.moved(x, s, denoised, spent + 2, memory=memory)
        after = self._moved(x, x0, known, end)
        if missing == 1:
            denoised = denoiser(after, s).mean
            there: Value = (end, self._value(after, denoised, end))
            after = self._moved(x, x0, (here, there, *past), end)
            return state.moved(after, s, denoised, spent + 1, memory=(there, *memory))
        return state.moved(after, s, denoised, spent, memory=memory)

    @abstractmethod
    def _value(self, x: Tensor, x0: Tensor, t: Level) -> Tensor:
        """What is remembered of an evaluation at (x, t) that gave x_0."""

    @abstractmethod
    def _x0(self, x: Tensor, value: Tensor, t: Level) -> Tensor:
        """The x_0 of such a value."""

    @abstractmethod
    def _moved(self, x: Tensor, x0: Tensor, values: Sequence[Value], s: Level) -> Tensor:
        """x at `s`, from the value where x is, which comes first and says `x0`, and from others."""


def steps_left(state: State) -> int:
    """How many steps of the grid there still are, the next one included."""
    return max(1, len(state.grid) - 1 - state.index)


def low_ends(label: str, points: int, start: str, finish: str) -> str:
    """The label of a method, and what of its ends is of low order; a start of two points is so in any case."""
    low = [
        end for end, value, least in (("start", start, 3), ("finish", finish, 2)) if value == "low" and points >= least
    ]
    return label + (f", low-order {' and '.join(low)}" if low else "")
