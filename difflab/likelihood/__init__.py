"""log p(x) by the probability-flow ODE (Song et al. 2021, section 4.3)."""

from ..runge_kutta import Adaptive, Fixed
from .divergence import Exact, Hutchinson
from .probability_flow import Likelihood, log_likelihood

__all__ = ["Adaptive", "Exact", "Fixed", "Hutchinson", "Likelihood", "log_likelihood"]
