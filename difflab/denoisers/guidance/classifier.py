"""Classifier guidance: the gradient of a classifier that knows noise (Dhariwal & Nichol 2021, section 4.2).

By Bayes' rule grad log p_t(x_t | y) = grad log p_t(x_t) + grad log p_t(y | x_t), and by Tweedie's formula
x_0 = (x_t + sigma^2 score) / alpha, so that in x_0

    D_s(x_t) = D(x_t) + s (sigma^2 / alpha) grad log p_t(y | x_t).

With the exact classifier (`BayesClassifier`) and s = 1 this is E[x_0 | x_t, y]; at other scales s it is the mean of no law.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...checks import brief, is_seen
from ..base import Denoiser, Posterior, noise_level
from .base import Guidance, answer_of, check_weight

Classifier = Callable[..., Tensor]
"""(x_t (n, *shape), t) -> log p_t(y | x_t), (n,), up to a constant, each row's from that row alone. Where classes are
asked for, (x_t, t, labels (n,)) -> log p_t(labels | x_t)."""


class ClassifierGuidance(Guidance):
    """`denoiser` guided by the gradient of `classifier`.

    Args:
        denoiser: knows nothing of y; to guide a conditional one further, give it as a `Conditioned`.
        classifier: see `Classifier`. Labels that this guidance is called with go to it, and not to the denoiser.
        scale: s, by which the gradient of log p(y | x_t) is multiplied; 1 is Bayes' rule, 0 the denoiser alone.

    One call of the denoiser, one of the classifier, one gradient. It is taken where torch.no_grad and torch.inference_mode
    hold too. Where gradients are on and x_t asks for one, the answer can be differentiated.

    Raises TypeError for what is no denoiser or no function; ValueError for a scale that is no number and, when called,
    for log-probabilities that are not (n,) or do not depend on x_t, and where alpha = 0: there x_t says nothing of y, and
    how a class moves x_0 cannot be read from a gradient.
    """

    def __init__(self, denoiser: Denoiser, classifier: Classifier, scale: float = 1.0) -> None:
        super().__init__(denoiser)
        if not callable(classifier):
            raise TypeError(
                "A classifier is a function (x_t, t) -> log p(y | x_t), one number for each sample, but got"
                f" {brief(classifier)}."
            )
        self.classifier, self.scale = classifier, check_weight(scale, "The scale")

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        plain = self.unguided(x_t, t)
        if self.scale == 0:
            return plain
        alpha, sigma = noise_level(self.schedule, t, x_t)
        if is_seen(alpha, lambda alpha: alpha == 0):
            raise ValueError(
                f"At alpha = 0, where {self.schedule.name} begins, x_t says nothing of the class, and a classifier's gradient"
                " cannot say what x_0 becomes: start the grid below t = 1."
            )
        return Posterior(plain.mean + self.scale * sigma.square() / alpha * self._gradient(x_t, t, labels))

    def unguided(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """The denoiser, which knows nothing of the class."""
        return answer_of(self.denoiser, x_t, t, None)

    def _gradient(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None) -> Tensor:
        """grad log p_t(y | x_t), shaped as x_t."""
        again = torch.is_grad_enabled() and x_t.requires_grad
        with torch.inference_mode(False), torch.enable_grad():
            # a tensor made in inference mode takes no gradient: its copy does
            x = x_t if again else x_t.detach().clone().requires_grad_()
            log_p = self.classifier(x, t) if labels is None else self.classifier(x, t, labels)
            if not isinstance(log_p, Tensor) or log_p.shape != x.shape[:1]:
                got = tuple(log_p.shape) if isinstance(log_p, Tensor) else brief(log_p)
                raise ValueError(
                    f"A classifier must return log p(y | x_t) of each sample, ({len(x)},), but this one returned {got}."
                )
            if not log_p.is_floating_point() or log_p.device != x.device:
                raise ValueError(
                    "A classifier must return log p(y | x_t) as real numbers where x_t is, but this one returned"
                    f" {log_p.dtype} on {log_p.device}."
                )
            found: tuple[Tensor | None, ...] = (None,)
            if log_p.requires_grad:
                found = torch.autograd.grad(log_p.sum(), x, create_graph=again, allow_unused=True)
        if found[0] is None:
            raise ValueError(
                "A classifier guides by its gradient, but what this one returned does not depend on x_t: compute it"
                " from x_t with torch, without no_grad or detach."
            )
        return found[0]
