"""NCSNv2's advice for a data set in one sentence with its numbers: which levels, and how long a Langevin step."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..data import DataSet

_FEW = 10  # dimensions below which half an overlap leaves levels far apart


@lru_cache(maxsize=16)
def advised(data: DataSet, seed: int) -> dict[str, Any]:
    """sigma_max and whether it is exact or a lower bound, sigma_min, levels, their ratio and overlap, epsilon, steps_per_level.

    By the exact chi law. In few dimensions neighbours overlap by 0.9 and are walked for 20 steps; else by NCSNv2's half, 5
    steps (`difflab.advice.advise`).
    """
    import torch

    from ..advice import advise

    few = data.dim < _FEW
    overlap, steps = (0.9, 20) if few else (0.5, 5)
    found = advise(data, overlap=overlap, steps_per_level=steps, generator=torch.Generator().manual_seed(seed))
    bound = "" if found.sigma_max_exact else " at least"
    ratio = (found.sigma_max / found.sigma_min) ** (1 / (found.levels - 1))
    return {
        "dim": found.dim,
        "sigma_max": found.sigma_max,
        "sigma_max_exact": found.sigma_max_exact,
        "sigma_min": found.sigma_min,
        "levels": found.levels,
        "ratio": ratio,
        "overlap": found.overlap,
        "epsilon": found.epsilon,
        "steps_per_level": found.steps_per_level,
        "sentence": (
            f"NCSNv2 for this data (D = {found.dim}): sigma from{bound} {found.sigma_max:.3g}, its largest distance, down to"
            f" {found.sigma_min:.2g} in {found.levels} levels, each {ratio:.3g} times the next (overlap {found.overlap:.2g} by"
            f" the chi law); {found.steps_per_level} Langevin steps a level, the last of size {found.epsilon:.2g}."
        ),
    }
