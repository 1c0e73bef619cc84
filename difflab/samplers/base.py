"""What a sampler is: a step from (x_t, t) to (x_s, s), and the generator that takes one step after the other.

Samplers hold no memory: what a run has to remember travels in its `State`. Times fall from noise (1) to data (0, exactly),
and the state at 0 is a sample. What a step multiplies tensors by are plain numbers (`Schedule.level`): they cost nothing,
hold float64's digits and live on no device.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ..checks import array_of, brief, check_like, is_whole
from ..denoisers import Denoiser, NetworkDenoiser
from ..denoisers.base import Checked, check_samples
from ..device import resolve
from ..flow.circle import width_of
from ..schedules import Schedule, warn_unless_noise
from . import grids
from .noise import Noise, NoisePool
from .state import State as State

_EVALUATIONS = 20  # where nothing is said
_FEW = 16  # numbers
_MOST, _MOST_EVALUATIONS = 10**12, 10**7  # samples, or numbers of one; beyond them is nothing but a mistake


class Sampler(ABC):
    """Base of all samplers; subclasses are frozen dataclasses whose fields are their knobs."""

    @property
    def evaluations_per_step(self) -> int:
        """Calls of the denoiser that a step takes, but for the last one."""
        return 1

    @property
    @abstractmethod
    def order(self) -> int:
        """Of convergence in the size of a step: of the probability flow's endpoint, or, for random samplers, of the sampled
        law (weak order)."""

    @property
    def random(self) -> bool:
        """Whether its steps draw noise."""
        return False

    @property
    @abstractmethod
    def label(self) -> str:
        """What the method is called on screen, with every choice that changes the result."""

    @abstractmethod
    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        """From `state`, at state.t, to time `s`; `s == 0` is the last step and gives clean data."""

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        """Times that suit the method, for at most this many evaluations (never less than one step)."""
        return grids.uniform(schedule, max(1, evaluations // self.evaluations_per_step))

    def check_grid(self, times: tuple[float, ...]) -> None:
        """Raises ValueError, in one sentence, for a grid this method cannot follow."""
        grids.check_decreasing(times)

    def failure(self, denoiser: Denoiser, before: State, after: State) -> str:
        """Why the step from `before` to `after` ended in nan or inf, and what to do, in one sentence."""
        if after.denoised is not None and not _finite(after.denoised):
            return f"The denoiser returned nan or inf at t = {before.t:.4g}, so sampling stopped there."
        return (
            f"The step from t = {before.t:.4g} to {after.t:.4g} overflowed: the sampler needs smaller steps, or a grid made"
            " for this schedule."
        )


Step = Callable[[Denoiser, State, float], "State | Tensor"]


@dataclass(frozen=True)
class Function(Sampler):
    """A sampler of your own: a plain function `step(denoiser, state, s)`.

    It returns `state.moved(x, s, denoised)`, or the samples at `s` alone, which then counts as one evaluation. Its order is
    not known (0): `difflab.convergence` measures it.
    """

    function: Step
    order: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type):
            raise TypeError(
                "A sampler is an object such as DDIM(), or a function step(denoiser, state, s), but got"
                f" {brief(self.function)}."
            )

    @property
    def label(self) -> str:
        return getattr(self.function, "__name__", "a function")

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        after = self.function(denoiser, state, s)
        if isinstance(after, Tensor):
            after = state.moved(after, s, None)
        if not isinstance(after, State):
            raise TypeError(
                f"A step must return the next State, or its x alone, but {self.label} returned {brief(after)}."
            )
        check_like(after.x, state.x, f"What {self.label} returns")
        here, there = (s, state.x.device), (after.t, after.x.device)
        if here != there:
            raise ValueError(f"A step must end at s, where x is, {here}, but that of {self.label} ends at {there}.")
        return after


def sample(
    denoiser: Denoiser,
    sampler: Sampler | Step | None = None,
    grid: Tensor | Sequence[float] | None = None,
    *,
    evaluations: int | None = None,
    n: int | None = None,
    x: Tensor | None = None,
    shape: tuple[int, ...] | None = None,
    generator: Generator | None = None,
    noise: Noise | None = None,
    device: str | torch.device | None = None,
    quiet: bool = False,
) -> Iterator[State]:
    """Yields the state at the start and after each step: len(grid) states. Of classes: `Conditioned(denoiser, labels)`.

    Args:
        sampler: a method, such as Heun(), or a function `step(denoiser, state, s)`; by default `VelocityAdams` of two points
            for up to six evaluations and where the denoiser is guided, else of three; for consistency models `Consistency`.
        grid: decreasing times, usually down to 0 (see `grids`), else what is left is x at the last one; by default the one
            that suits the sampler for this many evaluations.
        evaluations: calls of the denoiser at most, by default 20, but never less than one step; a function counts as one call
            a step, and RK45 spends what its tolerance asks for. A guided denoiser is one call, whatever it asks inside.
        n: number of samples, started from the prior; or
        x: (n, *shape), the samples at time grid[0] to start from.
        shape: of one sample, where the denoiser does not know it.
        generator: gives one number, the seed of the run's `NoisePool`; or
        noise: the pool itself. Two runs of one pool start from the same noise, and share that of their steps.
        device: where the run takes place: by default where the denoiser is (its `device`), or, if that does not
            matter to it, where `x` is, else "cpu".
        quiet: do not warn, NoiseNotReached, where a run starts from the prior and x_1 is not noise.

    Raises TypeError or ValueError, in one sentence, for what is no denoiser, sampler, grid or samples, or for neither or
    both of n and x; and, on the way, for answers that are no Posterior shaped like x, and FloatingPointError if the
    denoiser returns nan or inf.
    """
    evaluations = _budget(grid, evaluations)
    method = _default(denoiser, evaluations) if sampler is None else sampler_of(sampler)
    # what comes from a network is looked at there
    checked = denoiser if type(denoiser) is NetworkDenoiser else Checked(denoiser)
    if grid is None:
        grid = method.default_grid(denoiser.schedule, evaluations)
    times = times_of(grid)
    method.check_grid(times)
    if not isinstance(quiet, bool):
        raise TypeError(f"quiet must be True or False, but got {brief(quiet)}.")
    if noise is None:
        noise = NoisePool.drawn(generator)
    elif generator is not None:
        raise ValueError("Give either generator, which seeds the noise, or noise, the pool itself.")
    elif not isinstance(noise, Noise):
        raise TypeError(f"noise must be a pool such as NoisePool(0), but got {brief(noise)}.")
    if (n is None) == (x is None):
        raise ValueError("Give either n, a number of samples, or x, the samples to start from.")
    if x is None:
        assert n is not None
        if times[0] == 0:
            raise ValueError("A run that starts at t = 0 starts from data: give them as x.")
        shape = shape if shape is not None else getattr(denoiser, "shape", None)
        if shape is None:
            raise ValueError("This denoiser does not know the shape of a sample; give shape.")
        x = _start(noise, n, shape) * prior_std(denoiser.schedule, times[0], width_of(denoiser))
        if times[0] == 1 and not quiet:
            warn_unless_noise(denoiser.schedule, denoiser.schedule.terminal_kl())
    else:
        check_samples(x, shape if shape is not None else getattr(denoiser, "shape", None))
    if device is None:
        device = getattr(denoiser, "device", None)
    where = x.device if device is None else resolve(device)
    if x.is_meta and where.type != "meta":
        raise ValueError(f"x is on the meta device, where it has no values, but the run takes place on {where}.")
    return _steps(checked, method, State(x.to(where), times[0], times, noise))


def _start(noise: Noise, n: int, shape: tuple[int, ...]) -> Tensor:
    if not is_whole(n, 0) or n > _MOST:
        raise ValueError(f"The number of samples must be a whole number, 0 or more, but got {brief(n)}.")
    if not isinstance(shape, tuple | list) or not all(is_whole(k, 0) for k in shape) or math.prod(shape) > _MOST:
        raise ValueError(f"shape is that of one sample, whole numbers such as (2,), but got {brief(shape)}.")
    try:
        return noise.start(int(n), tuple(map(int, shape)))
    except MemoryError:
        raise ValueError(f"There is no memory for {n:,} samples of the shape {tuple(shape)}: draw fewer.") from None


def sampler_of(sampler: Sampler | Step) -> Sampler:
    """The method itself, or the function as one. TypeError for what is neither."""
    return sampler if isinstance(sampler, Sampler) else Function(sampler)


def _default(denoiser: Denoiser, evaluations: int) -> Sampler:
    from .best import best_for  # which is made of samplers

    return best_for(denoiser, evaluations)


def _budget(grid: Tensor | Sequence[float] | None, evaluations: int | None) -> int:
    """How many evaluations there may be, or how many steps a grid has."""
    if grid is not None:
        if evaluations is not None:
            raise ValueError("Give either a grid or a number of evaluations, for which the sampler chooses one.")
        return len(times_of(grid)) - 1
    if evaluations is None:
        return _EVALUATIONS
    if not is_whole(evaluations) or evaluations > _MOST_EVALUATIONS:
        raise ValueError(
            f"The number of evaluations must be a whole number, 1 or more and at most {_MOST_EVALUATIONS:,}, but got"
            f" {brief(evaluations)}."
        )
    return int(evaluations)


def times_of(grid: Tensor | Sequence[float]) -> tuple[float, ...]:
    """The times of a grid as plain numbers. ValueError for what is no row of them."""
    if isinstance(grid, tuple) and all(type(t) is float for t in grid):
        return grid
    grid = getattr(grid, "times", grid)  # of an Optimised one
    what = "A grid's times, first to last,"
    if not isinstance(grid, Tensor):
        grid = torch.from_numpy(array_of(grid, what))  # which refuses what are no numbers
    if grid.is_complex() or grid.is_meta or grid.ndim != 1:
        raise ValueError(f"{what} must be one row of numbers, but got {brief(grid)}.")
    return tuple(grid.double().tolist())


def _steps(denoiser: Denoiser, sampler: Sampler, state: State) -> Iterator[State]:
    yield state
    for s in state.grid[1:]:
        if torch.is_grad_enabled():  # to switch it off twice takes its time
            with torch.no_grad():
                state = _step(denoiser, sampler, state, s)
        else:
            state = _step(denoiser, sampler, state, s)
        yield state


def _step(denoiser: Denoiser, sampler: Sampler, state: State, s: float) -> State:
    after = sampler.step(denoiser, state, s)
    if not isinstance(after, State):
        raise TypeError(
            f"A step must return the next State, state.moved(x, s), but {sampler.label} returned {brief(after)}."
        )
    if not _finite(after.x):
        raise FloatingPointError(sampler.failure(denoiser, state, after))
    return after


def final(states: Iterator[State]) -> Tensor:
    """The samples at the end of a run, (n, *shape). TypeError for what are no states of one, ValueError for none."""
    if isinstance(states, Tensor) or not isinstance(states, Iterable):
        raise TypeError(f"A run is the states that sample yields, but got {brief(states)}.")
    last = None
    for last in states:  # noqa: B007
        pass
    if last is None:
        raise ValueError("A run without states has no end: it gives them once, and this one has given them.")
    if not isinstance(last, State):
        raise TypeError(f"A run is the states that sample yields, but got {brief(last)}.")
    return last.x


def prior_std(schedule: Schedule, t: float, sigma_data: float = 1.0) -> float:
    """Standard deviation of what a run starts from at `t`: the prior's at t = 1, below it that of x_t for data of standard
    deviation `sigma_data`, sqrt(alpha^2 sigma_data^2 + sigma^2)."""
    if t == 1:
        return schedule.prior_std
    level = schedule.level(t)
    return math.hypot(level.alpha * sigma_data, level.sigma)


def _finite(x: Tensor) -> bool:
    if x.is_meta:  # a dry run has no values
        return True
    if x.is_cpu and x.numel() <= _FEW:  # sooner told in Python
        return _all_finite(x.tolist())
    # one number says it, unless the sum itself overflows
    return math.isfinite(x.sum().item()) or bool(x.isfinite().all())


def _all_finite(numbers: Any) -> bool:
    return math.isfinite(numbers) if isinstance(numbers, float) else all(map(_all_finite, numbers))
