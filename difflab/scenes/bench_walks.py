"""The walks of LangevinBench: several methods abreast, from the same points, by the score calls that each has spent.

All of them end on p at the lowest level, sigma_min: Langevin, MALA and HMC stay there all the way, the annealed walk comes down a
ladder of levels, predictor-corrector down as many as its calls allow. Steps are r = a / V, V the smallest variance that any mode
has in any direction at the lowest level: Langevin is stable below r = 2. Of the annealed walk r = a / sigma^2 at each level.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data import GaussianMixture
from ..denoisers import ExactDenoiser, Posterior
from ..samplers import (
    HMC,
    MALA,
    AnnealedLangevin,
    Langevin,
    NoisePool,
    PredictorCorrector,
    Sampler,
    State,
    grids,
    sample,
)
from ..samplers.walks.metropolis import Chain
from ..samplers.walks.one_level import is_far
from ..schedules import FIRST_T, Geometric
from .bench_measures import Frame, Modes, measured

_LARGEST = 6e4  # what float16 holds, on the way to the browser


@dataclass(frozen=True, eq=False)
class Question:
    """What was asked for when Sample was pressed. `start` (n, 2) float32; the others as the scene's traits."""

    mixture: GaussianMixture
    start: np.ndarray
    methods: list[str]
    step: float
    calls: int
    levels: int
    sigma_min: float
    sigma_max: float
    annealed_step: str
    denoise: bool
    leapfrog: int
    snr: float
    seed: int

    def __post_init__(self) -> None:
        last = int(self.denoise)
        if not self.sigma_min < self.sigma_max:
            raise ValueError(
                f"A ladder leads down: sigma_max, {self.sigma_max:g}, must be above sigma_min, {self.sigma_min:g}."
            )
        least = {
            "mala": (2 + last, "MALA"),
            "hmc": (1 + self.leapfrog + last, f"HMC with {self.leapfrog} leapfrog steps"),
            "annealed": (self.levels + last, f"A ladder of {self.levels} levels"),
            "pc": (2 + last, "A predictor-corrector"),
        }
        for method in self.methods:
            needed, who = least.get(method, (1 + last, "Langevin"))
            if self.calls < needed:
                raise ValueError(f"{who} needs {needed} score calls or more, but there are {self.calls}.")

    @property
    def schedule(self) -> Geometric:
        return Geometric(self.sigma_min, self.sigma_max)

    @property
    def narrowest(self) -> float:
        """V, by which steps are measured."""
        return float(np.linalg.eigvalsh(self.mixture.covariances).min()) + self.sigma_min**2


def positions(calls: int, frames: int) -> list[int]:
    """At how many score calls a frame is kept, first to last: denser at the beginning, where a walk moves most."""
    return sorted({round(calls * (j / (frames - 1)) ** 1.5) for j in range(frames)})


