"""The data sets that have a name: what command lines, recipes and menus may ask for."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from .base import DataSet
from .finite import digits, two_moons
from .mixture import GaussianMixture
from .mnist_5k import mnist_5k

NAMES: dict[str, Callable[..., DataSet]] = {
    "ring": GaussianMixture.ring,
    "grid": GaussianMixture.grid,
    "random": GaussianMixture.random,
    "moons": two_moons,
    "digits": digits,
    "mnist-5k": mnist_5k,
}


def maker(name: str) -> Callable[..., DataSet]:
    """What makes the data set of this name in NAMES. ValueError in one sentence for an unknown one."""
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"There is no data named {name!r}; choose one of {', '.join(NAMES)}.")
    return NAMES[name]


def named(name: str, **options: Any) -> DataSet:
    """The data set of this name in NAMES, made with these options. ValueError in one sentence for an unknown one of either."""
    make = maker(name)
    known = list(signature(make).parameters)
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}.")
    return make(**options)
