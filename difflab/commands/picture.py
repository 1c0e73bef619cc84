"""Samples as a PNG: images in a grid, points as a density."""

from __future__ import annotations

import io

import numpy as np

_SIDE = 480  # pixels of a density


def png(x: np.ndarray, range: tuple[float, float], columns: int = 10, scale: int = 6) -> bytes:
    """The PNG of samples `x`, whose values lie on `range`.

    Images, grey (n, 1, h, w) or in colour (n, 3, h, w), fill rows of `columns`, black for the lowest value, each pixel a
    square of `scale`, a smaller one where images are larger than 32 pixels; points (n, 2) become a density over the
    square of side `range`, ordinate upwards, darker where there are more.
    Raises ValueError for samples of another shape.
    """
    from PIL import Image

    if x.ndim == 4 and x.shape[1] in (1, 3):
        picture = _grid(x, range, columns, max(1, scale * 32 // max(32, *x.shape[2:])))
        picture = picture[..., 0] if x.shape[1] == 1 else picture
    elif x.ndim == 2 and x.shape[1] == 2:
        picture = _density(x, range)
    else:
        raise ValueError(f"Only images and points in the plane can be drawn, but got samples of {x.shape[1:]}.")
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="png")
    return buffer.getvalue()


def _grid(x: np.ndarray, range: tuple[float, float], columns: int, scale: int) -> np.ndarray:
    """uint8 (height, width, channels)."""
    low, high = range
    values = np.rint((np.clip(x, low, high) - low) / (high - low) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    margin = (scale // 2,) * 2
    tiles = np.pad(values.repeat(scale, 1).repeat(scale, 2), ((0, 0), margin, margin, (0, 0)))
    empty = -len(tiles) % columns
    tiles = np.pad(tiles, ((0, empty), (0, 0), (0, 0), (0, 0)))
    rows = tiles.reshape(-1, columns, *tiles.shape[1:]).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(rows.reshape(rows.shape[0] * rows.shape[1], -1, x.shape[1]))


def _density(x: np.ndarray, range: tuple[float, float]) -> np.ndarray:
    counts, _, _ = np.histogram2d(x[:, 1], x[:, 0], bins=_SIDE, range=[range, range])
    ink = np.sqrt(counts / max(1.0, counts.max()))  # the square root shows sparse regions too
    return np.rint(255 * (1 - ink[::-1])).astype(np.uint8)
