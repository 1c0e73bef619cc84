"""How samples are drawn: as points in a square, or as images. The twin of `LookState` in js/src/core/cloud.ts."""

from __future__ import annotations

from typing import Any

import traitlets

from ..data import DataSet, GaussianMixture

FARTHEST = 10_000  # of a coordinate: with its noise it is a float16


class Drawn(traitlets.HasTraits):
    """The traits of a scene that draws samples; `view_of` gives their values."""

    kind = traitlets.Enum(["points", "images"], "points").tag(sync=True)
    image_shape = traitlets.List(traitlets.Int()).tag(sync=True)
    extent = traitlets.Float(3.0).tag(sync=True)
    range = traitlets.List(traitlets.Float(), [-1.0, 1.0]).tag(sync=True)
    mixture = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)


def view_of(data: DataSet) -> dict[str, Any]:
    """The traits that say how samples of `data` are drawn: as points in a square of half-width `extent`, or as images."""
    if data.is_image:
        channels = data.shape[0]
        if channels not in (1, 3):
            raise ValueError(f"This scene draws grey or RGB images, but {data.name} has {channels} channels.")
        return {
            "kind": "images",
            "image_shape": [*data.shape[1:], *([3] if channels == 3 else [])],
            "range": list(data.range),
            "mixture": None,
            "extent": 3.0,
        }
    if data.shape != (2,):
        raise ValueError(f"This scene draws points in the plane or images, but {data.name} has the shape {data.shape}.")
    reach = max(abs(v) for v in data.range)
    if not reach <= FARTHEST:
        raise ValueError(
            f"This scene draws points up to {FARTHEST:,} from 0, but {data.name} reaches {reach:.3g}: scale it."
        )
    mixture = data.to_dict() if isinstance(data, GaussianMixture) else None
    extent = max(3.0, reach)  # noise needs 3, whatever the data needs
    return {"kind": "points", "image_shape": [], "range": list(data.range), "mixture": mixture, "extent": extent}
