"""ForwardNoising: x_0 turning into noise. x_0 and eps cross the wire once; the browser computes alpha x_0 + sigma eps."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from ..data import DataSet, GaussianMixture
from .arrays import Array
from .base import Scene
from .choices import as_data, schedule_of
from .traits import ScheduleTrait

POINTS, IMAGES = 20_000, 100


class ForwardNoising(Scene):
    """Points or images on their way to noise, with the exact marginal density behind them where it is known.

    Args:
        data: points in the plane or images; default the ring of eight Gaussians.
        schedule: a Schedule, its name, or {"name", "params"}.
        n: how many samples; default 20,000 points or 100 images.
        seed: of the samples and of their noise.

    Raises ValueError for data that is neither points in the plane nor grey images.
    """

    kind = traitlets.Enum(["points", "images"], "points").tag(sync=True)
    image_shape = traitlets.List(traitlets.Int()).tag(sync=True)
    x0 = Array()
    eps = Array()
    labels = Array()
    extent = traitlets.Float(3.0).tag(sync=True)
    range = traitlets.List(traitlets.Float(), [-1.0, 1.0]).tag(sync=True)
    mixture = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    paths = traitlets.Int(9, min=0, max=100).tag(sync=True)
    schedule = ScheduleTrait()

    preset_traits = ("t", "seed", "hidden", "schedule", "paths")

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        *,
        n: int | None = None,
        seed: int = 0,
        **traits: Any,
    ) -> None:
        self.data = as_data(data)
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise ValueError(f"n must be a whole number of at least 1, but got {n!r}.")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ValueError(f"seed must be a whole number, 0 or more, but got {seed!r}.")
        self.n = n
        super().__init__(schedule=schedule, seed=seed, **(self._picture(self.data, seed) | traits))

    def show(self, data: DataSet, seed: int | None = None) -> None:
        """Change the data; its samples and their noise cross the wire once."""
        seed = self.seed if seed is None else seed
        picture = self._picture(data, seed)
        self.data = data
        self.publish(**picture, seed=seed)

    def _picture(self, data: DataSet, seed: int) -> dict[str, Any]:
        x0, labels = data.preview(self.n or (IMAGES if data.is_image else POINTS), seed)
        eps = np.random.default_rng([seed, 1]).standard_normal(x0.shape, dtype=np.float32)
        return view_of(data) | {"x0": _flat(x0), "eps": _flat(eps), "labels": labels}

    def numbers(self) -> dict[str, float]:
        """t, alpha, sigma and log_snr at the clock; the number of samples."""
        alpha, sigma = (float(a) for a in schedule_of(self.schedule).alpha_sigma(self.t))
        log_snr = 2 * float(np.log(alpha) - np.log(sigma)) if sigma else float("inf")
        return super().numbers() | {"alpha": alpha, "sigma": sigma, "log_snr": log_snr, "n": float(len(self.x0))}


def view_of(data: DataSet) -> dict[str, Any]:
    """The traits that say how samples of `data` are drawn: as points in a square of half-width `extent`, or as images."""
    if data.is_image:
        if data.shape[0] != 1:
            raise ValueError(f"This scene draws grey images, but {data.name} has {data.shape[0]} channels.")
        return {
            "kind": "images",
            "image_shape": list(data.shape[1:]),
            "range": list(data.range),
            "mixture": None,
            "extent": 3.0,
        }
    if data.shape != (2,):
        raise ValueError(f"This scene draws points in the plane or images, but {data.name} has the shape {data.shape}.")
    mixture = data.to_dict() if isinstance(data, GaussianMixture) else None
    extent = max(3.0, *(abs(v) for v in data.range))  # noise needs 3, whatever the data needs
    return {"kind": "points", "image_shape": [], "range": list(data.range), "mixture": mixture, "extent": extent}


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)
