"""A denoiser whose labels are fixed, so that samplers and terms need not know of classes."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import brief
from .base import Checked, Denoiser, Posterior


class Conditioned:
    """`denoiser` asked for class `labels` (n,) int64: row i of x_t is denoised as a sample of class labels[i], or given the
    vector labels[i] of (n, d).

    Raises TypeError for what is no denoiser, or labels that are no tensor; when called, ValueError for labels that do not fit.
    """

    def __init__(self, denoiser: Denoiser, labels: Tensor) -> None:
        if not isinstance(labels, Tensor):
            raise TypeError(
                f"labels must be a tensor of whole numbers or of vectors, one for each sample, but got {brief(labels)}."
            )
        Checked(denoiser)
        self.denoiser, self.labels, self.schedule = denoiser, labels, denoiser.schedule
        self.shape: tuple[int, ...] | None = getattr(denoiser, "shape", None)

    @property
    def device(self) -> torch.device | None:
        """Where the denoiser computes; None for one that computes wherever x_t is, as the oracles do."""
        return getattr(self.denoiser, "device", None)

    @property
    def sigma_data(self) -> float:
        """Standard deviation of the data, all classes together; 1 where the denoiser does not know it."""
        return float(getattr(self.denoiser, "sigma_data", 1.0))

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        if labels is not None:
            raise ValueError("The labels of a conditioned denoiser are fixed; call it without labels.")
        return self.denoiser(x_t, t, self.labels.to(x_t.device))


def unwrapped(denoiser: Denoiser) -> tuple[Denoiser, Tensor | None]:
    """The denoiser itself, without what looks at its answers or fixes its labels, and these labels."""
    labels = None
    while isinstance(denoiser, Checked | Conditioned):
        labels = denoiser.labels if isinstance(denoiser, Conditioned) else labels
        denoiser = denoiser.denoiser
    return denoiser, labels
