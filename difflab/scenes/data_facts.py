"""What a data set knows of itself, for the screen."""

from __future__ import annotations

from ..data import DataSet, FiniteSet, Streamed


def facts_of(data: DataSet) -> list[dict[str, str]]:
    """Pairs of label and value."""
    facts = {
        "name": data.name,
        "shape": " x ".join(str(d) for d in data.shape),
        "range": f"{data.range[0]:.3g} to {data.range[1]:.3g}",
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
