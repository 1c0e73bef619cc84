"""Presets: scenes as plain JSON, which a file holds and `difflab lab --preset FILE` opens.

Data are part of a preset where they can be told in words: by the name they were asked for, or as a mixture's numbers. Others,
such as an array of one's own, are given to `from_dict` again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks import brief
from ..data import DataSet, GaussianMixture
from ..data.names import named

if TYPE_CHECKING:
    from .base import Scene


def data_told(data: DataSet) -> dict[str, Any] | None:
    """The data as JSON, or None where it cannot be told."""
    if data.asked is not None:
        return dict(data.asked)
    if isinstance(data, GaussianMixture):
        return {"mixture": data.to_dict(), "called": data.name}
    return None


def data_from(told: Any) -> DataSet:
    """The data that `data_told` told. ValueError, in one sentence, for anything else."""
    if isinstance(told, dict) and set(told) == {"mixture", "called"}:
        mixture = told["mixture"]
        if isinstance(mixture, dict) and set(mixture) == {"weights", "means", "covariances"}:
            return GaussianMixture(**mixture, name=told["called"])
    elif isinstance(told, dict) and "name" in told:
        return named(**told)
    raise ValueError(
        f'Data in a preset are {{"name": ...}} or {{"mixture": ..., "called": ...}}, but got {brief(told)}.'
    )


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The preset in a file, checked as far as that goes without making the scene.

    Raises ValueError, in one sentence, where the file is missing, is no JSON, or names no scene.
    """
    from . import MODULES

    try:
        preset = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"The preset {os.fspath(path)} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ValueError(f"The preset {os.fspath(path)} is not JSON: {error}.") from None
    found = preset.get("scene") if isinstance(preset, dict) else preset
    if not isinstance(preset, dict) or not isinstance(found, str) or found not in MODULES:
        raise ValueError(
            f"The preset {os.fspath(path)} must name its scene, one of {', '.join(MODULES)}, but says {brief(found)}."
        )
    return preset


def scene_from(preset: dict[str, Any], **arguments: Any) -> Scene:
    """The scene of a preset, whichever it is. ValueError, in one sentence, for what is none."""
    from . import scene_class

    cls = scene_class(preset.get("scene", ""))
    return cls.from_dict(preset, **arguments)  # type: ignore[no-any-return]
