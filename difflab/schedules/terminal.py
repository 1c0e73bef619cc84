"""L_T: what the last noise level still tells of x_0, which no denoiser can make up for."""

from __future__ import annotations

import math
import warnings

from ..checks import is_number

REACHED = 0.01  # nats/dim of L_T that count as noise: a hundredth of what one halving of the width costs


class NoiseNotReached(UserWarning):
    """The last noise level still shows the data: L_T, which no network can lower, is above REACHED."""


def warn_unless_noise(what: object, left: float, stacklevel: int = 2) -> None:
    """Warns NoiseNotReached if `left`, the L_T of `what` in nats/dim, is above REACHED. `stacklevel` as of `warnings.warn`."""
    if left > REACHED:
        warnings.warn(
            f"{what} does not reach noise: for data of second moment 1, L_T is {left:.2g} nats/dim"
            f" ({left / math.log(2):.2g} bits/dim), which no denoiser can make up for; it should be below {REACHED:g}.",
            NoiseNotReached,
            stacklevel=stacklevel + 1,
        )


def kl_to_prior(alpha: float, sigma: float, prior_std: float = 1.0, second_moment: float = 1.0) -> float:
    """KL(N(alpha x_0, sigma^2) || N(0, p^2)) in nats per dimension, averaged over data of this E x_0^2.

    (alpha^2 E x_0^2 + sigma^2) / 2 p^2 - 1/2 - log(sigma / p). ValueError if `second_moment` is negative or not finite, or
    for standard deviations that are not above 0.
    """
    if not (is_number(alpha) and is_number(sigma) and is_number(prior_std) and sigma > 0 and prior_std > 0):
        raise ValueError(
            f"A KL divergence needs numbers, sigma and prior_std above 0, but got alpha={alpha!r}, sigma={sigma!r},"
            f" prior_std={prior_std!r}."
        )
    if not is_number(second_moment) or second_moment < 0:
        raise ValueError(f"The second moment of data, E x_0^2, is a number of 0 or more, but got {second_moment!r}.")
    excess = (sigma - prior_std) * (sigma + prior_std) / prior_std**2  # sigma^2 / p^2 - 1
    return (alpha / prior_std) ** 2 * second_moment / 2 + (excess - math.log1p(excess)) / 2
