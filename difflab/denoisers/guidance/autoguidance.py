"""Autoguidance: away from a worse version of the model itself (Karras et al. 2024, "Guiding a diffusion model with a bad
version of itself", eq. 3).

    D_w(x_t) = D_worse(x_t) + w (D(x_t) - D_worse(x_t)),

w = 1 is the model, w > 1 goes on in the direction in which it is better than a smaller, less trained one. Both are asked for
the same class: quality is separated from agreement with the class, which classifier-free guidance mixes.
"""

from __future__ import annotations

from torch import Tensor

from ..base import Denoiser, Posterior, check_same_frame
from .base import Guidance, answer_of, check_weight, extrapolated


class Autoguidance(Guidance):
    """`denoiser` guided away from `worse`.

    Args:
        denoiser: the good model.
        worse: one that makes the same mistakes, only larger: of the same data and schedule, smaller or trained for a while.
        weight: w in x_0 = worse + w (good - worse): 1 is the good model, 0 the worse.

    Two calls of networks each (one of either), one at w = 0 and w = 1. Labels go to both.

    Raises TypeError for what is no denoiser; ValueError for a weight that is no number, or denoisers of two schedules or
    shapes.
    """

    def __init__(self, denoiser: Denoiser, worse: Denoiser, weight: float) -> None:
        super().__init__(denoiser)
        check_same_frame(denoiser, worse, "The worse version")
        self.worse, self.weight = worse, check_weight(weight, "The weight")

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        if self.weight == 1:
            return self.unguided(x_t, t, labels)
        worse = answer_of(self.worse, x_t, t, labels)
        if self.weight == 0:
            return worse
        return Posterior(extrapolated(worse.mean, self.unguided(x_t, t, labels).mean, self.weight))

    def unguided(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """The good model."""
        return answer_of(self.denoiser, x_t, t, labels)
