"""Drawings to begin with: what the presets of DrawData put on the sheet. Numpy alone, a few milliseconds each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data import GaussianMixture
from .drawn import ellipses_of, encode

_N = 1500


def _moons(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    half = _N // 2
    angle = np.pi * rng.random((2, half))
    upper = np.stack([np.cos(angle[0]), np.sin(angle[0])], axis=1)
    lower = np.stack([1 - np.cos(angle[1]), 0.5 - np.sin(angle[1])], axis=1)
    return _points([upper, lower], 0.06, rng)


def _spirals(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    turns = 3 * np.pi * np.sqrt(rng.random((2, _N // 2)))  # as many points on each piece of equal length
    arms = [np.stack([r * np.cos(r + k * np.pi), r * np.sin(r + k * np.pi)], axis=1) for k, r in enumerate(turns)]
    return _points(arms, 0.15, rng)


def _smiley(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    face = 2 * np.pi * rng.random(_N // 2)
    smile = np.pi * (1.2 + 0.6 * rng.random(_N // 4))
    eyes = rng.normal(scale=0.09, size=(_N // 4, 2)) + np.where(
        rng.random((_N // 4, 1)) < 0.5, [-0.35, 0.3], [0.35, 0.3]
    )
    circle = np.stack([np.cos(face), np.sin(face)], axis=1)
    mouth = 0.6 * np.stack([np.cos(smile), np.sin(smile)], axis=1)
    return _points([circle, eyes, mouth], 0.02, rng)


def _points(parts: list[np.ndarray], noise: float, rng: np.random.Generator) -> dict[str, Any]:
    """One class a part, with noise, shifted to mean 0 and scaled to variance 1 as the data sets are."""
    xy = np.concatenate(parts)
    classes = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    xy = xy + rng.normal(scale=noise, size=xy.shape)
    xy -= xy.mean(0)
    return {"mode": "points", "drawn": encode(xy / xy.std(), classes)}


def _mixture(mixture: GaussianMixture) -> dict[str, Any]:
    return {"mode": "mixture", "ellipses": ellipses_of(mixture)}


#: name: label, and the traits it sets by seed
DRAWINGS: dict[str, tuple[str, Callable[[int], dict[str, Any]]]] = {
    "ring": ("ring of eight", lambda _seed: _mixture(GaussianMixture.ring())),
    "grid": ("3 x 3 grid", lambda _seed: _mixture(GaussianMixture.grid())),
    "random": ("random mixture", lambda seed: _mixture(GaussianMixture.random(seed=seed))),
    "moons": ("two moons", _moons),
    "spirals": ("two spirals", _spirals),
    "smiley": ("smiley", _smiley),
}


def drawing(name: str, seed: int) -> dict[str, Any]:
    """The traits of the drawing of this name. ValueError in one sentence for an unknown one."""
    if not isinstance(name, str) or name not in DRAWINGS:
        raise ValueError(f"There is no drawing named {name!r}; choose one of {', '.join(DRAWINGS)}.")
    return DRAWINGS[name][1](seed)
