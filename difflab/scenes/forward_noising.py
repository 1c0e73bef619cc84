"""ForwardNoising: x_0 turning into noise. x_0 and eps cross the wire once; the browser computes alpha x_0 + sigma eps."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from ..checks import brief, is_whole
from ..data import DataSet, GaussianMixture
from .arrays import Array
from .base import Scene
from .choices import SCHEDULES, as_data, schedule_of
from .look import Drawn, view_of
from .traits import NumberTrait, ScheduleTrait, WholeTrait, check_seed

POINTS, IMAGES = 20_000, 100
SIZES = {"points": [1000, 20_000, 100_000, 1_000_000], "images": [16, 100, 400]}
#: what a pixel of the browser can count, and what a sheet of images is good for
MOST = {"points": 2_000_000, "images": 10_000}
LAYERS = ("points", "density", "paths")
#: from here on arrays cross as float16: rounded to a third of a pixel at most, where nobody follows a point
HALF = 200_000


class ForwardNoising(Drawn, Scene):
    """Points or images on their way to noise, with the exact marginal density behind them where it is known.

    Args:
        data: points in the plane or images, grey or coloured; default the ring of eight Gaussians.
        schedule: a Schedule, its name, or {"name", "params"}.
        n: how many samples; default 20,000 points or 100 images.
        seed: of the samples and of their noise.

    Traits: `layers`, which of "points", "density" and "paths" are drawn; `colour`, "one" or by "category" (mode or class);
    `paths`, how many points leave one; `picked`, the point whose path and numbers are shown, or -1; `ink`, how dark a point
    is, 1 as usual.

    Raises ValueError for data that is neither points in the plane nor images, TypeError for what is no data at all.
    """

    x0 = Array()
    eps = Array()
    labels = Array()
    categories = traitlets.Int(0).tag(sync=True)
    variance = traitlets.Float(1.0).tag(sync=True)
    n = traitlets.Int(POINTS).tag(sync=True)
    sizes = traitlets.List(traitlets.Int()).tag(sync=True)
    layers = traitlets.List(traitlets.Unicode(), list(LAYERS)).tag(sync=True)
    colour = traitlets.Enum(["one", "category"], "one").tag(sync=True)
    paths = WholeTrait(9, 0, 100)
    picked = traitlets.Int(-1, min=-1).tag(sync=True)
    ink = NumberTrait(1.0, 0.1, 10.0)
    schedule = ScheduleTrait()
    choices = traitlets.List(SCHEDULES).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "n", "layers", "colour", "paths", "picked", "ink")
    controls = ("time", "seed", "png", "schedule", "layers", "colour", "n", "paths", "point", "ink")

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
        kind = view_of(self.data)["kind"]
        _check_n(n, kind)
        self._drawn = (check_seed(seed), _default_n(kind) if n is None else n)
        super().__init__(schedule=schedule, seed=seed, **(_picture(self.data, *self._drawn) | traits))
        self.observe(lambda _: self._draw_again(), ["seed", "n"])

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Change the data; its samples and their noise cross the wire once."""
        data, seed = as_data(data), self._seed_of(seed)
        kind = view_of(data)["kind"]
        n = self._drawn[1] if kind == view_of(self.data)["kind"] else _default_n(kind)
        picture = _picture(data, seed, n)
        self.data, self._drawn = data, (seed, n)
        self.publish(**picture, seed=seed, picked=-1)

    def _draw_again(self) -> None:
        """Other samples: the seed or their number changed."""
        wanted = (self.seed, self.n)
        if wanted != self._drawn:
            self._drawn = wanted
            gone = {"picked": -1} if self.picked >= self.n else {}
            self.publish(**{k: v for k, v in _picture(self.data, *wanted).items() if k != "n"}, **gone)

    @traitlets.validate("n")
    def _n_is_drawable(self, proposal: Any) -> int:
        try:
            _check_n(proposal["value"], view_of(self.data)["kind"])  # `kind` may still be on its way
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None
        return int(proposal["value"])

    @traitlets.validate("layers")
    def _layers_exist(self, proposal: Any) -> list[str]:
        for layer in proposal["value"]:
            if layer not in LAYERS:
                raise traitlets.TraitError(f"layers must be out of {', '.join(LAYERS)}, but got {layer!r}.")
        return [layer for layer in LAYERS if layer in proposal["value"]]

    @traitlets.validate("picked")
    def _picked_exists(self, proposal: Any) -> int:
        if not -1 <= proposal["value"] < self.n:
            raise traitlets.TraitError(
                f"picked must be a sample from 0 to {self.n - 1:,}, or -1 for none, but got {proposal['value']!r}."
            )
        return int(proposal["value"])

    def numbers(self) -> dict[str, float]:
        """t, alpha, sigma and log_snr at the clock; data_share, how much of x_t's variance is the data's; the number of
        samples; and point_x, point_y, where the picked point is.
        """
        base = super().numbers()
        alpha, sigma = (float(a) for a in schedule_of(self.schedule).alpha_sigma(self.t))
        log_snr = _log_ratio(alpha, sigma)
        signal = alpha**2 * self.variance
        found = {"alpha": alpha, "sigma": sigma, "log_snr": log_snr, "n": float(len(self.x0))}
        found["data_share"] = signal / (signal + sigma**2) if signal + sigma**2 else 1.0
        if self.kind == "points" and 0 <= self.picked < len(self.x0):
            x, y = alpha * self.x0[self.picked].astype(float) + sigma * self.eps[self.picked].astype(float)
            found |= {"point_x": float(x), "point_y": float(y)}
        return base | found


def _log_ratio(alpha: float, sigma: float) -> float:
    if not sigma or not alpha:
        return float("inf") if alpha else -float("inf")
    return 2 * float(np.log(alpha) - np.log(sigma))


def _default_n(kind: str) -> int:
    return IMAGES if kind == "images" else POINTS


def _check_n(n: Any, kind: str) -> None:
    if n is not None and not (is_whole(n, 1) and n <= MOST[kind]):
        raise ValueError(f"n must be a whole number of {kind} from 1 to {MOST[kind]:,}, but got {brief(n)}.")


def _picture(data: DataSet, seed: int, n: int) -> dict[str, Any]:
    """The traits that show `n` samples of the data and their noise."""
    view = view_of(data)
    x0, labels = data.preview(n, seed)
    eps = np.random.default_rng([seed, 1]).standard_normal(x0.shape, dtype=np.float32)
    arrays = {"x0": _flat(x0), "eps": _flat(eps)}
    if x0.size > 2 * HALF:
        arrays = {name: a.astype(np.float16) for name, a in arrays.items()}
    categories = 0 if labels is None else int(data.classes or (labels.max(initial=0) + 1))
    if isinstance(data, GaussianMixture):
        categories = len(data.weights)
    facts = {"categories": categories, "variance": float(data.sigma_data) ** 2, "sizes": SIZES[view["kind"]]}
    return view | arrays | {"labels": labels, "n": n} | facts


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)
