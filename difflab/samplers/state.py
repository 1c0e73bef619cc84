"""Where a run is: all that a step may know of what was before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..schedules import Schedule
from .noise import Noise


@dataclass(frozen=True, eq=False)
class State:
    """Where a run is.

    Attributes:
        x: (n, *shape), samples at time `t`.
        t: time, 0 at the end.
        grid: all times of the run, first to last.
        noise: where every random draw comes from.
        index: number of steps taken.
        evaluations: number of calls of the denoiser so far.
        denoised: the last E[x_0 | x_t] that was asked for, shaped as x; None at the start.
        z: the standard normal draws of the step that led here, shaped as x, or (draws, *x.shape) of several; None if none.
        memory: what the method remembers of earlier steps (a multistep method's slopes, an adapted step size); None at the
            start. Only the sampler that wrote it reads it.
    """

    x: Tensor
    t: float
    grid: tuple[float, ...]
    noise: Noise
    index: int = 0
    evaluations: int = 0
    denoised: Tensor | None = None
    z: Tensor | None = None
    memory: Any = None

    def moved(
        self,
        x: Tensor,
        s: float,
        denoised: Tensor | None = None,
        evaluations: int = 1,
        *,
        z: Tensor | None = None,
        memory: Any = None,
    ) -> State:
        """The state after a step to (x, s) that took this many calls of the denoiser."""
        after = object.__new__(State)  # a frozen dataclass sets its fields one by one, in twice the time
        after.__dict__.update(
            x=x,
            t=s,
            grid=self.grid,
            noise=self.noise,
            index=self.index + 1,
            evaluations=self.evaluations + evaluations,
            denoised=denoised,
            z=z,
            memory=memory,
        )
        return after

    def draw(self, schedule: Schedule, s: float) -> Tensor:
        """The standard normal noise of a step from here down to `s`, shaped as x."""
        return self.noise.between(self.x, self.index, schedule.level(self.t).log_snr, schedule.level(s).log_snr)
