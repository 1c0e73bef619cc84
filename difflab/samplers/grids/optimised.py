"""What the optimised grids have in common: what comes of them, what they are asked with, and the denoiser's calls counted."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from ...checks import brief, check_generator, is_whole
from ...denoisers import Denoiser, Posterior
from ...denoisers.base import Checked
from .checks import check_steps
from .levels import ends, grid_of

MOST_LEVELS = 10_000  # of a table of all pairs of them


@dataclass(frozen=True, eq=False)
class Optimised:
    """A grid that was found for one denoiser: `sample(denoiser, sampler, found.times)`.

    Attributes:
        times: (steps + 1,), float64.
        value: what was made small, at these times; the method says what it is.
        before: the same for steps evenly spaced in log-SNR over the same range.
        seconds: that it took.
        evaluations: calls of the denoiser that it took.
    """

    times: Tensor
    value: float
    before: float
    seconds: float
    evaluations: int

    def __repr__(self) -> str:
        steps = len(self.times) - 1
        return (
            f"Optimised({steps} steps, {self.before:.3g} -> {self.value:.3g} in {self.seconds:.1f} s,"
            f" {self.evaluations} evaluations)"
        )


class Counted:
    """A denoiser that counts its calls, looks at its answers and otherwise is the one it was made of."""

    def __init__(self, denoiser: Denoiser) -> None:
        self._checked = Checked(denoiser)
        self.schedule, self.calls = denoiser.schedule, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_checked"].denoiser, name)

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        self.calls += 1
        answer = self._checked(x_t, t, labels)
        if x_t.device.type != "meta" and not bool(answer.mean.isfinite().all()):
            raise FloatingPointError(
                f"The denoiser returned nan or inf at t = {float(t):.4g}, so no grid was found for it."
            )
        return answer


class Search:
    """One search for a grid: its range, its clock, and the denoiser with its calls counted.

    Raises TypeError for what is no denoiser and no generator, ValueError for steps and levels that are none.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        steps: int,
        sigma_min: float | None,
        sigma_max: float | None,
        generator: Generator | None,
    ) -> None:
        self._began = time.perf_counter()
        self.denoiser = Counted(denoiser)
        self.schedule = denoiser.schedule
        check_steps(steps)
        check_generator(generator)
        self.steps, self.generator = int(steps), generator
        self.low, self.high = ends(self.schedule, sigma_min, sigma_max)

    def even(self, count: int) -> Tensor:
        """`count` levels evenly spaced in log-SNR, highest first: (count,)."""
        return torch.linspace(math.log(self.high), math.log(self.low), count, dtype=torch.float64, device="cpu").exp()

    def found(self, levels: Tensor, value: float, before: float) -> Optimised:
        """The grid of `levels`, (steps,), and 0."""
        times = grid_of(self.schedule, levels, to_data=True)
        return Optimised(times, value, before, time.perf_counter() - self._began, self.denoiser.calls)


def check_count(name: str, value: int, least: int, most: int = 10**8) -> None:
    """Raises ValueError unless `value` is a whole number from `least` to `most`."""
    if not is_whole(value, least):
        raise ValueError(f"{name} must be a whole number, {least} or more, but got {brief(value)}.")
    if value > most:
        raise ValueError(f"{name} must be at most {most:,}, but got {brief(value)}.")
