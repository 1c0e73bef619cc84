"""A training described by a TOML file: data, schedule, model, training."""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from ..data import DataSet, GaussianMixture, digits, two_moons
from ..denoisers.network import NetworkDenoiser
from ..schedules import schedule_from
from .run import Settings

DATA: dict[str, Callable[..., DataSet]] = {
    "digits": digits,
    "two_moons": two_moons,
    "ring": GaussianMixture.ring,
    "grid": GaussianMixture.grid,
    "random": GaussianMixture.random,
}
_MODEL = {"prediction", "conditional", "seed", "width", "depth", "blocks", "patch"}
_TRAINING = {*Settings.__dataclass_fields__, "steps", "device", "threads", "seed", "checkpoint_every"}


class RecipeError(ValueError):
    """This file describes no training; one sentence says why."""


@dataclass(frozen=True)
class Recipe:
    """What was read.

    Attributes:
        data, denoiser: ready to train; the denoiser's weights are fresh.
        training: of `Trainer`, "steps" included.
        seed: of the run's random streams.
    """

    data: DataSet
    denoiser: NetworkDenoiser
    training: dict[str, Any]
    seed: int


def read(path: str | PathLike[str]) -> Recipe:
    """The recipe in the file at `path`.

        [data]      name = "digits" | "two_moons" | "ring" | "grid" | "random", and what that data takes
        [schedule]  name = "VPCosine" | "VPLinear" | "Geometric", and its parameters
        [model]     prediction = "v" | "eps" | "x0", conditional, seed, and the network's options (width, ...)
        [training]  steps, batch, lr, ... (the fields of `Settings`), device, threads, seed, checkpoint_every

    Raises FileNotFoundError, or RecipeError in one sentence for anything unknown, missing or impossible.
    """
    path = Path(path)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name} is not TOML: {error}.") from error
    _refuse_unknown(path.name, "", tables, {"data", "schedule", "model", "training"})
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise RecipeError(f"{path.name}: {name} must be a table, [{name}].")
    try:
        return _recipe(path.name, tables)
    except RecipeError:
        raise
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{path.name}: {error}") from error


def _recipe(name: str, tables: dict[str, dict[str, Any]]) -> Recipe:
    data_table = {"name": "digits"} | tables.get("data", {})
    kind = data_table.pop("name")
    if kind not in DATA:
        raise RecipeError(f"{name}: there is no data named {kind!r}; choose one of {', '.join(DATA)}.")
    _refuse_unknown(name, "data.", data_table, set(inspect.signature(DATA[kind]).parameters))
    data = DATA[kind](**data_table)

    schedule_table = {"name": "VPCosine"} | tables.get("schedule", {})
    schedule = schedule_from(schedule_table.pop("name"), schedule_table)

    model: dict[str, Any] = {"prediction": "v", "conditional": data.is_image, "seed": 0} | tables.get("model", {})
    _refuse_unknown(name, "model.", model, _MODEL)
    denoiser = NetworkDenoiser.for_data(data, schedule, **model)

    training = dict(tables.get("training", {}))
    _refuse_unknown(name, "training.", training, _TRAINING)
    if "steps" not in training:
        raise RecipeError(f"{name} does not say how long to train; give training.steps.")
    return Recipe(data, denoiser, training, int(training.pop("seed", 0)))


def _refuse_unknown(name: str, prefix: str, table: dict[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise RecipeError(f"{name}: {prefix}{key} is not known; choose from {', '.join(sorted(known))}.")
