"""The loss curve of a run of any length in a few hundred points."""

from __future__ import annotations

import numpy as np


class LossCurve:
    """Means of consecutive blocks of losses. When `limit` blocks are full, pairs are merged and blocks become twice
    as long, so every point is a mean of equally many steps, but for the last."""

    def __init__(self, limit: int = 600) -> None:
        if limit < 2 or limit % 2:
            raise ValueError(f"The limit of a curve must be even and at least 2, but got {limit}.")
        self._limit, self._block = limit, 1
        self._steps: list[float] = []
        self._losses: list[float] = []
        self._sum_steps = self._sum = 0.0
        self._count = 0

    def add(self, step: int, loss: float) -> None:
        self._sum_steps += step
        self._sum += loss
        self._count += 1
        if self._count == self._block:
            self._steps.append(self._sum_steps / self._count)
            self._losses.append(self._sum / self._count)
            self._sum_steps = self._sum = 0.0
            self._count = 0
            if len(self._steps) == self._limit:
                self._steps, self._losses = _merged(self._steps), _merged(self._losses)
                self._block *= 2

    def points(self) -> np.ndarray:
        """(m, 2) float32, m <= limit: the mean step and the mean loss of each block, the unfinished one included."""
        steps, losses = list(self._steps), list(self._losses)
        if self._count:
            steps.append(self._sum_steps / self._count)
            losses.append(self._sum / self._count)
        return np.stack([steps, losses], axis=1).astype(np.float32) if steps else np.zeros((0, 2), np.float32)


def _merged(values: list[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(values[::2], values[1::2], strict=True)]