def plan(method: str, q: Question) -> tuple[Sampler, Tensor]:
    """The method with its knobs, and a grid on which it spends as many of the calls as it can."""
    calls, a = q.calls - q.denoise, q.step * q.narrowest
    if method == "langevin":
        return Langevin(a), grids.constant(FIRST_T, calls)
    if method == "mala":
        return MALA(a, warm_up=0), grids.constant(FIRST_T, calls - 1)
    if method == "hmc":
        return HMC(math.sqrt(2 * a), warm_up=0, leapfrog=q.leapfrog), grids.constant(FIRST_T, (calls - 1) // q.leapfrog)
    if method == "pc":
        grid = grids.uniform(q.schedule, calls // 2 + 1)
        return PredictorCorrector(snr=q.snr), grid if q.denoise else grid[:-1]
    convention, epsilon = ("v1" if q.annealed_step == "v1" else "v2"), q.step * q.sigma_min**2
    sampler = AnnealedLangevin(
        calls // q.levels, None if q.annealed_step == "advised" else epsilon, q.denoise, convention
    )
    # a ladder of one level is the lowest
    grid = grids.uniform(q.schedule, q.levels) if q.levels > 1 else torch.tensor([FIRST_T, 0.0], dtype=torch.float64)
    return sampler, grid


class Walk:
    """One method on its way: `advance` spends calls and keeps a frame at each of the positions."""

    def __init__(self, method: str, question: Question, keep: list[int]) -> None:
        self.method, self.question, self.keep = method, question, keep
        self._wanted = set(keep)
        self.sampler, self.grid = plan(method, question)
        self.oracle = _Watched(question.mixture, question.schedule, self._see)
        self.frames: list[Frame] = []
        self.spent = 0
        self.exploded = ""  # in one sentence
        self._asked: dict[int, tuple[Tensor, float]] = {}  # by calls before it: the annealed walk's steps are of many
        self._calls = 0
        self._lost: int | None = None  # at how many of them that walk was beyond all reach
        self._accepted: Tensor | None = None
        self._tests = 0
        self._alone: np.ndarray | None = None
        x = torch.from_numpy(question.start)
        options = {"x": x, "noise": NoisePool(question.seed), "quiet": True}
        self._states: Iterator[State] = sample(self.oracle, self.sampler, self.grid, **options)  # type: ignore[arg-type]
        self._here = next(self._states)
        self._there: State | None = None
        self._ended = False
        self._keep(self._here.x, self._here.t)

    @property
    def acceptance(self) -> tuple[float, float] | None:
        """The mean probability of accepting a proposal so far and its standard error from row to row; None of other methods."""
        if self._accepted is None:
            return None
        rows = self._accepted / self._tests
        return float(rows.mean()), float(rows.std() / math.sqrt(len(rows)))

    def advance(self, calls: int) -> None:
        """Go on until one more step would spend more than so many calls; keep the frame there."""
        while not self._ended:
            if self._there is None and not self._look():
                break
            if self._there is None or self._there.evaluations > calls:
                break
            self._move()
        if not self._ended and calls in self._asked:
            self.spent = calls  # within a step
        self._keep(*self._now(calls))

    def _look(self) -> bool:
        """One step ahead; False if there is none."""
        try:
            self._there = next(self._states, None)
        except FloatingPointError:
            self.spent = self.spent if self._lost is None else self._lost
            stable = 4 if self.method == "annealed" and self.question.annealed_step == "v1" else 2
            self.exploded = (
                f"exploded after {self.spent:,} score calls: its steps are stable below r = {stable}, and here r ="
                f" {self.question.step:g}"
            )
        if self._there is None:
            self._finish()
        return self._there is not None

    def _move(self) -> None:
        assert self._there is not None
        self._here, self._there = self._there, None
        self.spent = self._here.evaluations
        if isinstance(self._here.memory, Chain):
            probability = self._here.memory.probability.double()
            self._accepted = probability if self._accepted is None else self._accepted + probability
            self._tests += 1

    def _finish(self) -> None:
        self._ended = True
        here = self._here
        if self.exploded or not self.question.denoise or here.t == 0:
            return
        # the others end on E[x_0 | x] by themselves
        self._here = here.moved(self.oracle(here.x, here.t).mean, 0.0)
        self.spent = self._here.evaluations

    def _see(self, x: Tensor, t: float) -> None:
        if self.method != "annealed" or self._lost is not None:
            return
        if is_far(x, self.oracle, t):
            self._lost = self._calls
        elif self._calls in self._wanted:
            self._asked[self._calls] = (x, t)
        self._calls += 1

    def _now(self, calls: int) -> tuple[Tensor, float]:
        """The points after so many calls and their time: those that the annealed walk asks about next, or where it is."""
        if calls in self._asked:
            return self._asked[calls]
        if self._asked and self.exploded:
            return self._asked[max(self._asked)]
        denoised = self._here.t == 0 and self.question.denoise
        return self._here.x, 0.0 if denoised else max(self._here.t, FIRST_T)

    def _keep(self, x: Tensor, t: float) -> None:
        x = x.nan_to_num(0.0, _LARGEST, -_LARGEST).clamp(-_LARGEST, _LARGEST)
        self.frames.append(measured(self.oracle, x, t))

    def predicted(self) -> np.ndarray:
        """The width of the modes at the frames so far as the recursion has it, each mode alone; 1 for those without a bias."""
        if self.method in ("mala", "hmc"):
            return np.ones(len(self.frames))
        if self._alone is None:
            self._alone = self._widths_alone()
        stays = self.spent if self.exploded else self.question.calls  # what exploded is predicted as far as it went
        rows = [min(calls, stays, len(self._alone) - 1) for calls in self.keep[: len(self.frames)]]
        return np.array([frame.mass @ self._alone[row] for row, frame in zip(rows, self.frames, strict=True)])

    def _widths_alone(self) -> np.ndarray:
        """Of each mode by itself, over the exact one, after 0, 1, ... score calls: (calls, K)."""
        q, modes = self.question, Modes(self.question.mixture)
        u = modes.second_moments(self.oracle, self.frames[0].x, self.frames[0].t)
        times = [t for t in self.grid.tolist() if t > 0]
        if not isinstance(self.sampler, AnnealedLangevin):
            found = modes.recursion(self.sampler, q.schedule, times, u)
            widths = [modes.width(v, q.schedule.level(t).sigma) for v, t in zip(found, times, strict=True)]
            return np.repeat(widths, self.sampler.evaluations_per_step, axis=0)
        r = self.sampler.relative_step(q.schedule, tuple(self.grid.tolist()))
        each, widths = self.sampler.steps_per_level, []
        for t in times:  # with alpha = 1 what one level hands over is what the next begins with
            sigma = q.schedule.level(t).sigma
            walk = modes.recursion(Langevin(r * sigma**2), q.schedule, [t] * (each + 1), u)
            widths += [modes.width(v, sigma) for v in walk[:-1]]
            u = walk[-1]
        return np.array([*widths, modes.width(u, sigma)])


class _Watched(ExactDenoiser):
    """The oracle, which tells `seen` of all points that it is asked about."""

    def __init__(self, data: GaussianMixture, schedule: Geometric, seen: Callable[[Tensor, float], None]) -> None:
        super().__init__(data, schedule)
        self._seen = seen

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        self._seen(x_t, float(t))
        return super().__call__(x_t, t, labels)
