"""What examples come with: labels, or vectors in their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..checks import array_of

_MOST_CLASSES = 65_536  # tables have a row for each


def checked_conditions(
    labels: ArrayLike | None, vectors: ArrayLike | None, count: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Labels, int64 (count,), and vectors, float32 (count, d), one of which is None at least.

    ValueError, in one sentence, for labels that are no whole numbers from 0, vectors that are no finite numbers, others than
    one for each example, and both at once.
    """
    if labels is not None and vectors is not None:
        raise ValueError("A finite set has labels or vectors, not both: put the label into the vectors.")
    return (
        None if labels is None else _checked_labels(labels, count),
        None if vectors is None else _checked_vectors(vectors, count),
    )


def _checked_labels(labels: ArrayLike, count: int) -> np.ndarray:
    given = array_of(labels, "labels")
    if given.shape != (count,) or not np.all((given >= 0) & (given < _MOST_CLASSES) & (given == np.floor(given))):
        raise ValueError(
            f"labels must be {count} whole numbers, one for each example, from 0 to at most {_MOST_CLASSES - 1},"
            f" but got {' '.join(np.array2string(given, threshold=8).split())}."
        )
    return given.astype(np.int64)


def _checked_vectors(vectors: ArrayLike, count: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        given = array_of(vectors, "vectors").astype(np.float32)
    if given.ndim != 2 or len(given) != count or given.shape[1] == 0:
        raise ValueError(f"vectors must have the shape ({count}, d), one for each example, but got {given.shape}.")
    if not np.all(np.isfinite(given)):
        raise ValueError("Every number of a vector must be finite in float32; these have nan, inf or larger numbers.")
    return np.ascontiguousarray(given)
