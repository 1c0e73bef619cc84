"""The adaptive Runge-Kutta method of Dormand and Prince (1980): the error is asked for, and the steps are found.

It follows the probability flow in the coordinates of circle.py, where it is finite from noise alone to the lowest level of the
schedule, so that the whole way from 1 to 0 can be one "step" of a grid. Each row of the batch has steps of its own (see
`runge_kutta`): no row's result depends on what else is in the batch.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from ...denoisers import Denoiser
from ...device import has_float64
from ...flow.circle import place, radius_and_cos, times_of, width_of
from ...runge_kutta import Adaptive, Fixed, NotSolved, StepTooSmall
from ...schedules import FIRST_T, Schedule
from .. import grids
from ..base import Sampler, State

_FIRST_STEP = 0.3  # nats of log(sigma / alpha)
_STAGES = 6  # new evaluations of a step


@dataclass(frozen=True)
class RK45(Sampler):
    """Dormand and Prince's pair on the probability flow (as Y. Song et al. 2021, section 4.3, use it), fifth order.

    The times of its grid are only where states are kept: between them it steps as it needs to. At s = 0 it goes down to the
    schedule's lowest level and ends on E[x_0 | x]. `State.evaluations` counts calls of the denoiser, each of the whole batch
    with a time for each row: as many as the row that needs most. x itself is kept in its dtype, the steps in between in
    float64 where the device has it.

    Args:
        tolerance: error of one step of a row that is accepted, root mean square over its coordinates, in units of
            sqrt(c^2 alpha^2 + sigma^2), c the width of the data; between 0 and 1. The end is usually off by a few times that.
        most: evaluations of one row within one step of the grid, at least 6, after which it gives up.

    Raises FloatingPointError, in one sentence, where the denoiser returns nan or inf, where no step is small enough for the
    tolerance, or where `most` evaluations do not do.
    """

    tolerance: float = 1e-5
    most: int = 3000
    order: ClassVar[int] = 5
    evaluations_per_step: ClassVar[int] = _STAGES

    def __post_init__(self) -> None:
        Adaptive(self.tolerance, self.most)  # which refuses what is none

    @property
    def label(self) -> str:
        return f"RK45 (adaptive, tolerance {self.tolerance:g})"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """[1, 0], for any number of evaluations: it takes as many as its tolerance asks for."""
        return grids.uniform(schedule, 1)

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        end = s if s > 0 else min(FIRST_T, state.t)
        way = _Way(denoiser, state.x, state.t, end)
        x, size = way.followed(self, state.memory)
        evaluations, denoised = way.evaluations, way.denoised
        if s == 0:
            x = denoised = denoiser(x, end).mean
            evaluations += 1
        return state.moved(x, s, denoised, evaluations, memory=size)


@dataclass
class _Way:
    """From time t to s, in the coordinates (z, u) of circle.py; the solver's own variable runs from 0 to 1 along u.

    The denoiser is always asked about the whole batch (its labels may belong to the rows); rows that have arrived stay.
    """

    denoiser: Denoiser
    x: Tensor
    t: float
    s: float
    evaluations: int = 0
    denoised: Tensor | None = None
    asked: deque[tuple[Tensor, Tensor]] = field(default_factory=lambda: deque(maxlen=_STAGES + 1))

    def __post_init__(self) -> None:
        schedule, x = self.denoiser.schedule, self.x
        self.width = width_of(self.denoiser)
        self.first = place(schedule, self.t, self.width)
        self.length = place(schedule, self.s, self.width) - self.first
        self.dtype = torch.float64 if has_float64(x.device) else torch.float32
        self.z = x.to(self.dtype).flatten(1) / self._radius(self.t)
        self.u = self.z.new_zeros(len(x))

    def followed(self, method: RK45, size: Tensor | None) -> tuple[Tensor, Tensor]:
        """x at the end, and for each row the size of step to go on with, in nats."""
        if self.length == 0:
            return self.x, self.z.new_full((len(self.x),), _FIRST_STEP) if size is None else size
        if self.x.device.type == "meta":  # a dry run has no errors to choose steps by
            found = Fixed(1).solve(self._slope, self.z, None, _root_mean_square)
        else:
            nats = self.z.new_full((len(self.x),), _FIRST_STEP) if size is None else size
            try:
                found = Adaptive(method.tolerance, method.most).solve(
                    self._slope, self.z, None, _root_mean_square, (nats / abs(self.length)).clamp(max=1.0)
                )
            except StepTooSmall as stuck:
                raise FloatingPointError(self._stuck(method, stuck.u)) from None
            except NotSolved:  # and not what the denoiser itself raises
                raise FloatingPointError(self._failed(method)) from None
        x = (found.y * self._radius(self.s)).reshape(self.x.shape).to(self.x.dtype)
        return x, found.size * abs(self.length)

    def _slope(self, z: Tensor, u: Tensor, rows: Tensor) -> Tensor:
        self.z, self.u = self.z.index_copy(0, rows, z), self.u.index_copy(0, rows, u)
        schedule = self.denoiser.schedule
        t = times_of(schedule, self.first + self.length * self.u, self.width)
        # the ends are known better than u says them
        t = torch.where(self.u == 0, self.t, torch.where(self.u == 1, self.s, t))
        radius, cos = radius_and_cos(schedule, t, self.width)
        x = (self.z * radius[:, None]).reshape(self.x.shape).to(self.x.dtype)
        self.denoised = self.denoiser(x, t).mean
        self.evaluations += 1
        self.asked.append((t, self.denoised))
        slope = cos[:, None] * self.z - self.denoised.to(self.dtype).flatten(1) / self.width
        return (self.length * slope)[rows]

    def _radius(self, t: float) -> float:
        level = self.denoiser.schedule.level(t)
        return math.hypot(self.width * level.alpha, level.sigma)

    def _stuck(self, method: RK45, u: float) -> str:
        place_there = torch.tensor(self.first + self.length * u, dtype=torch.float64, device="cpu")
        t = float(times_of(self.denoiser.schedule, place_there, self.width).detach())
        return (
            f"Near t = {t:.4g} no step of RK45 was small enough for the tolerance {method.tolerance:g}: the denoiser is not"
            " smooth there, or not as precise as that; raise the tolerance, or take a method of fixed steps."
        )

    def _failed(self, method: RK45) -> str:
        for t, mean in self.asked:
            bad = ~mean.flatten(1).isfinite().all(1)
            if bool(bad.any()):
                return f"The denoiser returned nan or inf at t = {float(t[bad][0]):.4g}, so sampling stopped there."
        return (
            f"Between t = {self.t:.4g} and {self.s:.4g} {method.most} evaluations of RK45 do not reach the tolerance"
            f" {method.tolerance:g}; raise the tolerance, or `most`."
        )


def _root_mean_square(error: Tensor) -> Tensor:
    return error.square().mean(1).sqrt()
