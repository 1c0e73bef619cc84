"""A drawing as data, and data as a drawing: points with classes, or ellipses that are the components of a mixture.

Points travel as base64 of float32 pairs and of one byte a class, so that what was pasted arrives to the bit and twenty
thousand of them are one string. An ellipse is {"weight", "mean", "axes", "angle"}: `axes` are the standard deviations along
its two axes, `angle` (radians, anticlockwise) is where the first of them points.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import array_of, brief, is_number
from ..data import DataSet, FiniteSet, GaussianMixture

MOST_POINTS = 20_000
MOST_COMPONENTS = 32
CLASSES = 10
#: half the side of the sheet that is drawn on; points from elsewhere are fitted to FIT if they do not lie well on it
SHEET, FIT, LEAST = 2.5, 2.0, 0.5
FARTHEST = 100.0  # of a coordinate, and of an axis
NARROWEST = 1e-3  # of an axis

#: "xy" and "classes" of points
Drawn = dict[str, str]
Ellipse = dict[str, Any]

NO_POINTS: Drawn = {"xy": "", "classes": ""}


def encode(xy: np.ndarray, classes: np.ndarray) -> Drawn:
    """Points (n, 2) and their classes (n,) as they travel and are kept."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes inf, which `decode` refuses
        single = np.ascontiguousarray(xy, dtype="<f4")
    return {
        "xy": base64.b64encode(single.tobytes()).decode("ascii"),
        "classes": base64.b64encode(np.ascontiguousarray(classes, dtype=np.uint8).tobytes()).decode("ascii"),
    }


def decode(drawn: Any) -> tuple[np.ndarray, np.ndarray]:
    """Points, float32 (n, 2), and their classes, uint8 (n,). ValueError in one sentence for what is no drawing."""
    if not isinstance(drawn, dict) or set(drawn) != {"xy", "classes"}:
        raise ValueError(f'Drawn points are {{"xy": base64, "classes": base64}}, but got {brief(drawn)}.')
    try:
        raw = [base64.b64decode(drawn[name], validate=True) for name in ("xy", "classes")]
    except (TypeError, ValueError, binascii.Error):
        raise ValueError('"xy" and "classes" of drawn points must be base64.') from None
    if len(raw[0]) != 8 * len(raw[1]):
        raise ValueError(
            f"Drawn points are two float32 numbers and one byte each, but got {len(raw[0])} and {len(raw[1])} bytes."
        )
    xy = np.frombuffer(raw[0], dtype="<f4").astype(np.float32).reshape(-1, 2)
    classes = np.frombuffer(raw[1], dtype=np.uint8)
    _check_points(xy, classes)
    return xy, classes


def points_of(points: ArrayLike, labels: ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
    """Points, float64 (n, 2), and classes of a user's arrays, checked as `decode` does."""
    xy = array_of(points, "Points")
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"Points must have the shape (n, 2), but got {xy.shape}.")
    given = np.zeros(len(xy)) if labels is None else array_of(labels, "Labels of points")
    if given.shape != (len(xy),):
        raise ValueError(f"There must be one label for each of the {len(xy)} points, but got the shape {given.shape}.")
    if not np.all((given == np.floor(given)) & (given >= 0) & (given < CLASSES)):
        raise ValueError(f"Labels of points must be whole numbers from 0 to {CLASSES - 1}: DrawData has ten classes.")
    _check_points(xy, given)
    return xy, given.astype(np.uint8)


def _check_points(xy: np.ndarray, classes: np.ndarray) -> None:
    if len(xy) > MOST_POINTS:
        raise ValueError(f"A drawing has at most {MOST_POINTS:,} points, but got {len(xy):,}.")
    if not np.all(np.isfinite(xy)):
        raise ValueError("Points must be finite; these have nan or inf.")
    if len(classes) and classes.max() >= CLASSES:
        raise ValueError(f"A drawing has the classes 0 to {CLASSES - 1}, but got {int(classes.max())}.")


def fitted(xy: np.ndarray) -> tuple[np.ndarray, float]:
    """The points centred and scaled by one number to reach `FIT`, and that number; as they are, and 1, if they lie well already.

    The browser does the same with what is pasted (`fitted` in js/src/scenes/drawn_points.ts).
    """
    if len(xy) == 0 or LEAST <= np.abs(xy).max() <= SHEET:
        return xy, 1.0
    low, high = xy.min(0), xy.max(0)
    half = float((high - low).max()) / 2
    scale = FIT / half if half > 0 else 1.0
    if not math.isfinite(scale):
        raise ValueError("These points lie too close together, or too far apart, to be drawn.")
    return (xy - (low + high) / 2) * scale, scale


