"""What stands in a column of ReverseTrajectories: a sampler with its knobs, how many steps, and whose denoiser.

Imports no torch: the first paint reads it.
"""

from __future__ import annotations

from typing import Any

import traitlets

from .choices import SAMPLERS

MOST_RUNS, MOST_STEPS = 4, 10_000
OF = ("exact", "learned")


def _number(name: str, label: str, low: float, high: float, step: float, default: float) -> dict[str, Any]:
    return {"name": name, "label": label, "min": low, "max": high, "step": step, "default": default}


_WALK = [_number("steps_per_level", "steps a level", 1, 20, 1, 5)]
#: by name in `SAMPLERS`: what of a sampler can be turned beside its number of steps; either a number or one of some choices
KNOBS: dict[str, list[dict[str, Any]]] = {
    "Ancestral": [
        {"name": "variance", "label": "variance", "choices": ["small", "large", "optimal"], "default": "small"}
    ],
    "DDIM": [_number("eta", "eta", 0, 1, 0.05, 0)],
    "DPMSolver": [_number("points", "points", 1, 3, 1, 2)],
    "DEIS": [_number("points", "points", 1, 4, 1, 2)],
    "EDM": [_number("churn", "churn", 0, 80, 1, 40)],
    "PredictorCorrector": [
        _number("snr", "corrector's SNR", 0.02, 0.5, 0.02, 0.16),
        _number("corrections", "corrections", 0, 5, 1, 1),
    ],
    "AnnealedLangevin": _WALK,
    "AnnealedLangevinNoisy": _WALK,
}

#: how the times are laid
GRIDS = {
    "default": "the sampler's own times",
    "uniform": "even in t",
    "log_snr": "even in log-SNR",
    "karras": "Karras",
}


def pair(sampler: str, steps: int) -> list[dict[str, Any]]:
    """The oracle and the network with the same sampler: what the scene begins with."""
    return [{"sampler": sampler, "steps": steps, "of": of} for of in OF]


def checked_run(run: Any) -> dict[str, Any]:
    """{"sampler", "steps", "of"} and, where some are turned, "knobs". ValueError, in one sentence, for anything else."""
    if not isinstance(run, dict) or not {"sampler", "steps", "of"} <= set(run) <= {"sampler", "steps", "of", "knobs"}:
        raise ValueError(
            'A run is {"sampler": ..., "steps": ..., "of": "exact" or "learned"} and may have "knobs", but got'
            f" {run!r:.80}."
        )
    sampler, steps, of = run["sampler"], run["steps"], run["of"]
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        raise ValueError(f"There is no sampler named {sampler!r} here; choose one of {', '.join(SAMPLERS)}.")
    whole = isinstance(steps, int | float) and not isinstance(steps, bool) and steps == steps // 1
    if not whole or not 1 <= steps <= MOST_STEPS:
        raise ValueError(f"steps must be a whole number from 1 to {MOST_STEPS:,}, but got {steps!r}.")
    if of not in OF:
        raise ValueError(f'A run is of the "exact" or of the "learned" denoiser, but got {of!r}.')
    checked = {"sampler": sampler, "steps": int(steps), "of": of}
    knobs = _checked_knobs(sampler, run.get("knobs") or {})
    return checked | ({"knobs": knobs} if knobs else {})


def _checked_knobs(sampler: str, knobs: Any) -> dict[str, Any]:
    known = {k["name"]: k for k in KNOBS.get(sampler, [])}
    if not isinstance(knobs, dict) or not set(knobs) <= set(known):
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{sampler} has no such knobs as {knobs!r:.60}; {has}.")
    checked = {}
    for name, value in knobs.items():
        knob = known[name]
        if "choices" in knob:
            if value not in knob["choices"]:
                raise ValueError(f"{name} must be one of {', '.join(knob['choices'])}, but got {value!r}.")
            checked[name] = value
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not knob["min"] <= value <= knob["max"]:
            raise ValueError(f"{name} must be a number from {knob['min']} to {knob['max']}, but got {value!r}.")
        checked[name] = round(value) if knob["step"] == 1 and name != "churn" else float(value)
    return checked


class RunsTrait(traitlets.TraitType[Any, Any]):
    """One to four runs, see `checked_run`."""

    def __init__(self, default_value: list[dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_RUNS:
            raise traitlets.TraitError(f"runs must be a list of 1 to {MOST_RUNS} runs, but got {value!r:.80}.")
        try:
            return [checked_run(run) for run in value]
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None
