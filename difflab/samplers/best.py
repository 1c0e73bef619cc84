"""The sampler that is taken where none is named.

`VelocityAdams` at the data's width, of two points for up to six evaluations, else of three. Its knobs were chosen on 18 mixtures
of 1 to 8 dimensions, round, stretched and finite, none of which is in the table below (`benchmarks/choose_default.py`).
"""

from __future__ import annotations

from .base import Sampler
from .velocity_adams import VelocityAdams

_A_HANDFUL = 6  # evaluations up to which two points end nearer to the flow than three


def best(evaluations: int = 20, width: float = 1.0) -> Sampler:
    """The default of `sample` for so many evaluations and data of this standard deviation."""
    return VelocityAdams(2 if evaluations <= _A_HANDFUL else 3, width)
