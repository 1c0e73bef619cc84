"""The sampler that is taken where none is named."""

from __future__ import annotations

from .base import Sampler
from .ddim import DDIM


def best() -> Sampler:
    """The default of `sample`."""
    return DDIM()
