"""Runge-Kutta steps for many independent equations at once, each with steps of its own.

The pair of Dormand & Prince (1980), fifth order with a fourth-order one inside for the error; its last stage is the next
step's first. `Fixed` takes the same steps for every row. `Adaptive` chooses them row by row, by the proportional-integral
rule of Gustafsson (1991), so that a row's steps, and with them its result, do not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: (y (n, D), u (n,), rows (n,) int64) -> dy/du (n, D): `rows` says which rows of the batch are asked about
Slope = Callable[[Tensor, Tensor, Tensor], Tensor]

_TIMES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),  # also the step itself, of fifth order
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # fifth less fourth order
_FIRST_STEP, _LEAST_STEP = 0.07, 1e-5
_SAFETY, _SHRINK, _GROW = 0.95, 0.1, 2.0
_ORDER, _INTEGRAL = 5, 0.08  # Gustafsson's beta; the proportional exponent is 1/5 - 3/4 beta
_LEAST_ERROR = 1e-4  # what the integral part remembers of an error, in tolerances, at least; also before the first step


@dataclass(frozen=True)
class Solved:
    """y at u = 1 (n, D); the sum over steps of the absolute error estimates (n, D); evaluations of the slope (n,) int64; and
    the size of step that would have come next (n,), which may be above 1."""

    y: Tensor
    error: Tensor
    evaluations: Tensor
    size: Tensor


class NotSolved(ArithmeticError):
    """The equation could not be followed to its end: says why."""


class StepTooSmall(NotSolved):
    """No step down to the least one was accurate enough, at `u`."""

    def __init__(self, u: float) -> None:
        super().__init__(f"no step was small enough at u = {u:.4g}")
        self.u = u


@dataclass(frozen=True)
class Fixed:
    """`steps` equal steps of six evaluations each, the same for all rows."""

    steps: int = 20

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"A fixed grid needs a whole number of steps, at least 1, but got {self.steps!r}.")

    def solve(self, slope: Slope, y: Tensor, first: Tensor | None, scale: Callable[[Tensor], Tensor]) -> Solved:
        """From u = 0 to u = 1. `first` is the slope at u = 0 where it is known; `scale` is not used."""
        rows = torch.arange(len(y), device=y.device)
        h, error = torch.full((len(y),), 1 / self.steps, dtype=y.dtype, device=y.device), torch.zeros_like(y)
        now = slope(y, torch.zeros_like(h), rows) if first is None else first
        for step in range(self.steps):
            u = torch.full_like(h, step / self.steps)
            y, wrong, now = _step(slope, y, u, h, now, rows)
            error = error + wrong.abs()
        count = 6 * self.steps + (first is None)
        return Solved(y, error, torch.full((len(y),), count, dtype=torch.int64, device=y.device), h)


@dataclass(frozen=True)
class Adaptive:
    """Steps whose error, in the units that the caller gives, stays below `tolerance`; chosen for each row by itself.

    Attributes:
        tolerance: of one step; the likelihood counts nats per dimension and root mean squares of the normalised x.
        most: evaluations of one row after which it is given up.
    """

    tolerance: float = 6e-5
    most: int = 3000

    def __post_init__(self) -> None:
        if (
            isinstance(self.tolerance, bool)
            or not isinstance(self.tolerance, int | float)
            or not 0 < self.tolerance < 1
        ):
            raise ValueError(f"The tolerance of a step must lie between 0 and 1, but got {self.tolerance!r}.")
        if isinstance(self.most, bool) or not isinstance(self.most, int) or self.most < 6:
            raise ValueError(f"A step takes six evaluations; most must be at least that, but got {self.most!r}.")

    def solve(
        self,
        slope: Slope,
        y: Tensor,
        first: Tensor | None,
        scale: Callable[[Tensor], Tensor],
        size: Tensor | None = None,
    ) -> Solved:
        """From u = 0 to u = 1. `first` is the slope at u = 0 where it is known; `scale` makes one number of a row's error;
        `size` (n,) is that of the steps to try first.

        Raises StepTooSmall where no step is accurate enough, NotSolved where the slope is not finite or `most`
        evaluations do not do.
        """
        n, rows = len(y), torch.arange(len(y), device=y.device)
        u, h = y.new_zeros(n), y.new_full((n,), _FIRST_STEP) if size is None else size.clone()
        before = y.new_full((n,), _LEAST_ERROR)  # error of the last accepted step, in tolerances
        y, error = y.clone(), torch.zeros_like(y)
        now = slope(y, u, rows) if first is None else first.clone()
        evaluations = torch.full((n,), int(first is None), dtype=torch.int64, device=y.device)
        while len(rows):
            last = h[rows] >= 1 - u[rows]
            taken = torch.where(last, 1 - u[rows], h[rows])
            tried, wrong, after = _step(slope, y[rows], u[rows], taken, now[rows], rows)
            evaluations[rows] += 6
            ratio = scale(wrong) / self.tolerance
            if not bool(torch.isfinite(ratio).all()):
                raise NotSolved("the field is not finite")
            good = ratio <= 1
            ratio = ratio.clamp(min=1e-10)
            shrunk = (_SAFETY * ratio ** (-1 / _ORDER)).clamp(_SHRINK, 1.0)
            grown = _SAFETY * ratio ** (0.75 * _INTEGRAL - 1 / _ORDER) * before[rows] ** _INTEGRAL
            due = taken * torch.where(good, grown.clamp(_SHRINK, _GROW), shrunk)
            h[rows] = torch.where(good & last, due.maximum(h[rows]), due)  # a last step may have been cut short
            done = rows[good]
            y[done], now[done] = tried[good], after[good]
            error[done] += wrong[good].abs()
            u[done] += taken[good]
            before[done] = ratio[good].clamp(min=_LEAST_ERROR)
            rows = rows[~(good & last)]
            stuck = h[rows] < _LEAST_STEP
            if bool(stuck.any()):
                raise StepTooSmall(float(u[rows][stuck][0]))
            if bool((evaluations[rows] >= self.most).any()):
                raise NotSolved(f"{self.most} evaluations do not reach the tolerance {self.tolerance:g}")
        return Solved(y, error, evaluations, h)


def _step(slope: Slope, y: Tensor, u: Tensor, h: Tensor, first: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(y at u + h, its error estimate, the slope there)."""
    size, slopes, moved = h[:, None], [first], y
    for time, weights in zip(_TIMES[1:], _STAGES[1:], strict=True):
        moved = y + size * _combined(weights, slopes)
        slopes.append(slope(moved, (u + time * h).clamp(max=1.0), rows))
    return moved, size * _combined(_ERROR, slopes), slopes[-1]


def _combined(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=True):
        if weight:
            total = total + weight * slope
    return total
