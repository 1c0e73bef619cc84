"""Averages of weights whose length is a share of the training so far, and how any of them is made of a few others.

The profile of gamma at step t gives the weights of step tau the share

    p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1),  0 < tau <= t        (Karras et al. 2024, "EDM2", eq. 121)

Its standard deviation is sigma_rel t, and sigma_rel is the name by which such lengths are called (eq. 123): 0.05 is short, 0.25
long; 1 / sqrt(12) = 0.289, gamma = 0, is the plain mean of all steps. Weights that stay the same from one step to the next are
averaged exactly by avg <- beta avg + (1 - beta) weights, beta = (1 - 1 / t)^(gamma + 1) (eq. 127).

A profile that nobody followed is, nearly, a sum of those that somebody did: of the nearest one in L2 the weights have a closed
form (section 3.2, appendix C.4, algorithm 3). All of this is float64.
"""

from __future__ import annotations

import math

import numpy as np

from ..checks import brief, is_number

Numbers = np.ndarray | float
LONGEST = 1 / math.sqrt(12)
_SHORTEST = 1e-6


def gamma_of(sigma_rel: float) -> float:
    """The exponent, 0 or more, of the profile that is `sigma_rel` long (eq. 126). ValueError unless in (0, 1/sqrt(12)]."""
    check_length(sigma_rel)
    s = float(sigma_rel) ** 2
    # with u = gamma + 2, sigma_rel^2 = (u - 1) / (u^2 (u + 1)), which falls from u = 2 on
    u = max(2.0, float(np.roots([s, s, -1.0, 1.0]).real.max()))
    for _ in range(2):  # what the roots of a polynomial lost by rounding
        u -= (((u + 1) * s * u - 1) * u + 1) / ((3 * u + 2) * s * u - 1) if u > 2 else 0.0
    return max(u - 2, 0.0)


def sigma_rel_of(gamma: float) -> float:
    """How long the profile of `gamma` is: its standard deviation at step t over t (eq. 123). ValueError below 0."""
    if not is_number(gamma) or gamma < 0:
        raise ValueError(f"gamma, the exponent of a profile, must be a number of 0 or more, but got {brief(gamma)}.")
    return math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2)


def check_length(sigma_rel: object, name: str = "sigma_rel, the length of an average,") -> None:
    """ValueError, in one sentence, unless `sigma_rel` is in (0, 1 / sqrt(12)]."""
    if not is_number(sigma_rel) or not _SHORTEST <= float(sigma_rel) <= LONGEST + 1e-12:  # type: ignore[arg-type]
        raise ValueError(
            f"{name} must be a share of the training above 0, and at most 1/sqrt(12) = 0.2886, but got {brief(sigma_rel)}."
        )


def decay_at(step: int, gamma: float) -> float:
    """beta of the update after step number `step` = 1, 2, ... (eq. 127); 0 at the first: first weights count nothing."""
    return float((1 - 1 / step) ** (gamma + 1))


def inner_product(t_a: Numbers, gamma_a: Numbers, t_b: Numbers, gamma_b: Numbers) -> np.ndarray:
    """The integral of p_a p_b over all tau, for profiles at `t_a`, `t_b` (eq. 151); all arrays broadcast."""
    first, last = np.minimum(t_a, t_b), np.maximum(t_a, t_b)
    of_last = np.where(t_a > t_b, gamma_a, gamma_b)
    ratio = (first / last) ** of_last
    return (gamma_a + 1) * (gamma_b + 1) / (gamma_a + gamma_b + 1) * ratio / last


def nearest(steps: np.ndarray, gammas: np.ndarray, step: float, gamma: float) -> tuple[np.ndarray, float]:
    """What profiles at `steps` (m,) of `gammas` (m,) are to be multiplied by, to come as near as can be to that of `gamma` at
    `step` with a sum of 1, (m,); and how far it stays off: the L2 distance over the length of the profile itself.

    That the shares sum to 1 is a condition here, where algorithm 3 scales them afterwards: weights that rest are met exactly.
    """
    t, g = np.asarray(steps, dtype=np.float64), np.asarray(gammas, dtype=np.float64)
    length = np.sqrt(inner_product(t, g, t, g))
    gram = inner_product(t[:, None], g[:, None], t, g) / (length[:, None] * length)
    size = float(inner_product(step, gamma, step, gamma))
    due = inner_product(t, g, step, gamma) / (length * math.sqrt(size))
    unit = math.sqrt(size) / length  # of one sum of shares, in terms of profiles of length 1
    corner = np.block([[gram, unit[:, None]], [unit[None], np.zeros((1, 1))]])
    solved = np.linalg.lstsq(corner, np.append(due, 1.0), rcond=1e-14)[0][:-1]
    off = solved @ gram @ solved - 2 * solved @ due + 1
    return solved * unit, math.sqrt(max(off, 0.0))
