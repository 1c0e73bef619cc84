"""Annealed Langevin dynamics: a few Langevin steps at each noise level, from the highest to the lowest.

Plain Langevin at a low level stays in the mode where it started; at a high one all modes are one, and the way down keeps how many
samples each of them got (Song & Ermon 2019, section 4.3). What one level hands to the next is y = x / alpha, in whose frame data
keep their size and level = sigma / alpha is all that falls: so one method serves every schedule. In x itself a step is

    x <- x + r (alpha E[x_0 | x] - x) + sqrt(2 r) sigma z,   r = a / level^2, the same at all levels,

which needs no division by alpha and is good where alpha = 0. While r < 2 it is stable for any data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from ...advice import langevin_step
from ...checks import brief, is_number, is_whole
from ...denoisers import Denoiser
from ...schedules import Schedule
from .. import grids
from ..base import Sampler, State
from ..knobs import check_flag
from .one_level import is_far, stopped, why_it_diverged

_langevin_step = lru_cache(2**10)(langevin_step)  # every step of a walk asks for the same one
# Technique 4 takes steps just large enough to walk from one level to the next. With levels close together (or one alone)
# that is no step at all, and errors of the start or of a network would stay as they are: so never less than for levels
# 10 % apart.
_LEAST_RATIO = 1.1


@dataclass(frozen=True)
class AnnealedLangevin(Sampler):
    """NCSN (Song & Ermon 2019, Alg. 1) and NCSNv2 (Song & Ermon 2020, Alg. 1): the levels are the grid's times above 0.

    With a = epsilon level^2 / lowest_level^2, `steps_per_level` times at each level,

        v2: y <- y + a score(y) + sqrt(2 a) z        v1: y <- y + a/2 score(y) + sqrt(a) z.

    The order of events is the published one, cut elsewhere: a step from t to s hands x over and then walks at s (the first step
    walks at t, too, before). So the state that it returns has the noise of the time that it bears, and a grid may end above 0, on
    samples of its last level. Cut as published, a step would walk at t and return x with that level's noise at s.

    Args:
        steps_per_level: Langevin updates at each level.
        epsilon: step size a at the lowest level, in squared units of x / alpha; None takes the walk of Technique 4 (Song & Ermon
            2020, eq. 4), in both conventions the same.
        denoise: end at 0 on E[x_0 | x] at the lowest level, as NCSNv2 does, instead of on a sample that still carries its noise,
            as NCSN. On CIFAR-10 the published FID is 10.87 with it and 31.75 without: `label` says which one this is.
        convention: "v2" or "v1", whose epsilon is twice as large for the same walk (2e-5 for levels from 1 to 0.01).

    Raises ValueError for a knob out of range.
    """

    steps_per_level: int = 5
    epsilon: float | None = None
    denoise: bool = True
    convention: str = "v2"
    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not is_whole(self.steps_per_level):
            raise ValueError(f"Annealed Langevin needs 1 step per level or more, not {brief(self.steps_per_level)}.")
        if self.epsilon is not None and (not is_number(self.epsilon) or self.epsilon <= 0):
            raise ValueError(f"The step size epsilon must be above 0, or None, but got {brief(self.epsilon)}.")
        check_flag("denoise", self.denoise)
        if not isinstance(self.convention, str) or self.convention not in ("v1", "v2"):
            raise ValueError(f"The convention of annealed Langevin is 'v1' or 'v2', but got {brief(self.convention)}.")

    @property
    def evaluations_per_step(self) -> int:
        return self.steps_per_level

    @property
    def label(self) -> str:
        end = "denoised at the end" if self.denoise else "no last denoising step"
        return f"Annealed Langevin (NCSN{'v2' if self.convention == 'v2' else ''}, {end})"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.uniform(schedule, max(1, (evaluations - self.denoise) // self.steps_per_level))

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        here, there = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        r = self.relative_step(denoiser.schedule, state.grid)
        x, x0, evaluations = state.x, state.denoised, 0
        draws: list[Tensor] = []
        if x0 is None or not isinstance(state.memory, float) or state.memory != state.t:  # nobody has walked here yet
            x, x0 = self._walk(denoiser, state, x, state.t, r, draws, state.index)
            evaluations += self.steps_per_level
        if s == 0 and self.denoise:
            x = x0 = denoiser(x, state.t).mean
            evaluations += 1
        elif here.alpha == 0:  # x / alpha is not defined: x_0 takes its place in x, whose noise is kept
            x = there.sigma / here.sigma * x + there.alpha * x0
        else:
            x = there.alpha / here.alpha * x
        if s > 0:
            x, x0 = self._walk(denoiser, state, x, s, r, draws, state.index + 1)
            evaluations += self.steps_per_level
        z = None if not draws else draws[0] if len(draws) == 1 else torch.stack(draws)
        return state.moved(x, s, x0, evaluations, z=z, memory=s)

    def relative_step(self, schedule: Schedule, grid: tuple[float, ...]) -> float:
        """r = a / level^2, one number for all levels of the grid."""
        count = len(grid) - (grid[-1] == 0)  # of levels
        highest, lowest = schedule.level(grid[0]).ratio, schedule.level(grid[count - 1]).ratio
        if highest == math.inf and count > 1:  # noise alone
            highest = schedule.level(grid[1]).ratio
        if self.epsilon is not None:
            return self.epsilon / lowest**2 / (1 if self.convention == "v2" else 2)
        ratio = (highest / lowest) ** (1 / max(1, count - 1)) if lowest < math.inf else 1.0
        return _langevin_step(max(ratio, _LEAST_RATIO), int(self.steps_per_level))

    def _walk(
        self, denoiser: Denoiser, state: State, x: Tensor, t: float, r: float, draws: list[Tensor], name: int
    ) -> tuple[Tensor, Tensor]:
        """Where the updates at level `t` lead, and the last E[x_0 | x_t]; noise is named by the level, `name`."""
        level = denoiser.schedule.level(t)
        for j in range(self.steps_per_level):
            z = state.noise.step(x, name, j)
            x0 = denoiser(x, t).mean
            x = torch.add(x * (1 - r), x0, alpha=r * level.alpha).add_(z, alpha=math.sqrt(2 * r) * level.sigma)
            draws.append(z)
        return stopped(x, denoiser, t), x0

    def failure(self, denoiser: Denoiser, before: State, after: State) -> str:
        r = self.relative_step(denoiser.schedule, before.grid)
        far = is_far(before.x, denoiser, before.t) or r >= 2
        if far or (after.denoised is not None and bool(after.denoised.isfinite().all())):
            t = after.t or before.t
            a = r * denoiser.schedule.level(t).sigma ** 2
            return why_it_diverged("Annealed Langevin", "step size there", a, denoiser, t)
        return super().failure(denoiser, before, after)
