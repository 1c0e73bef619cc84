"""The names in a run's state, and whether another state fits it.

weights/ ema/          of the denoiser and of its average
exp_avg/ exp_avg_sq/   the optimiser's moments, of those and of what the objective learns
averages/ objective/   where averages of a length are followed; where the objective learns
streams/ losses step   of the run itself
"""

from __future__ import annotations

import torch
from torch import Tensor

from .sharing import here

OBJECTIVE = "objective/"  # what the objective has learned
AVERAGES = "averages/"  # those that a length can be chosen of afterwards


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What has this prefix, without it."""
    return {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}


def check_fits(own: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    """ValueError, in one sentence, unless a `state` has what the run's network needs, in the shapes of its `own` tensors or of
    this process' part of them."""
    expected = {k: _fitting(v, state.get(k)) for k, v in own.items() if _of_network(k)}
    found = {k: v.shape for k, v in state.items() if _of_network(k)}
    for name in expected.keys() | found.keys():
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name} is {_shape(found.get(name))}, where {_shape(expected.get(name))} is due.")


def _of_network(key: str) -> bool:
    """Whether a tensor of this name must be there to go on."""
    return key not in ("losses", "step") and not key.startswith(("streams/", AVERAGES)) and OBJECTIVE not in key


def _fitting(own: Tensor, value: Tensor | None) -> torch.Size:
    return own.shape if value is None or value.shape != here(own).shape else value.shape


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else f"of shape {tuple(shape)}"
