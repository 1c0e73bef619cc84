"""Classifier-free guidance: away from what is likely anyway, towards what is likely of the class (Ho & Salimans 2022).

    D_w(x_t) = D(x_t) + w (D(x_t, y) - D(x_t)),

which is the score grad log p_t(x_t) + w grad log p_t(y | x_t), written in x_0: all faces of a prediction are linear in x_0 at
fixed x_t, so that guiding eps, v or the score is the same. **w = 1 is the conditional model, w = 0 the one without classes**;
the paper's own w is one less (its eq. 6: (1 + w) eps(y) - w eps).

At t = 0 that score is the one of p(x | y)^w p(x)^(1 - w). At t > 0 it is not the score of that density under noise, so the
samples of w > 1 are not samples of it: `Sharpened` and `SharpenedDenoiser` have the exact ones beside it.
"""

from __future__ import annotations

from torch import Tensor

from ..base import Denoiser, Posterior, check_same_frame
from ..conditioned import Conditioned
from .base import Guidance, answer_of, check_weight, extrapolated


class ClassifierFree(Guidance):
    """`denoiser` with classes, guided by itself without: called with labels, or as Conditioned(ClassifierFree(...), labels).

    Args:
        denoiser: knows classes, and, called without labels, all of them together (networks learn it by `label_dropout`).
        weight: w in x_0 = without + w (with - without): 1 is the conditional model, more than 1 exaggerates it.
        unconditional: another denoiser to be guided by, if it is not `denoiser` without labels; with it, `denoiser` may
            know its condition by itself (an oracle of `observed`, a `Conditioned`), and labels are optional.

    Two calls of networks each; one at w = 0 and w = 1. When called, ValueError where there is nothing to be guided to (no
    labels, no `unconditional`).

    Raises TypeError for what is no denoiser; ValueError for a weight that is no number, denoisers of two schedules or
    shapes, or a `Conditioned` alone.
    """

    def __init__(self, denoiser: Denoiser, weight: float, *, unconditional: Denoiser | None = None) -> None:
        super().__init__(denoiser)
        self.weight = check_weight(weight, "The weight")
        if unconditional is not None:
            check_same_frame(denoiser, unconditional, "The unconditional denoiser")
        elif isinstance(denoiser, Conditioned):
            raise ValueError(
                "A Conditioned cannot be asked without its labels, which is what leads away: put it around the guidance,"
                " Conditioned(ClassifierFree(denoiser, weight), labels), or give unconditional."
            )
        self.unconditional = unconditional

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        if self.weight == 1:
            return self.unguided(x_t, t, labels)
        if labels is None and self.unconditional is None and self.weight != 0:
            raise ValueError(
                "Classifier-free guidance needs the classes to lead to: sample Conditioned(ClassifierFree(denoiser, weight),"
                " labels), or give unconditional."
            )
        without = answer_of(self.denoiser if self.unconditional is None else self.unconditional, x_t, t, None)
        if self.weight == 0:
            return without
        within = answer_of(self.denoiser, x_t, t, labels)
        return Posterior(extrapolated(without.mean, within.mean, self.weight))

    def unguided(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """The conditional model."""
        return answer_of(self.denoiser, x_t, t, labels)
