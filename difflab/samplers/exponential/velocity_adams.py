r"""Adams-Bashforth on the circle: the velocity as a polynomial in the noise level, its integral over the angle exact.

With c the width of the data, R = sqrt(c^2 alpha^2 + sigma^2) is the size of x_t. x = R z and sigma / (c alpha) = tan(theta) put
the probability flow on a circle, from theta = pi / 2, noise alone, to 0, the data (Salimans & Ho 2022, appendix D):

    dz/dtheta = v(theta) = -R / (c sigma) q,   q = E[x_0 | x_t] - (c^2 alpha / R^2) x_t,

and q is what the denoiser knows beyond the linear estimate for data of this width: of Gaussian data it is nothing, and any step
is exact. v itself changes as the noise passes the sizes that the data has, so that it is smooth in the logarithm of the level:
the polynomial through its last values is one in

    u = log tan(theta / 2) = -asinh(c alpha / sigma),   which is log(sigma / alpha) where there is little noise,

and 0 at alpha = 0, which therefore is a level like any other: no highest one has to be chosen, and nothing to be known of the
mean of the data, or of its covariance but for c. A step is

    x_s = (R_s / R_t) x_t + R_s sum_j w_j v_j,   w_j = int_t^s L_j(u) dtheta,   dtheta = du / cosh u,

with L_j the polynomials of Lagrange: exponential Adams-Bashforth (Hochbruck & Ostermann 2010, section 2.6), whose linear part is
that of Gaussian data. The last step, to the data, is as long as all others together in u, but short in theta, in which v is
straight there, be the data smooth (v falls as theta) or points (v stays): the line through the last two values is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...checks import brief, is_number
from ...denoisers import Denoiser
from ...flow.circle import place, times_of
from ...schedules import FIRST_T, Schedule
from ...schedules.base import Level
from ..base import Sampler, State
from ..knobs import check_points
from .step import combined

_NODES = [tuple(map(float, pair)) for pair in zip(*np.polynomial.legendre.leggauss(10), strict=True)]
_PIECE = 1.0  # of u, on which ten nodes of Gauss and Legendre have all digits of a polynomial over cosh
_REMEMBERED = 2**14  # steps: a sampler takes the same ones in every run
_LOWEST, _FALL = 0.3, 1.2  # the default grid's last level, in widths of the data, is 0.3 / evaluations^1.2
_NEAR = 0.3  # the angle of sigma / alpha = 0.3 widths, below which the velocity may be straight
_POWER = 1.2  # of its spacing in u: 1 is even steps, more are finer at the noisy end


class Place(NamedTuple):
    """A level on the circle: the radius R, the angle theta, u, R / (c sigma), by which a q is minus its velocity, and
    c^2 alpha / R^2, by which x is the linear estimate of x_0."""

    radius: float
    angle: float
    u: float
    scale: float
    linear: float


#: where, and q there, shaped as x
Value = tuple[Level, Tensor]


@lru_cache(_REMEMBERED)
def on_circle(level: Level, width: float) -> Place:
    """Where a level above the data lies for data of this width."""
    radius = math.hypot(width * level.alpha, level.sigma)
    angle = math.atan2(level.sigma, width * level.alpha)
    u = -math.asinh(width * level.alpha / level.sigma)
    return Place(radius, angle, u, radius / (width * level.sigma), width**2 * level.alpha / radius**2)


@lru_cache(_REMEMBERED)
def weights(nodes: tuple[float, ...], t: float, s: float) -> tuple[float, ...]:
    """int_t^s L_j(u) du / cosh u, the weight of the velocity at each of the `nodes`; all arguments are u's."""
    pieces = max(1, math.ceil(abs(s - t) / _PIECE))
    half = (s - t) / (2 * pieces)
    found = [0.0] * len(nodes)
    for piece in range(pieces):
        middle = t + (2 * piece + 1) * half
        for place_, weight in _NODES:
            u = middle + half * place_
            share = weight * half / math.cosh(u)
            for j, node in enumerate(nodes):
                value = share
                for i, other in enumerate(nodes):
                    if i != j:
                        value *= (u - other) / (node - other)
                found[j] += value
    return tuple(found)


