"""What the scenes' controls offer: schedules with their sliders, data sets. Imports no torch: the first paint reads it."""

from __future__ import annotations

from typing import Any

from ..data import DataSet, GaussianMixture
from ..data.names import named

DEFAULT_SCHEDULE: dict[str, Any] = {"name": "VPCosine", "params": {"s": 0.008}}

SCHEDULES: list[dict[str, Any]] = [
    {
        "name": "VPCosine",
        "label": "cosine",
        "params": [{"name": "s", "label": "offset s", "min": 1e-3, "max": 0.2, "default": 0.008, "log": True}],
    },
    {
        "name": "VPLinear",
        "label": "linear beta",
        "params": [
            {"name": "beta_min", "label": "beta min", "min": 1e-5, "max": 5e-3, "default": 1e-4, "log": True},
            {"name": "beta_max", "label": "beta max", "min": 6e-3, "max": 0.08, "default": 0.02, "log": True},
        ],
    },
    {
        "name": "Geometric",
        "label": "geometric",
        "params": [
            {"name": "sigma_min", "label": "sigma min", "min": 1e-3, "max": 0.3, "default": 0.01, "log": True},
            {"name": "sigma_max", "label": "sigma max", "min": 1.0, "max": 100.0, "default": 50.0, "log": True},
        ],
    },
]

STEP_RANGE = (10, 1000)

#: name in the select: label, class of `difflab.samplers` (None is the default), its knobs. Whether Langevin's last step
#: denoises is always said
SAMPLERS: dict[str, tuple[str, str | None, dict[str, Any]]] = {
    "Ancestral": ("ancestral", "Ancestral", {}),
    "AncestralLarge": ("ancestral, large variance", "Ancestral", {"variance": "large"}),
    "DDIM": ("DDIM", "DDIM", {}),
    "Default": ("default", None, {}),
    "DPMSolver": ("DPM-Solver++", "DPMSolver", {}),
    "UniPC": ("UniPC", "UniPC", {}),
    "Heun": ("Heun (EDM)", "Heun", {}),
    "EDM": ("EDM, with churn", "EDMStochastic", {"churn": 40.0}),
    "DEIS": ("DEIS", "DEIS", {}),
    "IPNDM": ("iPNDM", "IPNDM", {}),
    "DPMSolverSDE": ("SDE-DPM-Solver++", "DPMSolverSDE", {}),
    "EulerMaruyama": ("Euler-Maruyama", "EulerMaruyama", {}),
    "PredictorCorrector": ("predictor-corrector", "PredictorCorrector", {}),
    "RK45": ("RK45, adaptive", "RK45", {}),
    "AnnealedLangevin": ("annealed Langevin, denoised", "AnnealedLangevin", {}),
    "AnnealedLangevinNoisy": ("annealed Langevin, not denoised", "AnnealedLangevin", {"denoise": False}),
}

#: the data that the Lab offers, by its name in `difflab.data.NAMES`, and how it is called on screen
DATA = {
    "ring": "ring of eight",
    "grid": "3 x 3 grid",
    "random": "random mixture",
    "moons": "two moons",
    "digits": "digits 8x8",
}


def preset_data(name: str) -> DataSet:
    """The data set that the Lab offers under this name. ValueError for any other: what is in it must learn while one waits."""
    check_preset(name)
    return named(name)


def check_preset(name: str) -> None:
    if not isinstance(name, str) or name not in DATA:
        raise ValueError(f"There is no data named {name!r} in the Lab; choose one of {', '.join(DATA)}.")


def as_data(data: DataSet | str | None) -> DataSet:
    """A data set, one of the names in `difflab.data.NAMES`, or None for the ring of eight. TypeError for anything else."""
    if data is None:
        return GaussianMixture.ring()
    if isinstance(data, str):
        return named(data)
    if not isinstance(data, DataSet):
        raise TypeError(f"data must be a data set or one of {', '.join(DATA)}, but got {type(data).__name__}.")
    return data


def schedule_dict(schedule: Any) -> dict[str, Any]:
    """{"name", "params"} of a Schedule, of a name, or of such a dict, checked. ValueError in one sentence if it is none."""
    if schedule is None or schedule == DEFAULT_SCHEDULE:
        return DEFAULT_SCHEDULE  # known to be good: the first paint must not wait for torch
    from ..schedules import Schedule, schedule_from

    if isinstance(schedule, str):
        schedule = {"name": schedule, "params": {}}
    if isinstance(schedule, dict):
        if not set(schedule) <= {"name", "params"} or "name" not in schedule:
            raise ValueError('A schedule is {"name": ..., "params": {...}}.')
        schedule = schedule_from(schedule["name"], schedule.get("params"))
    if not isinstance(schedule, Schedule):
        raise ValueError(f"A schedule must be a Schedule, a name or a dict, but got {schedule!r}.")
    drawn = [choice["name"] for choice in SCHEDULES]
    if schedule.name not in drawn:
        raise ValueError(
            f"The browser has no formula for {schedule.name}, so the scenes cannot draw it: give them one of"
            f" {', '.join(drawn)}, and use {schedule.name} in Python."
        )
    return schedule.to_dict()


def schedule_of(spec: dict[str, Any]) -> Any:
    """The engine's Schedule behind a checked {"name", "params"}."""
    from ..schedules import schedule_from

    return schedule_from(spec["name"], spec["params"])
