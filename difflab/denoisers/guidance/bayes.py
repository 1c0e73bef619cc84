"""The exact classifier of what is known exactly: Bayes' rule read backwards.

    log p_t(y | x_t) = log p_t(x_t | y) - log p_t(x_t) + log p(y).

Where y is a component, a class, an observation (`ExactDenoiser.observed`) or an exponential tilt of the data
(`GaussianMixture.tilted`), both densities on the right are closed forms: for a tilt, p_t(y | x_t) is E[exp(tilt(x_0)) | x_t]
up to a constant, the mean of the tilt over what x_t leaves open.
"""

from __future__ import annotations

from torch import Tensor

from ...checks import brief
from ..base import check_same_frame
from ..exact import ExactDenoiser


class BayesClassifier:
    """classifier(x_t, t) = log p_t(y | x_t) - log p(y), (n,) nats, for t > 0 (a mixture's at t = 0 too).

    Args:
        oracle: of the data.
        given: the oracle of the data given y, of the same schedule; without it y is a label: classifier(x_t, t, labels).

    Raises TypeError for what is no oracle, ValueError for oracles of two schedules or shapes, and, when called, what
    `ExactDenoiser.log_prob` does.
    """

    def __init__(self, oracle: ExactDenoiser, given: ExactDenoiser | None = None) -> None:
        for one in (oracle, oracle if given is None else given):
            if not isinstance(one, ExactDenoiser):
                raise TypeError(f"Bayes' rule needs exact densities: give an ExactDenoiser, but got {brief(one)}.")
        if given is not None:
            check_same_frame(oracle, given, "The oracle of the data given y")
        self.oracle, self.given = oracle, given

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Tensor:
        if (self.given is None) == (labels is None):
            raise ValueError(
                "A classifier by Bayes' rule is asked either with labels or of the oracle given y, never both or neither."
            )
        within = self.oracle.log_prob(x_t, t, labels) if self.given is None else self.given.log_prob(x_t, t)
        return within - self.oracle.log_prob(x_t, t)
