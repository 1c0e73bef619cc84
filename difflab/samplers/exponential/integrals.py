r"""What exponential integrators multiply their values by: integrals of Lagrange's polynomials under an exponential.

The probability flow is linear in x but for one function of it, and with lambda = log(alpha / sigma), half the log-SNR, the linear
part is solved exactly (Lu et al. 2022, prop. 3.1; Lu et al. 2022b, prop. 4.1; Zhang & Chen 2023, prop. 3):

    x_s = sigma_s / sigma_t x_t + alpha_s int_t^s exp(-(lambda_s - lambda)) x_0 dlambda     as a function of x_0, or
    x_s = alpha_s / alpha_t x_t - sigma_s int_t^s exp(+(lambda_s - lambda)) eps dlambda     as a function of eps.

Put the polynomial through values that are known at some nodes for x_0 or eps, and the integrals are numbers:

    w_j = int_0^h exp(rate (h - u)) L_j(u) du = h sum_k a_jk M_k(rate h),   L_j(u) = sum_k a_jk (u / h)^k,
    M_k(z) = int_0^1 exp(z (1 - v)) v^k dv = k! phi_{k+1}(z),

with u = lambda - lambda_t, h = lambda_s - lambda_t, and the phi functions of exponential integrators (Hochbruck & Ostermann
2010, section 2.1). All of them are plain numbers of float64, the same for every schedule that has these levels.
"""

from __future__ import annotations

import math
from functools import lru_cache

from ...schedules.base import Level

_SERIES = 2.0  # |z| up to which the series is summed: beyond it the recursion upwards loses less than two bits
_REMEMBERED = 2**14  # steps: a sampler takes the same ones in every run


def distance(t: Level, s: Level) -> float:
    """h = lambda_s - lambda_t of two levels above the data, lambda = half the log-SNR; inf from where alpha = 0."""
    return (s.log_snr - t.log_snr) / 2


def moments(count: int, z: float) -> tuple[float, ...]:
    """M_k(z) = int_0^1 exp(z (1 - v)) v^k dv for k = 0 .. count - 1, to full precision at every finite z, 0 included."""
    if abs(z) > _SERIES:
        found = [math.expm1(z) / z]
        for k in range(1, count):
            found.append((k * found[-1] - 1) / z)
        return tuple(found)
    # M_k = sum_j z^j k! / (k + 1 + j)! for the last one, and down by M_{k-1} = (1 + z M_k) / k, which divides by no small number
    term = last = 1 / count
    j = 0
    while abs(term) > 1e-17 * abs(last):
        j += 1
        term *= z / (count + j)
        last += term
    found = [last]
    for k in range(count - 1, 0, -1):
        found.append((1 + z * found[-1]) / k)
    return tuple(reversed(found))


@lru_cache(_REMEMBERED)
def weights(nodes: tuple[float, ...], h: float, rate: float) -> tuple[float, ...]:
    """The weight w_j of each node in int_0^h exp(rate (h - u)) f(u) du, exact for polynomials f of degree < len(nodes).

    Args:
        nodes: where f is known, all different, in any order: u = 0 is where the step starts, what lies before is negative.
        h: length of the step, not 0.
        rate: of the exponential; 0 gives the weights of Adams and Bashforth.
    """
    places = [u / h for u in nodes]
    powers = moments(len(places), rate * h)
    found = []
    for j, place in enumerate(places):
        polynomial, scale = [1.0], h
        for i, other in enumerate(places):
            if i != j:  # times (v - other) / (place - other)
                scale /= place - other
                polynomial = [a - other * b for a, b in zip([0.0, *polynomial], [*polynomial, 0.0], strict=True)]
        found.append(scale * sum(a * m for a, m in zip(polynomial, powers, strict=True)))
    return tuple(found)


def whole(h: float, rate: float) -> float:
    """The sum of all weights, int_0^h exp(rate (h - u)) du; h = inf is possible where rate < 0."""
    return math.expm1(rate * h) / rate if rate else h


def through_two(node: float, h: float, whole: float, lever: float) -> tuple[float, float]:
    """Weights of the values at u = 0 and at `node` that give the constant part the weight `whole`, and a slope `lever` / 2.

    With lever = whole the line is taken at the middle of the step, as DPM-Solver++ does (Lu et al. 2022b, algorithms 1 and 2),
    which differs from its exact integral by O(h^3).
    """
    slope = lever / 2 * h / node
    return whole - slope, slope
