"""Pixels as numbers: 256 grey levels, 0 to 255, equally spaced on [-1, 1], so that bits/dim stand on them."""

from __future__ import annotations

import numpy as np

LEVELS = 256
RANGE = (-1.0, 1.0)
_TABLE = (np.arange(LEVELS) / 127.5 - 1).astype(np.float32)


def numbers(pixels: np.ndarray) -> np.ndarray:
    """uint8 of any shape -> float32 of that shape, on the levels to the last bit."""
    return np.asarray(_TABLE[pixels])


def channels_first(shape: tuple[int, ...]) -> tuple[tuple[int, int, int], bool] | None:
    """How one image of `shape` is read: its (C, H, W), and whether the channels, 1 or 3, have to move in front.

    (H, W) is grey; (C, H, W) stays; (H, W, C) is turned; None for what is no image.
    """
    if len(shape) == 2:
        return (1, *shape), False
    if len(shape) == 3 and shape[0] in (1, 3):
        return shape, False
    if len(shape) == 3 and shape[2] in (1, 3):
        return (shape[2], *shape[:2]), True
    return None
