"""The average of the weights over any length, made after the training (Karras et al. 2024, section 3.2).

A run with `averages=(0.05, 0.1)` keeps what this needs, in its folder or in memory:

    from difflab.training import post_hoc
    denoiser = post_hoc.average("runs/ring", sigma_rel=0.15)

or, on the command line, `difflab sample runs/ring/checkpoint.safetensors --length 0.15`.

How well that can be done is known beforehand: `PostHoc.miss` is the distance between the profile asked for and the nearest one
there is, relative to its own length. Where steps move the weights independently of each other around a common mean, the error of
the average is, relative to what noise is left in it, exactly that. More than a tenth is refused.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..denoisers.network import NetworkDenoiser
from .checkpoint import CHECKPOINT, load
from .ema import clone
from .power_averages import lengths_of
from .power_profiles import check_length, gamma_of, nearest
from .run import Run
from .settings import whole
from .snapshots import FOLDER, SnapshotError, Snapshots

FARTHEST = 0.1  # miss of a profile that is still made


class PostHoc:
    """What a run kept of its averages.

    Args:
        source: the run, or its directory, or a checkpoint in that.
        network: stands in where a directory is of a network that difflab did not define; it is copied.

    Attributes:
        step: of the run's newest averages.
        lengths: that were followed, as sigma_rel.
        steps: of which averages are kept, the newest included.

    Raises ValueError if that run followed no averages; FileNotFoundError and CheckpointError as `load`.
    """

    def __init__(self, source: Run | str | PathLike[str], network: nn.Module | None = None) -> None:
        if isinstance(source, Run):
            self._denoiser = clone(source.ema.module)
            self.step, self._snapshots = source.step, source.averages.snapshots
            self._newest = source.averages.copied()
        elif isinstance(source, str | PathLike):
            path = Path(source) / CHECKPOINT if Path(source).is_dir() else Path(source)
            found = load(path, network)
            self._denoiser, self.step = found.denoiser, found.step
            self._snapshots = Snapshots(path.parent / FOLDER)
            mark = "averages/"
            self._newest = {k[len(mark) :]: v for k, v in found.tensors.items() if k.startswith(mark)}
        else:
            raise TypeError(f"Averages are made of a run, or of its folder or checkpoint, but got {source!r}.")
        self.lengths = lengths_of(self._newest)
        if not self.lengths or not self.step:
            raise ValueError(
                "This run followed no averages: train with averages=(0.05, 0.1) to choose a length afterwards."
            )
        self.steps = sorted({step for step in self._snapshots.steps if step <= self.step} | {self.step})

    def miss(self, sigma_rel: float, step: int | None = None) -> float:
        """How far the nearest profile there is from that of length `sigma_rel` at `step` (the newest if None), in L2, as a
        share of its own length. ValueError unless that is a length, and a step that the run has made."""
        return self._shares(sigma_rel, step)[1]

    def average(self, sigma_rel: float, step: int | None = None) -> NetworkDenoiser:
        """A denoiser with the weights' average of length `sigma_rel` up to `step` (the newest if None).

        Raises ValueError as `miss`, and where more than a tenth of the profile would be missed; SnapshotError (a ValueError) if
        a file is damaged.
        """
        shares, miss = self._shares(sigma_rel, step)
        if miss > FARTHEST:
            followed = " and ".join(f"{length:g}" for length in self.lengths)
            raise ValueError(
                f"The average of length {sigma_rel:g} at step {step or self.step} cannot be made of those of {followed}"
                f" at {len(self.steps)} steps: {miss:.0%} of its profile would be missed, and at most {FARTHEST:.0%} may be."
            )
        denoiser = clone(self._denoiser)
        weights = dict(denoiser.named_parameters())  # buffers are not averaged: those of the newest weights stay
        sums = {name: torch.zeros(w.shape, dtype=torch.float64, device="cpu") for name, w in weights.items()}
        for row, kept in zip(shares, self.steps, strict=True):
            state = self._newest if kept == self.step else self._snapshots.read(kept)
            for share, length in zip(row.tolist(), self.lengths, strict=True):
                for name, total in sums.items():
                    value = state.get(f"{length!r}/{name}")
                    if value is None or value.shape != total.shape:
                        raise SnapshotError(f"The averages kept of step {kept} are not of this network's {name}.")
                    total += share * value.double()
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(sums[name])
        return denoiser

    def _shares(self, sigma_rel: float, step: int | None) -> tuple[np.ndarray, float]:
        """(steps, lengths) what each kept average is multiplied by, and the miss."""
        check_length(sigma_rel)
        if step is not None:
            whole("step", step, least=1, most=self.step)
        steps, gammas = np.meshgrid(self.steps, [gamma_of(length) for length in self.lengths], indexing="ij")
        at = self.step if step is None else step
        shares, miss = nearest(steps.ravel(), gammas.ravel(), at, gamma_of(sigma_rel))
        return shares.reshape(steps.shape), miss


def average(
    source: Run | str | PathLike[str], sigma_rel: float, step: int | None = None, *, network: nn.Module | None = None
) -> NetworkDenoiser:
    """A denoiser with the average over `sigma_rel`, a share of the training in (0, 0.2886], of the weights of the run
    `source`, or of the one in that directory. As `PostHoc` and its `average`."""
    return PostHoc(source, network).average(sigma_rel, step)
