"""What a data set knows of itself, for the screen."""

from __future__ import annotations

import numpy as np

from ..data import DataSet, FiniteSet, GaussianMixture, Streamed


def facts_of(data: DataSet) -> list[dict[str, str]]:
    """Pairs of label and value."""
    facts = {
        "name": data.name,
        "shape": " \N{MULTIPLICATION SIGN} ".join(map(str, data.shape))
        + (" dimensions" if len(data.shape) == 1 else ""),
        "range": f"{data.range[0]:.3g} to {data.range[1]:.3g}".replace("-", "\N{MINUS SIGN}"),
        "levels": f"{data.levels} grey levels" if data.levels else "continuous",
        "sigma_data": f"{data.sigma_data:.3f}",
    }
    if data.classes:
        facts["classes"] = str(data.classes)
    if isinstance(data, FiniteSet):
        facts |= {"examples": f"{len(data):,}", "oracle": "exact for the training set"}
    elif isinstance(data, Streamed):
        facts |= {"examples": f"{len(data):,}", "oracle": "none: too large for memory"}
    else:
        facts["oracle"] = "exact for the population"
    return [{"label": label, "value": value} for label, value in facts.items()]


def same_data(a: DataSet, b: DataSet) -> bool:
    """Whether two data sets are the same up to what a drawing on a sheet rounds, a ten-thousandth of a unit."""
    if isinstance(a, GaussianMixture) and isinstance(b, GaussianMixture):
        pairs = [(a.weights, b.weights), (a.means, b.means), (a.covariances, b.covariances)]
    elif isinstance(a, FiniteSet) and isinstance(b, FiniteSet):
        pairs = [(a.x, b.x)]
    else:
        return False
    return all(x.shape == y.shape and np.allclose(x, y, rtol=0, atol=1e-3) for x, y in pairs)
