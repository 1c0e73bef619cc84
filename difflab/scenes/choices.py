"""What the scenes' controls offer: schedules with their sliders, data sets. Imports no torch: the first paint reads it."""

from __future__ import annotations

from typing import Any

from ..data import DataSet, GaussianMixture
from ..data.names import named
from .schedule_table import schedule_of, spec_of

DEFAULT_SCHEDULE: dict[str, Any] = {"name": "VPCosine", "params": {"s": 0.008}}


def _param(name: str, label: str, low: float, high: float, default: float, log: bool = True) -> dict[str, Any]:
    return {"name": name, "label": label, "min": low, "max": high, "default": default, "log": log}


def _ddpm(low: float, high: float) -> list[dict[str, Any]]:
    return [
        _param("beta_min", "beta min", 1e-5, 5e-3, low),
        _param("beta_max", "beta max", 6e-3, 0.08, high),
    ]


def _rates() -> list[dict[str, Any]]:
    return [_param("beta_min", "beta min", 0.01, 2.0, 0.1), _param("beta_max", "beta max", 2.5, 50.0, 20.0)]


#: what is drawn first by hand: a straight line in log-SNR, on knots as dense as a hand is
DRAWN: dict[str, Any] = {
    "values": [round(10 - 20 * t, 3) for t in (0.02, *(i / 16 for i in range(1, 17)))],
    "t": [0.02, *(i / 16 for i in range(1, 17))],
}

#: name of the class, label, its sliders (two at most; other parameters keep their values) and parameters without one;
#: "kernel": the browser has no formula and asks Python for a table at each movement
SCHEDULES: list[dict[str, Any]] = [
    {"name": "VPCosine", "label": "cosine", "params": [_param("s", "offset s", 1e-3, 0.2, 0.008)]},
    {"name": "VPLinear", "label": "linear beta", "params": _ddpm(1e-4, 0.02)},
    {
        "name": "Geometric",
        "label": "geometric",
        "params": [
            _param("sigma_min", "sigma min", 1e-3, 0.3, 0.01),
            _param("sigma_max", "sigma max", 1.0, 100.0, 50.0),
        ],
    },
    {
        "name": "EDM",
        "label": "EDM",
        "params": [_param("sigma_max", "sigma max", 1.0, 200.0, 80.0), _param("rho", "rho", 1.0, 15.0, 7.0, False)],
    },
    {"name": "Flow", "label": "straight flow", "params": []},
    {
        "name": "VPLogSNRLinear",
        "label": "linear log-SNR",
        "params": [
            _param("log_snr_max", "first λ", 4.0, 20.0, 13.3, False),
            _param("log_snr_min", "last λ", -20.0, 0.0, -5.0, False),
        ],
    },
    {
        "name": "VPSigmoid",
        "label": "sigmoid",
        "params": [_param("start", "start", -8.0, 0.0, -3.0, False), _param("end", "end", 0.5, 8.0, 3.0, False)],
    },
    {"name": "VPBetaSigmoid", "label": "sigmoid beta", "params": _ddpm(1e-4, 0.02), "kernel": True},
    {"name": "VPScaledLinear", "label": "scaled linear", "params": _ddpm(0.00085, 0.012)},
    {"name": "VPQuadratic", "label": "quadratic beta", "params": _ddpm(1e-4, 0.02)},
    {"name": "VPSong", "label": "linear rate (SDE)", "params": _rates()},
    {"name": "SubVP", "label": "sub-VP (SDE)", "params": _rates()},
    {"name": "ZeroTerminalSNR", "label": "zero terminal SNR", "params": [], "kernel": True},
    {"name": "Tabulated", "label": "drawn by hand", "params": [], "fixed": DRAWN},
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
    from ..schedules import Schedule

    if isinstance(schedule, str):
        schedule = {"name": schedule, "params": {}}
    if isinstance(schedule, dict):
        if not set(schedule) <= {"name", "params"} or "name" not in schedule:
            raise ValueError('A schedule is {"name": ..., "params": {...}}.')
        schedule = schedule_of(schedule)
    if not isinstance(schedule, Schedule):
        raise ValueError(f"A schedule must be a Schedule, a name or a dict, but got {schedule!r}.")
    return spec_of(schedule)


__all__ = [
    "DATA",
    "DEFAULT_SCHEDULE",
    "SAMPLERS",
    "SCHEDULES",
    "STEP_RANGE",
    "as_data",
    "check_preset",
    "preset_data",
    "schedule_dict",
    "schedule_of",
]
