"""Where the searches along the probability flow begin: the points that a run would start from, for methods that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Generator, Tensor

from ...checks import brief, check_samples
from ...denoisers import Denoiser
from .optimised import check_count

if TYPE_CHECKING:
    from ..base import Sampler


def starts(
    denoiser: Denoiser,
    t: float,
    n: int,
    x: Tensor | None,
    shape: tuple[int, ...] | None,
    generator: Generator | None,
) -> Tensor:
    """`x`, or `n` points that `sample` would start from at time `t`: (n, *shape). Raises as `sample`."""
    from ..base import sample  # which is asked for grids by its own samplers
    from ..chains.ddim import DDIM

    if x is not None:
        check_samples(x, shape if shape is not None else getattr(denoiser, "shape", None))
        if len(x) == 0 or x.is_meta:
            raise ValueError("A grid is found for points to start from, but x holds none.")
        return next(sample(denoiser, DDIM(), [t, 0.0], x=x)).x
    check_count("n", n, 1)
    return next(sample(denoiser, DDIM(), [t, 0.0], n=n, shape=shape, generator=generator, quiet=True)).x


def check_follows_flow(sampler: Sampler) -> Sampler:
    """`sampler`, where it follows the probability flow. TypeError for what is no sampler, ValueError for one that draws noise, or
    that cannot follow a falling grid."""
    from ..base import Sampler

    if not isinstance(sampler, Sampler):
        raise TypeError(f"A grid is found for a sampler such as DDIM(), but got {brief(sampler)}.")
    if sampler.random:
        raise ValueError(
            f"This grid is found along the probability flow, but {sampler.label} draws noise: find one with"
            " align_your_steps, whose bound is on random steps."
        )
    sampler.check_grid((1.0, 0.0))  # one that walks at a level, or upwards, says so itself
    return sampler
