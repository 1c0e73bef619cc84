"""How a schedule crosses to the browser that has no formula for it: sampled once, with its exact slopes.

Sampled is the log-SNR over v = logit t, where it is smooth up to both ends: where sigma falls to 0 like a power of t, or
alpha like one of 1 - t, it is a straight line in v; where it ends at a finite level, a constant. The browser draws cubics
through the samples (js/src/core/schedule_tables.ts), off by at most h^4 / 384 of the fourth derivative by v.

A schedule that is none of `difflab.schedules` has no name that tells it apart: it is called by what its table holds, and
kept here under that name for whoever computes with it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arrays import encode

if TYPE_CHECKING:
    from ..schedules import Schedule

#: what js/src/core/schedule_formulas.ts has a closed form for
FORMULAS = (
    "VPLinear",
    "VPCosine",
    "Geometric",
    "VPSong",
    "VPScaledLinear",
    "VPQuadratic",
    "VPSigmoid",
    "VPLogSNRLinear",
    "EDM",
    "Flow",
    "SubVP",
    "Tabulated",
)
NODES = 1601  # h = 0.026
_KEPT = 64  # schedules of users' own, in one kernel

_own: dict[str, Schedule] = {}


def table_of(schedule: Schedule) -> NDArray[np.float64]:
    """log-SNR and its slope by v = logit t, and, unless variance is preserved, those of log sqrt(alpha^2 + sigma^2).

    (2 or 4, NODES + 2) float64. The first column is the limit at t = 0, the last t = 1; between them v is evenly spaced from
    logit FIRST_T to -logit FIRST_T. ValueError if the schedule's numbers there are none.
    """
    import torch

    from ..schedules import FIRST_T

    reach = float(np.log((1 - FIRST_T) / FIRST_T))
    v = torch.linspace(-reach, reach, NODES, dtype=torch.float64)
    t = torch.sigmoid(v).clamp(FIRST_T, 1 - FIRST_T)
    pace = t * (1 - t)  # dt / dv
    with torch.no_grad():
        log_snr, rate = schedule.log_snr(t), schedule.log_snr_rate(t)
        first = float("inf") if schedule.reaches_data else float(log_snr[0])
        rows = [_row(first, log_snr, schedule.log_snr(1.0)), _row(0.0, rate * pace, 0.0)]
        if not schedule.variance_preserving:
            (alpha, sigma), (alpha_rate, sigma_rate) = schedule.alpha_sigma(t), schedule.rates(t)
            square = alpha**2 + sigma**2
            last_alpha, last_sigma = schedule.alpha_sigma(1.0)
            rows.append(_row(0.0, square.log() / 2, (last_alpha**2 + last_sigma**2).log() / 2))
            rows.append(_row(0.0, (alpha * alpha_rate + sigma * sigma_rate) / square * pace, 0.0))
    table = np.stack(rows)
    inside = np.isfinite(table[:, 1:-1]).all(0)
    if not inside.all():
        at = float(t[int(np.argmin(inside))])
        raise ValueError(
            f"The scenes cannot draw {schedule}: its log-SNR or the slope of it is no number at t = {at:.3g}."
        )
    return table


def _row(first: float, inner: Any, last: Any) -> NDArray[np.float64]:
    return np.concatenate([[first], inner.numpy(), [float(last)]])


def spec_of(schedule: Schedule) -> dict[str, Any]:
    """{"name", "params"}, JSON values, that `schedule_of` finds the schedule by. A learned one is taken as it is now."""
    from ..schedules import SCHEDULES, Learned

    if isinstance(schedule, Learned):
        schedule = schedule.frozen()
    if SCHEDULES.get(schedule.name) is type(schedule) and _is_plain(schedule):
        return schedule.to_dict()
    digest = hashlib.sha256(table_of(schedule).tobytes()).hexdigest()[:16]
    _own.pop(digest, None)
    _own[digest] = schedule
    if len(_own) > _KEPT:
        del _own[next(iter(_own))]
    return {"name": schedule.name, "params": {"table": digest}}


def _is_plain(schedule: Schedule) -> bool:
    """Whether `schedule` and the one inside it, if any, can be told by names of `difflab.schedules`."""
    from ..schedules import SCHEDULES

    base = getattr(schedule, "base", None)
    return base is None or (SCHEDULES.get(base.name) is type(base) and _is_plain(base))


def schedule_of(spec: dict[str, Any]) -> Any:
    """The engine's Schedule behind a {"name", "params"} of `spec_of`. ValueError if there is none."""
    from ..schedules import schedule_from

    if "table" not in (spec.get("params") or {}):
        return schedule_from(spec["name"], spec.get("params"))
    found = _own.get(spec["params"]["table"])
    if found is None:
        raise ValueError(
            f"The schedule {spec['name']!r} is not one of difflab.schedules, and this Python has not met it yet:"
            " give the scene the object itself."
        )
    return found


def on_the_wire(spec: dict[str, Any], _widget: Any = None) -> dict[str, Any]:
    """What crosses to the browser: with the table if the browser has no formula."""
    if spec["name"] in FORMULAS and "table" not in spec["params"]:
        return spec
    return spec | {"table": encode(_table(_key(spec)))}


def from_the_wire(spec: Any, _widget: Any = None) -> Any:
    """A table is Python's to make: what the browser says of one is dropped."""
    return {k: v for k, v in spec.items() if k != "table"} if isinstance(spec, dict) else spec


def _key(spec: dict[str, Any]) -> str:
    import json

    return json.dumps([spec["name"], spec["params"]], sort_keys=True)


@lru_cache(maxsize=64)
def _table(key: str) -> NDArray[np.float64]:
    import json

    name, params = json.loads(key)
    return table_of(schedule_of({"name": name, "params": params}))
