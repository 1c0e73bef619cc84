"""A training described by a TOML file: data, schedule, model, training."""

from __future__ import annotations

import inspect
import math
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ..checks import brief
from ..data import DataSet
from ..data.names import PATHS, maker
from ..denoisers.network import NetworkDenoiser
from ..device import check_device_name
from ..schedules import Schedule, schedule_from
from .folder import Folder
from .settings import Settings, whole
from .trainer import MOST_THREADS, Trainer

_MODEL = {"prediction", "conditional", "seed", "network", "width", "depth", "blocks", "heads", "patch", "dropout"}
_TRAINING = {*Settings.__dataclass_fields__, "steps", "device", "threads", "seed", "save_every", "keep", "tensorboard"}
_LARGEST_SEED = 2**32 - 1
_MOST = 10_000  # components, points or dimensions of data that a recipe may ask for


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

    def trainer(self, folder: str | PathLike[str] | None = None, **changes: Any) -> Trainer:
        """The training that this describes, in `folder`, going on from the run that lies there; `changes` stand in for
        options of `training`. Raises as `Trainer`."""
        return Trainer(
            self.denoiser,
            self.data,
            generator=torch.Generator().manual_seed(self.seed),
            folder=folder,
            **{"threads": None, "resume": folder is not None} | self.training | changes,
        )


def read(path: str | PathLike[str]) -> Recipe:
    """The recipe in the file at `path`.

        [data]      name = "digits" | "mnist-5k" | "moons" | "ring" | "grid" | "random" | "folder" | "array" | "mnist" |
                    "cifar10", and what that data takes: numbers, or, of the last four, path, root, size, labels, ...; paths
                    are relative to the folder that the recipe lies in
        [schedule]  name = "VPCosine" or another of `difflab.schedules.SCHEDULES`, and its parameters: numbers, lists
                    (Tabulated) or, for a schedule within it, a table of this kind: [schedule.base] (ZeroTerminalSNR)
        [model]     prediction = "v" | "eps" | "x0" | "velocity" | "edm", conditional, seed, network = "MLP" | "UNet" |
                    "DiT" (by default the one that fits the data), and its options (width, dropout, ...)
        [training]  steps, batch, lr, ... (the fields of `Settings`), device, threads, seed, save_every,
                    keep, tensorboard

    Raises FileNotFoundError, or RecipeError in one sentence for anything unknown, missing or impossible.
    """
    return recipe_from(tables_in(path), Path(path).name)


def tables_in(path: str | PathLike[str]) -> dict[str, Any]:
    """The tables in the file at `path`, as `recipe_from` takes them. Raises as `read`, but for what they say."""
    if not isinstance(path, str | PathLike):
        raise TypeError(f"A recipe is read from the path of its TOML file, but got {brief(path)}.")
    path = Path(path)
    if path.is_dir():
        raise RecipeError(f"{path} is a folder, and no recipe: that is a text file in TOML, such as configs/ring.toml.")
    content = path.read_bytes()
    try:
        if b"\0" in content:
            raise RecipeError(f"{path.name} is not a recipe: that is a text file in TOML, such as configs/ring.toml.")
        tables = tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path.name} is not a recipe: that is a text file in TOML, encoded as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path.name} is not TOML: {error}.") from error
    data = tables.get("data")
    if isinstance(data, dict):
        for key in PATHS & data.keys():
            if isinstance(data[key], str):
                data[key] = str((path.parent / Path(data[key]).expanduser()).absolute())
    return tables


def recipe_from(tables: dict[str, Any], name: str = "recipe") -> Recipe:
    """The recipe in these tables, as `read` finds them in a file. Raises RecipeError, which begins with `name`."""
    if not isinstance(tables, dict):
        raise RecipeError(f"{name}: a recipe is made of tables (data, schedule, model, training), but got {tables!r}.")
    _refuse_unknown(name, "", tables, {"data", "schedule", "model", "training"})
    for title, table in tables.items():
        if not isinstance(table, dict):
            raise RecipeError(f"{name}: {title} must be a table, [{title}].")
    try:
        return _recipe(name, tables)
    except RecipeError:
        raise
    except MemoryError as error:
        raise RecipeError(f"{name}: this does not fit into memory.") from error
    except (ValueError, ImportError, OSError) as error:
        raise RecipeError(f"{name}: {error}") from error


