"""ScheduleDesk: shape the schedule, see at once whether it reaches noise, and what of the data its steps lie on."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import traitlets

from ..data import DataSet, GaussianMixture
from . import mmse_curve
from .advised import advised
from .arrays import Array, encode
from .base import Scene
from .choices import SCHEDULES, STEP_RANGE, as_data, schedule_dict, schedule_of
from .schedule_table import FORMULAS, table_of
from .traits import PinnedTrait, ScheduleTrait, StepsTrait

VIEWS = ("t", "mmse", "beta")


class ScheduleDesk(Scene):
    """alpha, sigma, log-SNR and beta of a schedule, with its sliders and the gauge "did we reach noise?".

    The curves are computed in the browser; the gauge's L_T = KL(q(x_T | x_0) || prior), averaged over `data`, in Python.

    Traits: `view` ("t", "mmse": the error of denoising over log-SNR, which no schedule changes, and where this one's steps
    lie on it, or "beta"), `pinned` (up to four schedules to compare with), `terminal` (the gauge), `ends` (those of the
    pinned ones), `advice` (NCSNv2's, for this data), `mmse` and `about` (the curve, and what else is known of the data).

    Args:
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        data: whose second moment enters L_T; a data set, a name, or None for the ring of eight.
    """

    schedule = ScheduleTrait()
    steps = StepsTrait(1000, most=10_000)
    view = traitlets.Enum(VIEWS, "t").tag(sync=True)
    pinned = PinnedTrait()
    choices = traitlets.List(SCHEDULES).tag(sync=True)
    step_range = traitlets.List(list(STEP_RANGE)).tag(sync=True)
    terminal = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    ends = traitlets.List(traitlets.Dict()).tag(sync=True)
    advice = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    mmse = Array()
    about = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    table = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "steps", "view", "pinned")
    controls = ("time", "seed", "png", "formula", "parameters", "steps", "view", "draw", "pin", "advice")

    def __init__(
        self, schedule: Any = None, steps: int = 1000, data: DataSet | str | None = None, **traits: Any
    ) -> None:
        self.data = as_data(data)
        self._curve: tuple[DataSet, mmse_curve.Curve] | None = None
        self._measured = False  # or a preview, from a few draws
        super().__init__(schedule=schedule, steps=steps, **traits)
        self._preview()
        self.observe(lambda _: self.refresh(), ["schedule", "steps"])
        self.observe(lambda _: self._compare(), ["pinned", "steps"])
        self.observe(lambda _: self._see(self.view == "mmse"), "view")
        self.observe(lambda _: self.show(self.data), "seed")
        self._measure_all()

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Measure for other data from now on. TypeError for anything but a data set, or a name of one."""
        self.data, seed = as_data(data), self._seed_of(seed)
        if seed != self.seed:
            self.publish(seed=seed)
        self._preview(seed)
        self._measure_all()

    def refresh(self) -> None:
        """Compute the gauge again, in the background."""
        self.compute("exact", "terminal", self._measure)

    def requests(self) -> tuple[str, ...]:
        return ("table",)

    def on_table(self, token: int, name: str, params: dict[str, Any]) -> None:
        """Send the table of a schedule that the browser has no formula for; only the latest one asked for counts."""
        spec = schedule_dict({"name": name, "params": params})
        table = None if spec["name"] in FORMULAS else encode(table_of(schedule_of(spec)))
        self.publish(table={"token": token, **spec} | ({"table": table} if table else {}))

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained page, with all its views. Returns its path."""
        self._see(True)
        return super().save_html(path)

    # -- what is measured ------------------------------------------------------------------------------------------------

    def _measure_all(self) -> None:
        self.refresh()
        self._compare()
        self.compute("sample", "advice", self._advise)
        self._see(self.view == "mmse")  # it takes seconds, and nobody may ever look at it

    def _measure(self) -> None:
        self.publish(terminal=terminal(self.data, self.schedule, self.steps))

    def _advise(self) -> None:
        spreads = self.data.sigma_data > 0  # or no two of its samples are apart
        self.publish(advice=advised(self.data, self.seed) if spreads else None)

    def _compare(self) -> None:
        def measure() -> None:
            self.publish(ends=[terminal(self.data, spec, self.steps) for spec in self.pinned])

        self.compute("exact", "ends", measure)

    def _preview(self, seed: int | None = None) -> None:
        """What is known of the data without torch."""
        seed = self.seed if seed is None else seed
        curve = mmse_curve.preview(self.data, seed, conditional=False)
        self._curve = None if curve is None else (self.data, curve)
        self._measured = False
        self.publish(
            about=mmse_curve.facts_of(self.data) | {"of": _truth(self.data)},
            mmse=None if curve is None else curve.wire(),
        )

    def _see(self, wanted: bool) -> None:
        if wanted:
            self.compute("sample", "mmse", self._measure_curve)  # seconds: the gauge must not wait behind it

    def _measure_curve(self) -> None:
        import torch

        data, generator = self.data, torch.Generator().manual_seed(self.seed)
        if self._measured:
            return
        try:
            curve = mmse_curve.measured(data, generator, conditional=False)
        except TypeError:  # data without a closed form has no exact curve
            return
        if data is self.data:
            self._curve, self._measured = (data, curve), True
            self.publish(mmse=curve.wire())

    def numbers(self) -> dict[str, float]:
        """The gauge, the schedule's parameters, what NCSNv2 advises (`advised_...`), and the data's mmse at t.

        L_T in nats/dim (bits/dim for discrete data), alpha_bar_T, sigma_T, reaches_noise (0 or 1), steps; log_snr at t; where
        the data has an exact curve, mmse per coordinate at t and mmse_error, its standard error: of a few draws at first, of
        many once the view "mmse" was chosen.
        """
        base = super().numbers()
        gauge, advice = self.terminal or {}, self.advice or {}
        own = {k: float(gauge[k]) for k in ("L_T", "alpha_bar_T", "sigma_T", "reaches_noise") if k in gauge}
        params = {k: float(v) for k, v in self.schedule["params"].items() if isinstance(v, (int, float))}
        told = {f"advised_{k}": float(v) for k, v in advice.items() if isinstance(v, (int, float)) and k != "seed"}
        return base | own | {"steps": float(self.steps)} | params | told | self._at_t()

    def _at_t(self) -> dict[str, float]:
        log_snr = float(schedule_of(self.schedule).log_snr(self.t))
        if self._curve is None or self._curve[0] is not self.data or not self.data.sigma_data:
            return {"log_snr": log_snr}
        import torch

        from .optimal_terms import profile_of

        profile = profile_of(self._curve[1], self.data)
        first, last = float(profile.log_snr[0]), float(profile.log_snr[-1])
        place = min(max(log_snr, first), last)
        value, error = (float(v) for v in profile.at(torch.tensor(place, dtype=torch.float64)))
        if not math.isfinite(log_snr):  # t = 0: there is nothing left to guess; alpha = 0: nothing is known
            return {"log_snr": log_snr, "mmse": 0.0 if log_snr > 0 else profile.variance, "mmse_error": 0.0}
        beyond = (1 + profile.variance * math.exp(place)) / (1 + profile.variance * math.exp(log_snr))
        per = beyond / profile.dim
        return {"log_snr": log_snr, "mmse": value * per, "mmse_error": error * per}


def _truth(data: DataSet) -> str:
    return "population" if isinstance(data, GaussianMixture) else "training set"


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
    sentence = "" if reaches else _too_early(spec, alpha, sigma, value, unit)
    return {
        "L_T": value,
        "unit": unit,
        "alpha_bar_T": alpha**2,
        "sigma_T": sigma,
        "reaches_noise": reaches,
        "sentence": sentence,
        "schedule": spec,
        "steps": steps,
    }


#: what to do, by a parameter that the schedule has
_REMEDIES = {
    "beta_max": "Raise beta.",
    "sigma_max": "Raise sigma max.",
    "log_snr_min": "Lower the last log-SNR.",
    "s": "Lower the offset.",
    "values": "Draw its end lower.",
}


def _too_early(spec: dict[str, Any], alpha: float, sigma: float, value: float, unit: str) -> str:
    remedies = [words for name, words in _REMEDIES.items() if name in spec["params"]]
    remedy = remedies[0] if remedies else "Let its log-SNR end lower."
    measured = f"(L_T = {value:.2g} {unit}). {remedy}"
    if alpha == 1:
        return f"x_T is not noise yet: the data is still visible under sigma_max {measured}"
    return f"x_T is not noise yet: {alpha**2 / (alpha**2 + sigma**2):.1%} of its variance is still data {measured}"
