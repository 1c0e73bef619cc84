"""DrawData: a data set drawn by hand, as points with classes or as the ellipses of a Gaussian mixture.

The drawing itself is two plain traits, so that it is saved, reopened and shared as it stands; `data` is the data set that it
is at this moment, and `feed` lets other scenes show it at each change.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from sys import float_info
from typing import Any

import traitlets
from numpy.typing import ArrayLike

from ..checks import brief
from ..data import DataSet, FiniteSet, GaussianMixture
from .audience import Audience
from .base import Scene
from .choices import as_data
from .drawings import DRAWINGS, drawing
from .drawn import (
    CLASSES,
    NO_POINTS,
    check_ellipses,
    data_of,
    decode,
    drawing_of,
    ellipses_of,
    encode,
    fitted,
    points_of,
)
from .traits import NumberTrait, WholeTrait, check_seed

#: the traits that are the drawing
_DRAWING = ("mode", "drawn", "ellipses", "preset", "scaled")
#: drawings that another seed draws anew
_RANDOM = ("random", "moons", "spirals", "smiley")


class _Checked(traitlets.TraitType[Any, Any]):
    """A trait of the drawing, checked by a function of `drawn.py`. Not echoed: the browser knows what its hand drew."""

    def __init__(self, check: Callable[[Any], Any], default_value: Any) -> None:
        super().__init__(default_value)
        self.check = check
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> Any:
        try:
            return self.check(value)
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None


def _whole_drawing(drawn: Any) -> Any:
    decode(drawn)
    return drawn


class DrawData(Scene):
    """Draw the data: points with ten classes, or a mixture by dragging its ellipses.

    Args:
        data: what stands there first: a mixture in the plane or a set of points in the plane, the name of one ("ring",
            "moons", ...), or of a drawing ("smiley", "spirals"); default the ring of eight Gaussians.
        points: (n, 2) numbers, at most 20,000, instead of `data`; see `set_points`.
        labels: (n,) classes 0 to 9 of the points.
        mixture: a GaussianMixture in the plane of at most 32 components, instead of `data`.
        seed: of what is random: sprayed points, the preview of a mixture, some of the presets.

    Raises ValueError or TypeError in one sentence for what cannot be drawn.
    """

    mode = traitlets.Enum(["points", "mixture"], "mixture").tag(sync=True, echo_update=False)
    drawn = _Checked(_whole_drawing, NO_POINTS)
    ellipses = _Checked(check_ellipses, [])
    preset = traitlets.Enum(["", *DRAWINGS], "").tag(sync=True, echo_update=False)
    scaled = NumberTrait(1.0, float_info.min, float_info.max)
    tool = traitlets.Enum(["pen", "spray", "erase"], "pen").tag(sync=True, echo_update=False)
    pen_class = WholeTrait(0, 0, CLASSES - 1)
    brush = NumberTrait(0.25, 0.05, 1.0)
    snap = traitlets.Bool(False).tag(sync=True, echo_update=False)
    samples = WholeTrait(600, 0, 5000)
    choices = traitlets.List(traitlets.Dict(), [{"name": n, "label": d[0]} for n, d in DRAWINGS.items()]).tag(sync=True)
    feeds = traitlets.List(traitlets.Unicode()).tag(sync=True)
    facts = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = (
        *("t", "seed", "hidden", "mode", "drawn", "ellipses", "preset", "scaled"),
        *("tool", "pen_class", "brush", "snap", "samples"),
    )
    controls = (
        *("seed", "png", "mode", "tool", "class", "brush", "undo"),
        *("preset", "paste", "clear", "scale", "snap", "samples"),
    )

    def __init__(
        self,
        data: DataSet | str | None = None,
        *,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        mixture: GaussianMixture | None = None,
        seed: int = 0,
        **traits: Any,
    ) -> None:
        check_seed(seed)
        given = [
            name for name, value in (("data", data), ("points", points), ("mixture", mixture)) if value is not None
        ]
        if len(given) > 1:
            raise ValueError(f"DrawData begins with one of data, points and mixture, but got {' and '.join(given)}.")
        if labels is not None and points is None:
            raise ValueError("labels are the classes of points: give points too.")
        if points is not None:
            first = _points(points, labels)
        elif mixture is not None:
            first = _mixture(mixture)
        elif data is None or (isinstance(data, str) and data in DRAWINGS):
            first = _drawing(data or "ring", seed)
        else:
            first = drawing_of(as_data(data))
        self._audience = Audience(self)
        self._applying = False
        self._known: tuple[Any, DataSet] | None = None
        #: what is drawn as Python knows it: traits set through the publisher arrive a little later
        self._latest: dict[str, Any] = {}
        super().__init__(seed=seed, **(first | traits))
        self._latest = {name: getattr(self, name) for name in _DRAWING}
        self.observe(self._redrawn, list(_DRAWING))
        self.observe(self._reseeded, "seed")
        self._changed()

    # -- what is drawn -----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> FiniteSet | GaussianMixture:
        """The data set that is drawn now. ValueError while there are fewer than two points, or no ellipse."""
        latest = (self._latest["mode"], self._latest["drawn"], self._latest["ellipses"])
        if self._known is None or self._known[0] != latest:
            self._known = (latest, data_of(*latest))
        return self._known[1]  # type: ignore[return-value]

    def set_points(self, points: ArrayLike, labels: ArrayLike | None = None, *, fit: bool = True) -> float:
        """Draw these points, (n, 2), of classes `labels` (n,), 0 to 9, in the place of what is there.

        With `fit`, points that do not lie well on the sheet (beyond 2.5, or all within 0.5 of the origin) are centred and
        scaled by one number to reach 2. Returns that number, 1 if they stay as they are. ValueError in one sentence for
        points of another shape, more than 20,000, nan or inf.
        """
        traits = _points(points, labels, fit)
        self._draw(**traits)
        return float(traits["scaled"])

    def set_mixture(self, mixture: GaussianMixture) -> None:
        """Draw this mixture as it is. TypeError or ValueError for what is none in the plane of at most 32 components."""
        self._draw(**_mixture(mixture))

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Draw a data set: a mixture or points in the plane. ValueError in one sentence for any other."""
        if seed is not None:
            check_seed(seed)
        traits = drawing_of(as_data(data))
        self._draw(**traits)
        if seed is not None:
            self.publish(seed=seed)

    def clear(self) -> None:
        """An empty sheet."""
        self._draw(drawn=NO_POINTS, ellipses=[])

    # -- whom it feeds -----------------------------------------------------------------------------------------------------

    def feed(self, *scenes: Scene) -> None:
        """Let these scenes show what is drawn, now and at each change. TypeError for what shows no data."""
        self._audience.add(*scenes)
        self._name_the_fed()
        self.compute("exact", "feed", self._tell)

    def unfeed(self, *scenes: Scene) -> None:
        """Feed these scenes no more, or, without any, none at all; they keep what they show."""
        self._audience.drop(*scenes)
        self._name_the_fed()

    def on_data(self, callback: Callable[[DataSet], object]) -> None:
        """Call `callback(data)` at each change, on a thread in the background; what it raises is shown in the scene."""
        self._audience.call(callback)

    def _name_the_fed(self) -> None:
        self.publish(feeds=[type(scene).__name__ for scene in self._audience.scenes])

    def _tell(self) -> None:
        try:
            data = self.data
        except ValueError:
            return  # too little is drawn: the others keep what they have until there is more
        self._audience.tell(data)

    # -- how it changes ------------------------------------------------------------------------------------------------------

    def requests(self) -> tuple[str, ...]:
        return ("preset",)

    def on_preset(self, name: str) -> None:
        self._draw(**_drawing(name, self.seed))

    def to_dict(self) -> dict[str, Any]:
        return super().to_dict() | self._latest

    def _data_told(self) -> None:
        """The drawing is the data, and part of the preset as it stands."""

    def apply(self, preset: dict[str, Any]) -> None:
        self._applying = True  # its seed belongs to its drawing
        try:
            super().apply(preset)
        finally:
            self._applying = False
        self._latest |= {
            name: getattr(self, name) for name in _DRAWING if name in preset
        }  # `show` may have told others
        self._changed()

    def _draw(self, **traits: Any) -> None:
        traits = {"preset": "", "scaled": 1.0} | traits
        self._latest |= traits
        self.publish(**traits)
        self._changed()

    def _redrawn(self, change: dict[str, Any]) -> None:
        if self._latest[change["name"]] != change["new"]:
            self._latest[change["name"]] = change["new"]
            if change["name"] in ("mode", "drawn", "ellipses"):
                self._changed()

    def _reseeded(self, change: dict[str, Any]) -> None:
        if self.preset in _RANDOM and not self._applying:
            self._draw(**_drawing(self.preset, change["new"]))

    def _changed(self) -> None:
        if self._audience:
            self.compute("exact", "feed", self._tell)
        if self._latest["mode"] == "mixture" and self._latest["ellipses"]:
            self.compute("exact", "entropy", self._measure)

    def _measure(self) -> None:
        mode, ellipses = self._latest["mode"], self._latest["ellipses"]
        if mode != "mixture" or not ellipses:
            return
        entropy = data_of("mixture", NO_POINTS, ellipses).entropy()  # type: ignore[union-attr]
        self.publish(facts={"entropy": entropy.value, "error": entropy.error, "ellipses": ellipses})

    # -- its numbers ---------------------------------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        """points, components, classes, scaled; where known sigma_data, second_moment; of a mixture entropy (nats) and
        entropy_error.
        """
        numbers = super().numbers()
        latest, known = self._latest, dict[str, float]()
        classes = decode(latest["drawn"])[1].tolist() if latest["mode"] == "points" else []
        components = latest["ellipses"] if latest["mode"] == "mixture" else []
        with suppress(ValueError):  # too little is drawn
            known |= {"sigma_data": self.data.sigma_data, "second_moment": self.data.second_moment}
        if components and self.facts is not None and self.facts["ellipses"] == components:
            known |= {"entropy": self.facts["entropy"], "entropy_error": self.facts["error"]}
        return (
            numbers
            | known
            | {
                "points": float(len(classes)),
                "components": float(len(components)),
                "classes": float(len(set(classes)) or len(components)),
                "scaled": float(latest["scaled"]),
            }
        )


def _points(points: ArrayLike, labels: ArrayLike | None, fit: bool = True) -> dict[str, Any]:
    xy, classes = points_of(points, labels)
    xy, scale = fitted(xy) if fit else (xy, 1.0)
    drawn = encode(xy, classes)
    decode(drawn)  # what float32 cannot hold is refused here, in a sentence
    return {"mode": "points", "drawn": drawn, "scaled": scale}


def _mixture(mixture: GaussianMixture) -> dict[str, Any]:
    if not isinstance(mixture, GaussianMixture):
        raise TypeError(f"mixture must be a GaussianMixture, but got {brief(mixture)}.")
    return {"mode": "mixture", "ellipses": ellipses_of(mixture)}


def _drawing(name: str, seed: int) -> dict[str, Any]:
    return drawing(name, seed) | {"preset": name}
