"""The order of convergence of a sampler, measured: by how much its error falls when its steps get shorter.

A method has order p if the error of its end falls as h^p: for one that draws no noise the distance to the end of the probability
flow from the same start, for one that does the distance of the sampled law to p_s (weak order; Kloeden & Platen 1992, section
9.7). On double logarithmic paper that is a straight line of slope p, once the steps are short enough.

Orders are measured away from both ends, from log-SNR -4 to 4, on steps of one size in log-SNR: the last step down to clean
data is one of infinite size in log(sigma / alpha), it never gets shorter, and its error depends on the level it starts from.
Multistep methods are measured with their start-up, single steps of lower order: p is what a user gets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..checks import brief, is_whole
from ..flow.reference import check_steps, check_times
from ..samplers import Consistency, DDIMInversion, MeanFlow, OneLevel, Sampler, sample
from ..samplers.base import Step, sampler_of
from ..schedules import Schedule, VPCosine
from .law import law_of
from .targets import Gaussian, Target, check_schedule

#: (schedule, first time, last time, steps) -> steps + 1 falling times
Grid = Callable[[Schedule, float, float, int], Sequence[float] | Tensor]

LOG_SNR = 4.0  # measured from minus this to this
STEPS = (16, 32, 64, 128)
_POINTS = 64
_ROUNDING = 1e-11  # of the data's width: errors below it are those of arithmetic
_LAST = 3  # finest runs that the order is fitted to


@dataclass(frozen=True)
class Measured:
    """Errors of one method on one target, over the number of steps.

    Attributes:
        label: of the method.
        target: its name.
        declared: the order that the method says it has; 0 if it says nothing.
        weak: whether the errors are those of the law, else of the points.
        steps, evaluations: of each run.
        errors: in units of x. Of points: root mean square over them of the distance to the flow's end. Of the law: its
            2-Wasserstein distance to p_s, sqrt((difference of means)^2 + (difference of standard deviations)^2).
        order: minus the slope of log error over log steps, fitted to the finest three runs above rounding; nan if there are
            fewer than two.
        locally: the same between each run and the next, nan next to rounding.
    """

    label: str
    target: str
    declared: int
    weak: bool
    steps: tuple[int, ...]
    evaluations: tuple[int, ...]
    errors: tuple[float, ...]
    order: float
    locally: tuple[float, ...]

    def __repr__(self) -> str:
        kind = "weak order" if self.weak else "order"
        return (
            f"Measured({self.label} on {self.target}: {kind} {self.order:.2f},"
            f" error {self.errors[0]:.2g} at {self.steps[0]} steps, {self.errors[-1]:.2g} at {self.steps[-1]})"
        )


def in_log_snr(schedule: Schedule, t: float, s: float, steps: int) -> Tensor:
    """steps + 1 times evenly spaced in log-SNR from `t` down to `s`, (steps + 1,) float64.

    ValueError where an end has no finite log-SNR: at s = 0, and at t where alpha = 0.
    """
    check_schedule(schedule)
    check_steps(steps)
    (t, *_, first), (s, *_, last) = schedule.level(t), schedule.level(s)
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ValueError(
            f"Steps of one size in log-SNR have finite ends, but those of t = {t:g} and s = {s:g} are {first:g} and {last:g};"
            " give a grid of your own."
        )
    times = schedule.t_of_log_snr(torch.linspace(first, last, steps + 1, dtype=torch.float64, device="cpu"))
    times[0], times[-1] = t, s
    return times


def measure(
    sampler: Sampler | Step,
    target: Target | None = None,
    schedule: Schedule | None = None,
    steps: Sequence[int] = STEPS,
    *,
    t: float | None = None,
    s: float | None = None,
    grid: Grid = in_log_snr,
    n: int = _POINTS,
    weak: bool | None = None,
) -> Measured:
    """Runs `sampler` with these numbers of steps from time `t` to `s`, and compares.

    Args:
        sampler: a method, or a function `step(denoiser, state, s)`.
        target: Gaussian(), Line() or Plane(), or one of your own; None is Gaussian().
        schedule: None is VPCosine().
        steps: rising, at least two of them.
        t, s: None is log-SNR -4 and 4. With s = 0 the last step down to the data is measured too.
        grid: a function (schedule, t, s, steps) -> times, which must get closer everywhere when there are more of them.
        n: points whose ends are compared.
        weak: compare laws, on a one-dimensional Gaussian; None is to do so for methods that draw noise.

    Raises TypeError for what is no sampler or target, ValueError for numbers of steps and times that are none and for a law
    asked of another target, and as `sample` does.
    """
    target, schedule = Gaussian() if target is None else target, VPCosine() if schedule is None else schedule
    if not isinstance(target, Target):
        raise TypeError(f"A target is Gaussian(), Line() or Plane(), but got {brief(target)}.")
    check_schedule(schedule)
    if not callable(grid):
        raise TypeError(f"grid is a function (schedule, t, s, steps) -> times, but got {brief(grid)}.")
    if weak is not None and not isinstance(weak, bool):
        raise TypeError(f"weak must be True, False or None, but got {brief(weak)}.")
    method = sampler_of(sampler)
    if isinstance(method, OneLevel | DDIMInversion | Consistency | MeanFlow):
        raise TypeError(
            f"{method.label} does not follow the flow from noise to data in steps whose size tells its error: there is no"
            " order to measure."
        )
    counts = _checked(steps)
    ends = schedule.t_of_log_snr(torch.tensor([-LOG_SNR, LOG_SNR], dtype=torch.float64, device="cpu")).tolist()
    t, s = ends[0] if t is None else t, ends[1] if s is None else s
    check_times(t, s)
    if s >= t:
        raise ValueError(f"A sampler's times fall, but got t = {t:g} and s = {s:g}.")
    weak = method.random if weak is None else weak
    compare = _laws if weak else _points
    found = compare(method, target, schedule, [grid(schedule, t, s, count) for count in counts], t, s, n)
    errors = tuple(error for error, _ in found)
    order, locally = _slopes(counts, errors, _ROUNDING * max(1.0, target.data.sigma_data))
    spent = tuple(evaluations for _, evaluations in found)
    return Measured(method.label, target.name, method.order, weak, counts, spent, errors, order, locally)


def _laws(
    method: Sampler,
    target: Target,
    schedule: Schedule,
    times: list[Sequence[float] | Tensor],
    t: float,
    s: float,
    n: int,
) -> list[tuple[float, int]]:
    if not isinstance(target, Gaussian):
        raise ValueError(
            f"The law of a method that draws noise ({method.label}) is known on Gaussian data only; take Gaussian()."
        )
    oracle, start, (mean, var) = target.denoiser(schedule), target.law(schedule, t), target.law(schedule, s)
    found = []
    for run in times:
        law = law_of(method, oracle, run)
        got_mean, got_var = law.after(*start)
        found.append((math.hypot(got_mean - mean, math.sqrt(got_var) - math.sqrt(var)), law.evaluations))
    return found


def _points(
    method: Sampler,
    target: Target,
    schedule: Schedule,
    times: list[Sequence[float] | Tensor],
    t: float,
    s: float,
    n: int,
) -> list[tuple[float, int]]:
    oracle, (x, due) = target.denoiser(schedule), target.pairs(n, schedule, t, s)
    found = []
    for run in times:
        for state in sample(oracle, method, run, x=x):
            last = state
        error = (last.x - due).square().flatten(1).sum(1).mean().sqrt()
        found.append((float(error), last.evaluations))
    return found


def _slopes(steps: tuple[int, ...], errors: tuple[float, ...], floor: float) -> tuple[float, tuple[float, ...]]:
    """The order, by least squares over the finest runs above `floor`, and the order between neighbours."""
    known = [(math.log(n), math.log(e)) for n, e in zip(steps, errors, strict=True) if e > floor][-_LAST:]
    order = math.nan
    if len(known) >= 2:
        a, b = (sum(v) / len(known) for v in zip(*known, strict=True))
        order = -sum((x - a) * (y - b) for x, y in known) / sum((x - a) ** 2 for x, _ in known)
    locally = tuple(
        math.log(e / f) / math.log(m / n) if min(e, f) > floor else math.nan
        for (n, e), (m, f) in pairwise(zip(steps, errors, strict=True))
    )
    return order, locally


def _checked(steps: Sequence[int]) -> tuple[int, ...]:
    counts = tuple(steps) if isinstance(steps, Sequence) and not isinstance(steps, str) else ()
    if len(counts) < 2 or not all(is_whole(n) for n in counts) or any(b <= a for a, b in pairwise(counts)):
        raise ValueError(
            f"An order is measured between two or more rising numbers of steps, such as {STEPS}, but got {brief(steps)}."
        )
    return tuple(int(n) for n in counts)
