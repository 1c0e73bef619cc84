"""The finite sets that scikit-learn ships: handwritten digits and two moons. It is imported when they are asked for."""

from __future__ import annotations

from functools import cache

from ..checks import brief, is_number, is_whole
from .base import check_count, check_seed
from .deformed import deformed
from .finite import FiniteSet


def digits(copies: int = 0) -> FiniteSet:
    """The 1,797 handwritten digits that scikit-learn ships (Alpaydin & Kaynak 1998): (1, 8, 8), 17 grey levels on [-1, 1].

    After them come `copies` of the set with every digit `deformed`: a network trained for minutes does not learn those by heart.
    """
    if not is_whole(copies, 0):
        raise ValueError(f"copies must be a whole number of at least 0, but got {brief(copies)}.")
    return _digits(int(copies))


@cache
def _digits(copies: int) -> FiniteSet:
    from sklearn.datasets import load_digits

    if copies:
        return deformed(_digits(0), copies)
    x, labels = load_digits(return_X_y=True)
    return FiniteSet(x.reshape(-1, 1, 8, 8) / 8 - 1, labels, levels=17, range=(-1.0, 1.0), name="digits 8x8")


def two_moons(n: int = 2000, noise: float = 0.06, seed: int = 0) -> FiniteSet:
    """scikit-learn's two interleaved half circles, `n` points in the plane, shifted to mean 0 and scaled to variance 1."""
    check_count(n)
    check_seed(seed)
    if n < 2:
        raise ValueError(f"Two moons need at least 2 points, but got {n}.")
    if not is_number(noise) or noise < 0:
        raise ValueError(f"The noise of two moons is a standard deviation of 0 or more, but got {noise!r}.")
    return _two_moons(int(n), float(noise), int(seed))


@cache
def _two_moons(n: int, noise: float, seed: int) -> FiniteSet:
    from sklearn.datasets import make_moons

    x, labels = make_moons(n, noise=noise, random_state=seed)
    x = x - x.mean(0)
    return FiniteSet(x / x.std(), labels, name="two moons")
