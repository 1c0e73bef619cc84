"""What a denoiser is: anything that says which x_0 is behind x_t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..schedules import Schedule


@dataclass(frozen=True)
class Posterior:
    """What is known of x_0 given x_t.

    Attributes:
        mean: E[x_0 | x_t], (n, *shape).
        var: Var[x_0 | x_t] of each coordinate, shaped as `mean`, where the denoiser knows it.
    """

    mean: Tensor
    var: Tensor | None = None


class Denoiser(Protocol):
    """(x_t, t) -> Posterior. `schedule` says what x_t is."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """`x_t` (n, *shape), `t` one time or (n,) of them, `labels` (n,) int64 where the denoiser knows classes."""
        ...


def noise_level(schedule: Schedule, t: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) at `t` in the dtype and on the device of `x`, shaped to multiply x (n, *shape).

    Raises ValueError if `t` has neither one entry nor one for each row of `x`.
    """
    if isinstance(t, Tensor) and t.ndim and t.shape != x.shape[:1]:
        raise ValueError(
            f"t must be one time or {len(x)} of them, one for each sample, but has the shape {tuple(t.shape)}."
        )
    alpha, sigma = schedule.alpha_sigma(t)
    shape = (-1, *[1] * (x.ndim - 1)) if alpha.ndim else ()
    return alpha.to(x.device, x.dtype).reshape(shape), sigma.to(x.device, x.dtype).reshape(shape)


def check_labels(labels: Tensor, classes: int | None, n: int) -> None:
    """Raises ValueError unless `labels` are (n,) whole numbers from 0 to classes - 1."""
    if classes is None:
        raise ValueError("This denoiser knows no classes; call it without labels.")
    if labels.shape != (n,) or labels.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"labels must be {n} whole numbers, one for each sample, but got {tuple(labels.shape)} of {labels.dtype}."
        )
    # in a dry run (meta) there are no values to look at
    if n and labels.device.type != "meta" and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels must lie between 0 and {classes - 1}, but got {int(labels.min())} to {int(labels.max())}."
        )
