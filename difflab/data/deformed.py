"""More images than there are: each one again, a little turned, stretched and slanted, as another hand would have drawn it.

A network that sees a small set often enough learns it by heart. Copies that no longer coincide with the originals keep it from
that, at the price of a law that is a little wider than the data's (Simard, Steinkraus & Platt 2003, section 2).
"""

from __future__ import annotations

import numpy as np

from ..checks import brief, is_number, is_whole
from .base import check_seed
from .finite import FiniteSet

_BLOCK = 4096  # images deformed at a time
_MOST_COPIES = 1000  # a slip of the hand must not fill the memory


def deformed(
    data: FiniteSet,
    copies: int = 15,
    *,
    rotation: float = 0.0,
    stretch: float = 0.14,
    shear: float = 0.18,
    shift: float = 0.0,
    seed: int = 0,
) -> FiniteSet:
    """The images of `data`, and after them `copies` of the whole set in which each is deformed by a map of its own,

        y(u) = x(R S Z u + d),  u in pixels from the middle,

    a rotation R, a shear S, a stretch Z of either axis and a shift d, each drawn uniformly. Between pixels values are
    cubic, beyond the edge lies the lowest value of the range, and what comes out is put back on the data's levels, if it has
    some. Labels and vectors are those of the originals, so give what leaves their meaning alone: a 6 that is turned too far
    is a 9.

    Args:
        data: images (channels, height, width), without weights.
        rotation: the largest angle, in degrees.
        stretch: either axis is scaled by exp(u), |u| <= stretch.
        shear: largest slant, columns per row.
        shift: largest move in either direction, in pixels.
        seed: of the draws.

    Raises TypeError for what is no finite set; ValueError, in one sentence, for one that has weights or is no set of images, for
    copies that are no whole number from 1 to 1000, and amounts out of reach.
    """
    if not isinstance(data, FiniteSet):
        raise TypeError(f"Only the images of a FiniteSet can be deformed, but got {brief(data)}.")
    if len(data.shape) != 3 or data.weights is not None:
        kind = f"examples of shape {data.shape}" + (" with weights" if data.weights is not None else "")
        raise ValueError(f"Deforming takes images (channels, height, width) that are equally likely, but got {kind}.")
    if not is_whole(copies) or copies > _MOST_COPIES:
        raise ValueError(f"copies must be a whole number from 1 to {_MOST_COPIES}, but got {brief(copies)}.")
    amounts = {
        "rotation": (rotation, 180),
        "stretch": (stretch, 1),
        "shear": (shear, 1),
        "shift": (shift, min(data.shape[1:])),
    }
    for name, (value, most) in amounts.items():
        if not is_number(value) or not 0 <= value <= most:
            raise ValueError(f"{name} must be a number from 0 to {most}, but got {brief(value)}.")
    check_seed(seed)
    rng, n = np.random.default_rng(seed), len(data)
    x = np.empty((n * (copies + 1), *data.shape), dtype=np.float32)
    x[:n] = data.x
    for start in range(n, len(x), _BLOCK):
        stop = min(start + _BLOCK, len(x))
        maps = _maps(rng.uniform(-1, 1, (stop - start, 6)), rotation, stretch, shear, shift, data.shape)
        x[start:stop] = _moved(data.x[np.arange(start, stop) % n], maps, data.range, data.levels)
    labels, vectors = (None if a is None else np.concatenate([a] * (copies + 1)) for a in (data.labels, data.vectors))
    name = f"{data.name}, deformed"
    return FiniteSet(x, labels, vectors=vectors, levels=data.levels, range=data.range, name=name)


def _maps(
    u: np.ndarray, rotation: float, stretch: float, shear: float, shift: float, shape: tuple[int, ...]
) -> np.ndarray:
    """Affine maps (n, 2, 3) from where a pixel goes to where it is read, (x, y) in half images; `u` (n, 6) in [-1, 1]."""
    angle, slant = np.radians(rotation) * u[:, 0], shear * u[:, 1]
    wide, high = np.exp(stretch * u[:, 2:4]).T
    cos, sin = np.cos(angle), np.sin(angle)
    height, width = shape[1:]
    x = np.stack([cos * wide, (cos * slant - sin) * high * height / width, 2 * shift / width * u[:, 4]], axis=1)
    y = np.stack([sin * wide * width / height, (sin * slant + cos) * high, 2 * shift / height * u[:, 5]], axis=1)
    return np.stack([x, y], axis=1)


def _moved(x: np.ndarray, maps: np.ndarray, limits: tuple[float, float], levels: int | None) -> np.ndarray:
    """The images (n, c, h, w) read where `maps` (n, 2, 3) says, within the limits and on the levels."""
    import torch
    from torch.nn.functional import affine_grid, grid_sample

    low, high = limits
    grid = affine_grid(torch.from_numpy(maps).float(), list(x.shape), align_corners=False)
    moved = grid_sample(torch.from_numpy(x) - low, grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    y = np.clip(moved.numpy() + low, low, high)
    if levels is not None and high > low:
        width = (high - low) / (levels - 1)
        y = np.clip(np.round((y - low) / width) * width + low, low, high)
    return y
