"""One noise level as plain numbers, for whoever multiplies tensors by it."""

from __future__ import annotations

import math
from typing import NamedTuple


class Level(NamedTuple):
    """One noise level as plain numbers: they multiply a tensor of any dtype, wherever it is, at no cost."""

    t: float
    alpha: float
    sigma: float
    log_snr: float

    @property
    def ratio(self) -> float:
        """sigma / alpha, the noise level beside data that keep their size; inf where alpha = 0."""
        return self.sigma / self.alpha if self.alpha else math.inf
