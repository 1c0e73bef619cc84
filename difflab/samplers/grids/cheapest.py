"""The cheapest way along a row of levels in a given number of jumps, by dynamic programming (Bellman 1957)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def cheapest(cost: Tensor, steps: int, gamma: float = 1.0) -> tuple[list[int], float]:
    """(levels, total): the way from the first level to the last in `steps` jumps downwards whose total is least.

        total = sum_k gamma^k cost[levels[k], levels[k + 1]]

    No way is missed: of all that go on from one level in equally many jumps, only the cheapest can be part of the best.

    Args:
        cost: (levels, levels), of the jump from one level (row) to a later one (column); the rest is not looked at.
        steps: at least 1 and at most levels - 1.
    """
    count = len(cost)
    later = torch.ones_like(cost, dtype=torch.bool).triu(1)
    jumps = cost.masked_fill(~later, torch.inf)
    left = jumps[:, -1]  # of the way from each level on, in one jump
    choices = []
    for _ in range(steps - 1):
        left, nxt = (jumps + gamma * left).min(1)
        choices.append(nxt)
    levels = [0]
    for nxt in reversed(choices):
        levels.append(int(nxt[levels[-1]]))
    return [*levels, count - 1], float(left[0])


def price(cost: Tensor, levels: list[int], gamma: float = 1.0) -> float:
    """The total above, of one way."""
    total = 0.0
    for i, j in reversed(list(pairwise(levels))):
        total = float(cost[i, j]) + gamma * total
    return total


def even_way(count: int, steps: int) -> list[int]:
    """The way of (nearly) equal jumps along `count` levels."""
    return [round(k * (count - 1) / steps) for k in range(steps + 1)]
