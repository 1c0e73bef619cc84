"""How large a network may be, and what it may be called with.

What is asked for may be a slip of the hand, or come from a file of someone else's.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ..checks import brief, check_samples, is_number

_LARGEST = 65_536
# layers or blocks: thousands of modules would take minutes to build; and all that is asked of a network is the prediction
# and, with a learned range, one number more; what it is told is a noise level or, for a mean flow, two times
_MOST = {"depth": 128, "blocks": 128, "outputs": 2, "levels": 2}
_MOST_AXES, _MOST_COORDINATES = 8, 2**24
# unsaid where they are so, as in the checkpoints from before there was a choice
_UNSAID = {"outputs": 1, "levels": 1, "dropout": 0, "vector": None}


def check_sizes(name: str, config: dict[str, Any]) -> None:
    """Raises ValueError unless the options of the network `name` are whole numbers of a size that can be built, and its
    dropout is a share; of classes and a vector only one is a condition."""
    if config.get("classes") is not None and config.get("vector") is not None:
        raise ValueError(f"{name} takes classes or a vector as its condition, not both.")
    for option, value in config.items():
        if option == "dropout":
            if not is_number(value) or not 0 <= value < 1:
                raise ValueError(f"{name}'s dropout must be a number from 0 to less than 1, but got {value!r}.")
            continue
        most = _MOST.get(option, _LARGEST)
        if option == "shape":
            if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST_AXES:
                raise ValueError(
                    f"{name}'s shape must be a list of 1 to {_MOST_AXES} whole numbers, but got {value!r}."
                )
            if all(type(side) is int for side in value) and math.prod(value) > _MOST_COORDINATES:
                raise ValueError(
                    f"{name} takes samples of up to {_MOST_COORDINATES} coordinates, not of shape {value}."
                )
        elif value is None and option in ("classes", "vector"):
            continue
        for number in value if option == "shape" else [value]:
            if type(number) is not int or not 1 <= number <= most:
                raise ValueError(f"{name}'s {option} must be whole numbers from 1 to {most}, but got {value!r}.")


def config_of(shape: tuple[int, ...], options: dict[str, Any]) -> dict[str, Any]:
    """What rebuilds a network, as plain JSON values."""
    said = {k: v for k, v in options.items() if k not in _UNSAID or v != _UNSAID[k]}
    return {"shape": list(shape), **said}


def check_inputs(x: Tensor, level: Tensor, shape: list[int] | None, levels: int = 1) -> None:
    """Raises TypeError or ValueError unless `x` is (n, *shape), of any shape if None, and `level` (n,) or (1,); (n, levels)
    or (1, levels) for a network that is told several."""
    check_samples(x, None if shape is None else tuple(shape))
    if not isinstance(level, Tensor):
        raise TypeError(f"The noise level of a network is a tensor, log-SNR / 4, but got {brief(level)}.")
    if levels > 1:
        if level.ndim != 2 or len(level) not in (1, len(x)) or level.shape[1] != levels:
            raise ValueError(
                f"This network is told {levels} numbers, (1, {levels}), or for each sample, ({len(x)}, {levels}), but got"
                f" {tuple(level.shape)}."
            )
    elif level.ndim != 1 or len(level) not in (1, len(x)):
        raise ValueError(
            f"The noise level must be one, (1,), or one for each sample, ({len(x)},), but got {tuple(level.shape)}."
        )
