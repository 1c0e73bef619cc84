"""What tells two data sets of one name apart: a run goes on only with the data it began with."""

from __future__ import annotations

import hashlib

import numpy as np

from ..data import DataSet, FiniteSet, GaussianMixture, Streamed

_DIGITS = 1e6  # of a value over the largest one: data made anew on another machine may differ in the last bits
_SOME = 64  # examples of a streamed set, which would take long to be read as a whole
_ROWS = 4096  # hashed at a time, so that a set is not held a second time


def fingerprint(data: DataSet) -> str | None:
    """A hash of a mixture's parameters, of a finite set's examples, conditions and weights, or of how many examples a streamed
    set has and what a few, always the same ones, are; None for other data."""
    if isinstance(data, GaussianMixture):
        arrays = [data.weights, data.means, data.covariances]
    elif isinstance(data, FiniteSet):
        arrays = [array for array in (data.x, data.conditions, data.weights) if array is not None]
    elif isinstance(data, Streamed):
        arrays = [array for array in (np.array([len(data)]), *data.some(_SOME)) if array is not None]
    else:
        return None
    digest = hashlib.sha256()
    for array in arrays:
        scale = float(max(abs(array.max()), abs(array.min()))) or 1.0
        digest.update(f"{array.shape} {scale:.6e}".encode())
        for start in range(0, len(array), _ROWS):
            digest.update(np.rint(array[start : start + _ROWS] / scale * _DIGITS).astype("<i4").tobytes())
    return digest.hexdigest()[:32]
