"""ScheduleDesk: shape the schedule, and see at once whether it reaches noise."""

from __future__ import annotations

import math
from typing import Any

import traitlets

from ..data import DataSet
from .base import Scene
from .choices import SCHEDULES, STEP_RANGE, as_data, schedule_of
from .traits import ScheduleTrait, StepsTrait


class ScheduleDesk(Scene):
    """alpha, sigma, log-SNR and beta of a schedule, with its sliders and the gauge "did we reach noise?".

    The curves are computed in the browser; the gauge's L_T = KL(q(x_T | x_0) || prior), averaged over `data`, in Python.

    Args:
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        data: whose second moment enters L_T; default the ring of eight.
    """

    schedule = ScheduleTrait()
    steps = StepsTrait(1000, most=10_000)
    choices = traitlets.List(SCHEDULES).tag(sync=True)
    step_range = traitlets.List(list(STEP_RANGE)).tag(sync=True)
    terminal = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "steps")

    def __init__(
        self, schedule: Any = None, steps: int = 1000, data: DataSet | str | None = None, **traits: Any
    ) -> None:
        self.data = as_data(data)
        super().__init__(schedule=schedule, steps=steps, **traits)
        self.observe(lambda _: self.refresh(), ["schedule", "steps"])
        self.refresh()

    def show(self, data: DataSet) -> None:
        """Measure L_T for other data from now on."""
        self.data = data
        self.refresh()

    def refresh(self) -> None:
        """Compute the gauge again, in the background."""
        self.compute("exact", "terminal", self._measure)

    def _measure(self) -> None:
        self.publish(terminal=terminal(self.data, self.schedule, self.steps))

    def numbers(self) -> dict[str, float]:
        """L_T in nats/dim, alpha_bar_T, reaches_noise (0 or 1), steps and the schedule's parameters."""
        base = super().numbers()
        gauge = self.terminal or {}
        own = {k: float(gauge[k]) for k in ("L_T", "alpha_bar_T", "reaches_noise") if k in gauge}
        return base | own | {"steps": float(self.steps)} | {k: float(v) for k, v in self.schedule["params"].items()}


def terminal(data: DataSet, spec: dict[str, Any], steps: int) -> dict[str, Any]:
    """What is left of the data at the chain's end: L_T per dimension, alpha_bar_T, and a sentence if that is not noise; and
    the schedule and steps that this was computed for.
    """
    from ..schedules import REACHED, kl_to_prior

    schedule = schedule_of(spec)
    alphas, sigmas = schedule.table(steps)
    alpha, sigma = float(alphas[-1]), float(sigmas[-1])
    nats = kl_to_prior(alpha, sigma, schedule.prior_std, data.second_moment)
    unit, value = ("bits/dim", nats / math.log(2)) if data.levels else ("nats/dim", nats)
    reaches = nats <= REACHED
    sentence = "" if reaches else _too_early(schedule.variance_preserving, alpha**2, value, unit)
    return {
        "L_T": value,
        "unit": unit,
        "alpha_bar_T": alpha**2,
        "reaches_noise": reaches,
        "sentence": sentence,
        "schedule": spec,
        "steps": steps,
    }


def _too_early(preserving: bool, alpha_bar: float, value: float, unit: str) -> str:
    if preserving:
        return f"x_T is not noise yet: {alpha_bar:.1%} of its variance is still data (L_T = {value:.2g} {unit}). Raise beta."
    return (
        f"x_T is not noise yet: the data is still visible under sigma_max (L_T = {value:.2g} {unit}). Raise sigma max."
    )
