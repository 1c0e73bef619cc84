"""What tells two data sets of one name apart: a run goes on only with the data it began with."""

from __future__ import annotations

import hashlib

import numpy as np

from ..data import DataSet, FiniteSet, GaussianMixture

_DIGITS = 1e6  # of a value over the largest one: data made anew on another machine may differ in the last bits


def fingerprint(data: DataSet) -> str | None:
    """A hash of a mixture's parameters or of a finite set's examples, conditions and weights; None for other data."""
    if isinstance(data, GaussianMixture):
        arrays = [data.weights, data.means, data.covariances]
    elif isinstance(data, FiniteSet):
        arrays = [array for array in (data.x, data.conditions, data.weights) if array is not None]
    else:
        return None
    digest = hashlib.sha256()
    for array in arrays:
        scale = float(np.abs(array).max()) or 1.0
        digest.update(f"{array.shape} {scale:.6e}".encode())
        digest.update(np.rint(array / scale * _DIGITS).astype("<i4").tobytes())
    return digest.hexdigest()[:32]
