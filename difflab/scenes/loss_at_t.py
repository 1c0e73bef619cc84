"""The loss at each t: the exact floor, and what a network loses above it. What the Lab's "At t" reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ..denoisers import ExactDenoiser, NetworkDenoiser

TIMES = 41
FLOOR_ROWS = 512  # samples at each time
EXCESS_ROWS = {"points": 128, "images": 8}  # less: measured again and again while training


def times() -> Tensor:
    """Where the loss is measured, (TIMES,) float64; below the first no network is trained."""
    import torch

    from ..objectives import T_MIN

    return torch.linspace(T_MIN, 1, TIMES, dtype=torch.float64)


def floor_at_t(oracle: ExactDenoiser, prediction: str, options: dict[str, Any]) -> list[float]:
    """The irreducible loss at each of `times`; `options` are generator and conditional."""
    from ..objectives import floor_profile

    return floor_profile(oracle, prediction, times(), n=FLOOR_ROWS, **options).value.tolist()  # type: ignore[no-any-return]


def excess_at_t(denoiser: NetworkDenoiser, oracle: ExactDenoiser, seed: int) -> list[float]:
    """What `denoiser` loses above the floor at each of `times`, never negative: loss and floor at the very same x_t."""
    import torch

    from ..objectives import floor_profile, loss_profile

    rows = EXCESS_ROWS["images" if oracle.data.is_image else "points"]
    first, second = (torch.Generator().manual_seed(seed) for _ in range(2))
    loss = loss_profile(denoiser, oracle.data, times(), n=rows, generator=first, oracle=oracle)
    conditional = denoiser.classes is not None
    floor = floor_profile(oracle, denoiser.prediction, times(), n=rows, generator=second, conditional=conditional)
    return (loss.value - floor.value).clamp(min=0).tolist()  # type: ignore[no-any-return]
