"""What a denoiser tells of the network in it: for which samples and conditions it is, and where it computes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .base import check_labels


class AroundNetwork(nn.Module):
    """Base of the denoisers around one `network`."""

    network: nn.Module

    @property
    def classes(self) -> int | None:
        """Number of classes the network knows, or None."""
        return getattr(self.network, "classes", None)

    @property
    def vector(self) -> int | None:
        """Length of the vectors that the network knows in the place of classes, or None."""
        length = getattr(self.network, "vector", None)
        return length if isinstance(length, int) else None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one sample, where the network knows it."""
        shape = getattr(self.network, "config", {}).get("shape")
        return None if shape is None else tuple(shape)

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.network.parameters()), torch.device("cpu"))

    def without_labels(self, labels: Tensor, rows: Tensor) -> Tensor:
        """`labels` (n,) or (n, vector), where `rows` (n,) bool says so those of none: what the network is to answer without."""
        if self.vector is not None:
            return labels.masked_fill(rows[:, None], math.nan)
        return labels.masked_fill(rows, self.classes or 0)  # the row of the embedding after the last class

    def _checked(self, labels: Tensor | None, n: int) -> Tensor | None:
        """`labels` for `n` samples, where the network is. Raises as `check_labels`."""
        if labels is None:
            return None
        check_labels(labels, self.classes, n, self.vector)
        return labels.to(self.device)