def _recipe(name: str, tables: dict[str, dict[str, Any]]) -> Recipe:
    # what takes no time first: data may have to be read, and networks to be built
    training = dict(tables.get("training", {}))
    _refuse_unknown(name, "training.", training, _TRAINING)
    seed = training.pop("seed", 0)
    with _named("training", tables):
        Settings(**{key: value for key, value in training.items() if key in Settings.__dataclass_fields__})
        Folder("", **{key: training[key] for key in inspect.signature(Folder).parameters if key in training})
        check_device_name(training.get("device", "auto"))
        whole("steps", training.get("steps", 1), 1)
        whole("threads", training.get("threads", 1), 1, MOST_THREADS)
        whole("seed", seed, 0, _LARGEST_SEED)

    with _named("schedule", tables):
        schedule = _schedule({"name": "VPCosine"} | tables.get("schedule", {}))

    model: dict[str, Any] = {"prediction": "v", "seed": 0} | tables.get("model", {})
    _refuse_unknown(name, "model.", model, _MODEL)
    if not isinstance(model.get("conditional", False), bool):
        raise RecipeError(f"{name}: model.conditional must be true or false, but got {model['conditional']!r}.")
    if not isinstance(model.get("network", ""), str):
        raise RecipeError(f"{name}: model.network must be a name, but got {model['network']!r}.")

    with _named("data", tables):
        data = _data(name, {"name": "digits"} | tables.get("data", {}))
    conditional = data.vector is not None or (data.is_image and data.classes is not None)
    with _named("model", tables):
        whole("seed", model["seed"], 0, _LARGEST_SEED)
        denoiser = NetworkDenoiser.for_data(data, schedule, **{"conditional": conditional} | model)
    if "steps" not in training:
        raise RecipeError(f"{name} does not say how long to train; give training.steps.")
    return Recipe(data, denoiser, training, seed)


@contextmanager
def _named(title: str, tables: dict[str, dict[str, Any]]) -> Iterator[None]:
    """A ValueError from inside is told with the key as it stands in the file: the one that the sentence begins with, or whose
    value it repeats."""
    try:
        yield
    except RecipeError:
        raise
    except ValueError as error:
        table = tables.get(title, {})
        first = re.split(r"\W", str(error), maxsplit=1)[0]
        repeated = [key for key, value in table.items() if f" {value!r}" in str(error) or f"={value!r}" in str(error)]
        if first in table:
            raise ValueError(f"{title}.{error}") from error
        if len(repeated) > 1:  # a number of the sentence may be another key's value too
            repeated = [key for key in repeated if re.search(rf"\b{re.escape(key)}\b", str(error))]
        if len(repeated) == 1:
            raise ValueError(f"{title}.{repeated[0]}: {error}") from error
        raise ValueError(f"{title}: {error}") from error


def _data(name: str, table: dict[str, Any]) -> DataSet:
    """The data set that a table names, made with what stands beside the name."""
    make = maker(table.pop("name"))
    knobs = inspect.signature(make).parameters
    _refuse_unknown(name, "data.", table, set(knobs))
    for key, knob in knobs.items():
        if knob.default is inspect.Parameter.empty and key not in table:
            raise RecipeError(f"{name}: data.{key} is missing, and this data needs it.")
    from_files = not PATHS.isdisjoint(knobs)  # those check their options themselves
    for key, value in table.items():
        if key in PATHS and not isinstance(value, str):
            raise RecipeError(f"{name}: data.{key} must be the text of a path, but got {value!r}.")
        if not from_files:
            _check_knob(key, value, knobs[key].default)
    return make(**table)


def _schedule(table: dict[str, Any]) -> Schedule:
    """The schedule that a table names, its parameters beside the name. ValueError as of `schedule_from`."""
    if "name" not in table:
        raise ValueError(f"a table of a schedule must say its name, but has {', '.join(table) or 'nothing'}.")
    params = {
        key: _schedule(value).to_dict() if isinstance(value, dict) else value
        for key, value in table.items()
        if key != "name"
    }
    return schedule_from(table["name"], params)


def _check_knob(key: str, value: Any, default: int | float) -> None:
    """ValueError, in one sentence, unless `value` is a number of the kind of the `default` that it replaces."""
    if isinstance(default, int):
        whole(key, value, *((0, _LARGEST_SEED) if key.endswith("seed") else (min(1, default), _MOST)))
    elif not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ValueError(f"{key} must be a number of 0 or more, but got {value!r}.")


def _refuse_unknown(name: str, prefix: str, table: dict[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            raise RecipeError(f"{name}: {prefix}{key} is not known; choose from {', '.join(sorted(known))}.")
