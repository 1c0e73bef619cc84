"""The configurations of a sweep: tables as of a recipe, each under a name that says what is its own."""

from __future__ import annotations

import copy
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ...checks import brief
from ..recipe import recipe_from, tables_in

Tables = dict[str, Any]
Config = Mapping[str, Any] | str | PathLike[str]

_TITLES = {"data", "schedule", "model", "training"}
_NAME = re.compile(r"[\w=+,][\w .=+,@%()-]{0,119}")
_LONGEST = 80  # characters of a name that is made here


def grid(base: Config, choices: Mapping[str, Iterable[Any]]) -> dict[str, Tables]:
    """Every combination of `choices`, each a change of `base`, by name; the last key changes fastest.

    Args:
        base: a recipe's tables, or the path of its TOML file.
        choices: values by dotted key: {"training.lr": [1e-3, 2e-3], "model.width": [64, 128]} are four configurations, from
            "lr=0.001,width=64" on. A seed is a key like any other.

    Raises ValueError or TypeError in one sentence for a key that is not dotted, or has no values, or the same one twice, and
    for a base that cannot be read. Whether the values can be is checked by `sweep`.
    """
    start = _tables(base)
    if not isinstance(choices, Mapping) or not choices:
        raise TypeError(
            f'A grid needs values by dotted key, such as {{"training.lr": [1e-3, 2e-3]}}, but got {brief(choices)}.'
        )
    values = [_values(key, given) for key, given in choices.items()]
    made = []
    for combination in itertools.product(*values):
        tables = copy.deepcopy(start)
        for key, value in zip(choices, combination, strict=True):
            _put(tables, key, value)
        made.append(tables)
    return dict(zip(_labels(made, choices), made, strict=True))


def named(configs: Mapping[str, Config] | Iterable[Config]) -> dict[str, Tables]:
    """`configs` as tables by name, checked: a file is named after itself, tables after what differs.

    Raises ValueError, TypeError or FileNotFoundError in one sentence that begins with the name of the first one that cannot be.
    """
    if isinstance(configs, str | PathLike) or (isinstance(configs, Mapping) and configs and configs.keys() <= _TITLES):
        raise TypeError(
            "A sweep needs several configurations: give a list of them, or difflab.sweep.grid(config, {...}), but got"
            f" the single {brief(configs)}."
        )
    if not isinstance(configs, Iterable):
        raise TypeError(
            f"A sweep needs a list of configurations, or a table of them by name, but got {brief(configs)}."
        )
    found: dict[str, Tables] = {}
    for name, tables in _by_name(configs):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                "A run's name is that of its folder: up to 120 letters, digits, spaces and any of .=+,@%()-_, but got"
                f" {brief(name)}."
            )
        if name.casefold() in (other.casefold() for other in found):  # one folder, on some disks
            raise ValueError(f"Two configurations are named {name!r}: give them names of their own, {{name: config}}.")
        found[name] = tables
    if not found:
        raise ValueError("There is nothing to sweep over: give a configuration or more.")
    for name, tables in found.items():
        recipe_from(tables, name)
    return found


def differences(configs: Mapping[str, Tables]) -> dict[str, dict[str, Any]]:
    """By name, the values of all dotted keys that are not the same everywhere; None where one does not say."""
    flat = {name: dict(_flat(tables)) for name, tables in configs.items()}
    keys = dict.fromkeys(key for one in flat.values() for key in one)
    differing = [key for key in keys if len({repr(one.get(key)) for one in flat.values()}) > 1]
    return {name: {key: one.get(key) for key in differing} for name, one in flat.items()}


def short(keys: Iterable[str]) -> dict[str, str]:
    """The last part of each dotted key, or all of it where another one has the same last part."""
    keys = list(keys)
    last = [key.rpartition(".")[2] for key in keys]
    return {key: end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)}


def said(value: Any) -> str:
    """A value, as it stands in a name and in a table."""
    if value is None:
        return "default"
    if isinstance(value, list | tuple):
        return "-".join(map(said, value))
    return str(value)


def _by_name(configs: Mapping[str, Config] | Iterable[Config]) -> list[tuple[str, Tables]]:
    if isinstance(configs, Mapping):
        return [(name, _tables(config)) for name, config in configs.items()]
    given = list(configs)
    tables = [_tables(config) for config in given]
    unnamed = [t for t, config in zip(tables, given, strict=True) if isinstance(config, Mapping)]
    labels = iter(_labels(unnamed))
    return [
        (next(labels) if isinstance(config, Mapping) else Path(config).stem, t)
        for t, config in zip(tables, given, strict=True)
    ]


def _tables(config: Config) -> Tables:
    if isinstance(config, str | PathLike):
        return tables_in(config)
    if isinstance(config, Mapping):
        return {key: _plain(value) for key, value in config.items()}
    raise TypeError(f"A configuration is the tables of a recipe, or the path of its file, but got {brief(config)}.")


def _plain(value: Any) -> Any:
    """A copy of a value as TOML would give it: tables, lists, numbers of Python's own."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _values(key: Any, given: Any) -> list[Any]:
    parts = key.split(".") if isinstance(key, str) else []
    if len(parts) < 2 or not all(parts) or parts[0] not in _TITLES:
        raise ValueError(f"A key of a grid names a table and what is in it, such as 'training.lr', but got {key!r}.")
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise TypeError(f"{key} of a grid needs a list of values, but got {brief(given)}.")
    values = [_plain(value) for value in given]
    if not values:
        raise ValueError(f"{key} of a grid has no values: give one or more.")
    for i, value in enumerate(values):
        if value in values[:i]:
            raise ValueError(f"{key} of a grid has the value {value!r} twice.")
    return values


def _put(tables: Tables, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tables = tables.setdefault(part, {})
        if not isinstance(tables, dict):
            raise ValueError(f"{key} of a grid reaches into {part}, which is no table but {brief(tables)}.")
    tables[last] = value


def _flat(tables: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _labels(tables: Sequence[Tables], order: Iterable[str] = ()) -> list[str]:
    """What differs, as a name: "lr=0.001,width=64"; "run" where nothing does. Keys come in `order`, if they are in it."""
    differing = list(differences({str(i): one for i, one in enumerate(tables)}).values())
    keys = next(iter(differing), {})
    words = short(keys)
    keys_in_order = [key for key in order if key in words] or list(keys)
    return [
        _as_folder(",".join(f"{words[key]}={said(one[key])}" for key in keys_in_order) or "run") for one in differing
    ]


def _as_folder(label: str) -> str:
    name = re.sub(r"[^\w .=+,@%()-]", "_", label)
    if len(name) <= _LONGEST and name == label:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"
