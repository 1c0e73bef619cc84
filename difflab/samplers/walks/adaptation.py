"""Step sizes that find themselves: dual averaging (Hoffman & Gelman 2014, section 3.2.1, eq. 6), each row for itself.

With p_i the acceptance probability of proposal i and delta the one that is wanted, after m proposals

    log size_(m+1) = log size_1 - sqrt(m) / gamma * sum_i (delta - p_i) / (m + t_0),   gamma = 0.05, t_0 = 10,

so that the mean of p_i is above delta by gamma log(size_(m+1) / size_1) (m + t_0) / m^(3/2), exactly. What is kept after the
last one is the weighted mean of the log sizes, whose newest has the weight m^-0.75. While it adapts, a chain remembers more
than where it is and does not leave its target as it is; from then on the size is frozen, and it does. (Hoffman & Gelman shrink
towards ten times the first size; here that is a stable one already, found from the noise level.)
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

_GAMMA, _T0, _KAPPA = 0.05, 10, 0.75


class Adapted(NamedTuple):
    """What adaptation remembers: proposals seen, sum of delta - p, log size of the next one and mean log size, each (n,)."""

    seen: int
    deficit: Tensor
    log_size: Tensor
    log_mean: Tensor

    @classmethod
    def begun(cls, size: float, like: Tensor) -> Adapted:
        """Every row at `size`; `like` (n,) says where and of which type."""
        start = like.new_full(like.shape, math.log(size))
        return cls(0, like.new_zeros(like.shape), start, start)

    def after(self, probability: Tensor, target: float, warm_up: int, size: float) -> Adapted:
        """Having seen one more acceptance `probability` (n,); unchanged once `warm_up` of them have been seen."""
        if self.seen >= warm_up:
            return self
        m = self.seen + 1
        deficit = self.deficit + (target - probability)
        log_size = math.log(size) - math.sqrt(m) / _GAMMA / (m + _T0) * deficit
        weight = m**-_KAPPA
        log_mean = weight * log_size + (1 - weight) * self.log_mean
        return Adapted(m, deficit, log_mean if m == warm_up else log_size, log_mean)