def check_ellipses(ellipses: Any) -> list[Ellipse]:
    """The list with plain floats in it. ValueError in one sentence for anything but a list of ellipses."""
    if not isinstance(ellipses, (list, tuple)):
        raise ValueError(f"ellipses must be a list of ellipses, but got {brief(ellipses)}.")
    if len(ellipses) > MOST_COMPONENTS:
        raise ValueError(f"A drawn mixture has at most {MOST_COMPONENTS} components, but got {len(ellipses)}.")
    return [_checked(each) for each in ellipses]


def _checked(ellipse: Any) -> Ellipse:
    if not isinstance(ellipse, dict) or set(ellipse) != {"weight", "mean", "axes", "angle"}:
        raise ValueError(f"An ellipse has weight, mean, axes and angle, but got {brief(ellipse)}.")
    weight, angle = ellipse["weight"], ellipse["angle"]
    if not is_number(weight) or not 0 < weight < math.inf:
        raise ValueError(f"The weight of an ellipse must be a number above 0, but got {brief(weight)}.")
    if not is_number(angle):
        raise ValueError(f"The angle of an ellipse must be a number, in radians, but got {brief(angle)}.")
    mean = _pair(ellipse["mean"], "mean", -FARTHEST, FARTHEST)
    axes = _pair(ellipse["axes"], "axes", NARROWEST, FARTHEST)
    return {"weight": float(weight), "mean": mean, "axes": axes, "angle": float(angle)}


def _pair(value: Any, name: str, low: float, high: float) -> list[float]:
    fits = (
        isinstance(value, (list, tuple)) and len(value) == 2 and all(is_number(v) and low <= v <= high for v in value)
    )
    if not fits:
        raise ValueError(f"{name} of an ellipse must be two numbers from {low:g} to {high:g}, but got {brief(value)}.")
    return [float(v) for v in value]


def mixture_of(ellipses: Sequence[Ellipse], name: str) -> GaussianMixture:
    """The mixture that the ellipses are, exactly; their weights are shares of the sum."""
    if not ellipses:
        raise ValueError("Nothing is drawn yet: a mixture needs one ellipse or more.")
    weights = np.array([e["weight"] for e in ellipses])
    a, b = np.array([e["axes"] for e in ellipses]).T
    angle = np.array([e["angle"] for e in ellipses])
    c, s = np.cos(angle), np.sin(angle)
    xx, xy, yy = (a * c) ** 2 + (b * s) ** 2, (a**2 - b**2) * c * s, (a * s) ** 2 + (b * c) ** 2
    covariances = np.stack([xx, xy, xy, yy], axis=1).reshape(-1, 2, 2)
    return GaussianMixture(weights / weights.sum(), [e["mean"] for e in ellipses], covariances, name)


def ellipses_of(mixture: GaussianMixture) -> list[Ellipse]:
    """The ellipses of a mixture in the plane, its longer axes first. ValueError if there are too many, or not in the plane."""
    if mixture.shape != (2,):
        raise ValueError(f"DrawData draws mixtures in the plane, but {mixture.name} has {mixture.dim} dimensions.")
    values, vectors = np.linalg.eigh(mixture.covariances)  # ascending
    axes = np.sqrt(values[:, ::-1])
    round_ones = axes[:, 0] == axes[:, 1]  # which point nowhere
    angles = np.where(round_ones, 0.0, np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1]))
    return check_ellipses(
        [
            {"weight": float(w), "mean": m.tolist(), "axes": a.tolist(), "angle": float(angle % math.pi)}
            for w, m, a, angle in zip(mixture.weights, mixture.means, axes, angles, strict=True)
        ]
    )


def drawing_of(data: DataSet) -> dict[str, Any]:
    """The traits that draw a data set. ValueError in one sentence for one that no hand could draw."""
    if isinstance(data, GaussianMixture):
        return {"mode": "mixture", "ellipses": ellipses_of(data)}
    if not isinstance(data, FiniteSet) or data.shape != (2,):
        raise ValueError(
            f"DrawData draws points in the plane and mixtures, but {data.name} has the shape {data.shape}."
        )
    if data.weights is not None or data.vectors is not None:
        raise ValueError(
            "Points of a drawing are equally likely and have classes: give DrawData a set without weights."
        )
    return {"mode": "points", "drawn": encode(*points_of(data.x, data.labels))}


def data_of(mode: str, drawn: Drawn, ellipses: Sequence[Ellipse]) -> FiniteSet | GaussianMixture:
    """The data set that is drawn. ValueError in one sentence while there is too little of it.

    Labels are the classes; None while all points are of class 0, so that nobody conditions on nothing.
    """
    if mode == "mixture":
        return mixture_of(ellipses, "drawn mixture")
    xy, classes = decode(drawn)
    if len(xy) < 2:
        have = "one point is drawn" if len(xy) else "nothing is drawn yet"
        raise ValueError(f"A data set needs two points or more, and {have}: draw, or call set_points(array).")
    return FiniteSet(xy, classes if classes.any() else None, name="drawn points")
