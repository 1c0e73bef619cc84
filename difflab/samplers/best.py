"""The sampler that is taken where none is named.

`VelocityAdams` at the data's width, of two points for up to six evaluations, else of three. Its knobs were chosen on 18
mixtures of 1 to 8 dimensions, round, stretched and finite (`benchmarks/choose_default.py`). On two others, with the exact score,
the median distance to the end of the probability flow is, beside the best of other libraries' settings (`benchmarks/quality.py`):

    evaluations               5        8        10       20       50
    ring of 8                 9.2e-3   2.7e-3   2.0e-3   5.1e-4   6.0e-5
      the best of others      2.0e-2   7.2e-3   4.1e-3   6.7e-4   1.7e-4
    40 Gaussians              1.3e-2   4.0e-3   2.4e-3   7.5e-4   9.1e-5
      the best of others      3.0e-2   1.2e-2   1.0e-2   2.1e-3   2.2e-4
"""

from __future__ import annotations

from typing import Any

from ..denoisers import ConsistencyDenoiser, Denoiser
from ..denoisers.guidance import Guidance
from ..flow.circle import width_of
from .base import Sampler
from .exponential.velocity_adams import VelocityAdams
from .leaps.consistency import Consistency

_A_HANDFUL = 6  # evaluations up to which two points end nearer to the flow than three


def best(evaluations: int = 20, width: float = 1.0) -> Sampler:
    """The default of `sample` for so many evaluations and data of this standard deviation."""
    return VelocityAdams(2 if evaluations <= _A_HANDFUL else 3, width)


def best_for(denoiser: Denoiser, evaluations: int = 20) -> Sampler:
    """The default of `sample` for so many evaluations of this denoiser.

    A consistency model denoises nothing: it leaps. Guidance bends the field where its extrapolation begins, and a parabola
    through three values of it may overshoot without end (from weights of about 4, at 7 to 13 evaluations): there two are taken.
    """
    inner: Any = denoiser
    while inner is not None:
        if isinstance(inner, ConsistencyDenoiser):
            return Consistency()
        if isinstance(inner, Guidance):
            return VelocityAdams(2, width_of(denoiser))
        inner = getattr(inner, "denoiser", None)
    return best(evaluations, width_of(denoiser))