@lru_cache(_REMEMBERED)
def factors(width: float, s: Level, *known: Level) -> tuple[float, tuple[float, ...]]:
    """Of the step from known[0] to `s`: what multiplies x, and the q at each of the levels `known`.

    At the data, the line through the first two velocities is taken where it is near, else x_0 = q + (c^2 alpha / R^2) x.
    """
    places = [on_circle(level, width) for level in known]
    t = places[0]
    if s.sigma == 0:
        if len(known) == 1 or t.angle > _NEAR:
            return t.linear, (1.0, *[0.0] * (len(known) - 1))
        bend = t.angle**2 / (2 * (places[1].angle - t.angle))
        keep, radius = width / t.radius, width
        found: tuple[float, ...] = (-t.angle - bend, bend)
    else:
        end = on_circle(s, width)
        keep, radius = end.radius / t.radius, end.radius
        found = weights(tuple(place.u for place in places), t.u, end.u)
    return keep, tuple(-radius * w * place.scale for w, place in zip(found, places, strict=True))


@dataclass(frozen=True)
class VelocityAdams(Sampler):
    """Exponential Adams-Bashforth on the variance-matched velocity; one evaluation a step.

    The first step of three points is corrected: taken, and taken again with the value at its end, which the second step then
    uses as its own; so that there, too, the order is 3, at no evaluation more.

    Args:
        points: 1 to 3, how many values a step is made of once there are so many. Fewer are steadier for a handful of steps.
        width: the standard deviation of a coordinate of the data, c in this module's formulas.
    """

    points: int = 3
    width: float = 1.0
    most: ClassVar[int] = 3

    def __post_init__(self) -> None:
        check_points(type(self).__name__, self.points, self.most)
        if not is_number(self.width) or self.width <= 0:
            raise ValueError(
                f"width is the standard deviation of the data, a number above 0, but got {brief(self.width)}."
            )

    @property
    def order(self) -> int:
        return self.points

    @property
    def label(self) -> str:
        return f"Velocity Adams ({self.points} points)" + ("" if self.width == 1 else f", width {self.width:g}")

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """From t = 1 down to sigma / alpha = 0.3 width / evaluations^1.2 (or the schedule's lowest), u_i as i^1.2, then 0."""
        steps = max(1, evaluations)
        if steps == 1:
            return torch.tensor([1.0, 0.0], dtype=torch.float64, device="cpu")
        first, last = place(schedule, 1.0, self.width), place(schedule, FIRST_T, self.width)
        lowest = -math.asinh(steps**_FALL / _LOWEST)
        lowest = max(
            last, lowest if lowest < first - 1 else first - 1
        )  # of a schedule that has little noise at t = 1, too
        u = first + (lowest - first) * torch.linspace(0, 1, steps, dtype=torch.float64, device="cpu") ** _POWER
        times = times_of(schedule, u, self.width)
        times[0] = 1.0
        return torch.cat([times, times.new_zeros(1)])

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        x, t = state.x, denoiser.schedule.level(state.t)
        past: tuple[Value, ...] = state.memory or ()
        if past and past[0][0].t == state.t:  # the step that led here was corrected, by the value at its end
            denoised, spent = state.denoised, 0
            here, past = past[0], past[1:]
        else:
            denoised, spent = denoiser(x, state.t).mean, 1
            here = (t, self._beyond(x, denoised, t))
        known = (here, *past)[: self.points if s else min(self.points, 2)]
        end = denoiser.schedule.level(s)
        after = self._moved(x, end, known)
        if s == 0:
            return state.moved(after, s, denoised, spent)
        if self.points == 3 and not past:
            denoised = denoiser(after, s).mean
            there: Value = (end, self._beyond(after, denoised, end))
            after = self._moved(x, end, (here, there))
            return state.moved(after, s, denoised, spent + 1, memory=(there, here))
        return state.moved(after, s, denoised, spent, memory=known[: max(1, self.points - 1)])

    def _beyond(self, x: Tensor, x0: Tensor, t: Level) -> Tensor:
        """q = x_0 - (c^2 alpha / R^2) x."""
        return torch.sub(x0, x, alpha=on_circle(t, self.width).linear)

    def _moved(self, x: Tensor, s: Level, known: tuple[Value, ...]) -> Tensor:
        """x at `s`, from x where known[0] is and from the values there and elsewhere."""
        keep, each = factors(self.width, s, *[level for level, _ in known])
        return combined(x, keep, each, [q for _, q in known])
