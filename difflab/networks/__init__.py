"""Networks: what is trained. Called as network(x, noise_level, labels); `.config` is what rebuilds one of these.

Any other module does as well, directly or, if it is called in another way, `Adapted`.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

from torch import nn

from ..checks import brief
from ..data import DataSet
from ..data.base import check_data
from .adapted import Adapted
from .dit import DiT
from .mlp import MLP
from .sizes import check_sizes
from .unet import UNet

NETWORKS: dict[str, type[nn.Module]] = {"MLP": MLP, "UNet": UNet, "DiT": DiT}
_IMAGES, _PATCHES = ("UNet", "DiT"), 64  # about as many as two cores are enough for

__all__ = ["MLP", "NETWORKS", "Adapted", "DiT", "UNet", "network_for", "network_from"]


def network_for(data: DataSet, *, network: str | None = None, conditional: bool = False, **options: Any) -> nn.Module:
    """The network that fits `data`: a U-Net for images that can be cut into patches, an MLP else, or the one named
    `network`; with the data's classes or vectors as its condition if `conditional`.

    `options` go to the network (`width`, ...). Without `patch`, an image is cut into about 64 patches, each of a side of 2
    or more: 2 for 8x8 digits, 4 for 28x28 and 32x32.

    Raises ValueError if `conditional` is no truth value, or is True and the data has neither, for an unknown name or option,
    and for a network of images where the data is none.
    """
    check_data(data)
    if not isinstance(conditional, bool):
        raise ValueError(f"conditional must be True or False, but got {brief(conditional)}.")
    if conditional and data.classes is None and data.vector is None:
        raise ValueError(f"{data.name} has no classes and no vectors; train it with conditional=False.")
    name = network if network is not None else "MLP" if _patch(data, "UNet") is None else "UNet"
    patch = _patch(data, name)
    given: dict[str, Any] = {} if patch is None else {"patch": patch}
    given |= {"shape": list(data.shape), "classes": data.classes if conditional else None}
    if conditional and data.vector is not None:
        given["vector"] = data.vector
    return network_from(name, given | options)


def _patch(data: DataSet, network: str) -> int | None:
    """The side of patches that leaves a network of images about as many as it should have; None where none does, or for
    another network."""
    if not data.is_image or network not in _IMAGES:
        return None
    rows, columns = data.shape[1:]
    sides = [p for p in range(2, min(rows, columns) // 2 + 1) if rows % p == columns % p == 0]
    return min(sides, key=lambda p: abs(math.log(rows * columns / p**2 / _PATCHES)), default=None)


def network_from(name: str, config: dict[str, Any]) -> nn.Module:
    """The network of this class name with this `.config`. Raises ValueError for an unknown name or option."""
    if not isinstance(name, str) or name not in NETWORKS:
        raise ValueError(f"There is no network named {name!r}; choose one of {', '.join(NETWORKS)}.")
    if not isinstance(config, dict):
        raise ValueError(f"The options of a network are a table, but got {config!r}.")
    known = list(inspect.signature(NETWORKS[name]).parameters)
    for option in config:
        if option not in known:
            raise ValueError(f"{name} has no option {option!r}; it has {', '.join(known)}.")
    if "shape" not in config:
        raise ValueError(f"{name} cannot be built without the shape of a sample.")
    check_sizes(name, config)
    return NETWORKS[name](**{**config, "shape": tuple(config["shape"])})
