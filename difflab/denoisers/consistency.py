"""Consistency models: a network that says at once where the probability flow ends (Song et al. 2023).

    f(x_t, t) = c_skip x_t + c_out F(c_in x_t, level),   c_skip(0) = 1, c_out(0) = 0,   so that f(x_0, 0) = x_0 (ibid., eq. 5).

The preconditioning of a denoiser has this boundary wherever it does not divide by alpha, with t = 0 itself as the boundary
instead of a lowest level: a consistency model is a network denoiser that is trained otherwise (`objectives.ConsistencyTraining`).
What it says is not E[x_0 | x_t], which it equals only where nothing is left to average over.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..checks import brief, is_number
from ..data import DataSet
from ..predictions import Prediction
from ..schedules import EDM, Schedule
from .base import Posterior, noise_level
from .network import NetworkDenoiser

_WITH_BOUNDARY = ("edm", "v", "velocity")


class ConsistencyDenoiser(nn.Module):
    """A consistency model on the network of `denoiser`, whose averaging it unlearns.

    Args:
        denoiser: fresh, or trained as a denoiser (then this is consistency *tuning*, Geng et al. 2024); it predicts "edm",
            "v" or "velocity", whose x_0 is x_t at t = 0.

    Raises TypeError for another denoiser, ValueError for another prediction or a learned range.
    """

    def __init__(self, denoiser: NetworkDenoiser) -> None:
        super().__init__()
        if not isinstance(denoiser, NetworkDenoiser):
            raise TypeError(f"A consistency model is built on a NetworkDenoiser, but got {brief(denoiser)}.")
        if denoiser.prediction not in _WITH_BOUNDARY or denoiser.learned_range:
            raise ValueError(
                f"A consistency model needs x_0 = x_t at t = 0 of its prediction, and nothing beside it: predict"
                f" {', '.join(_WITH_BOUNDARY)} without a learned range, not {denoiser.prediction}."
            )
        self.denoiser, self.schedule = denoiser, denoiser.schedule

    @classmethod
    def for_data(
        cls, data: DataSet, schedule: Schedule | None = None, prediction: Prediction = "edm", **options: Any
    ) -> ConsistencyDenoiser:
        """A fresh model that fits `data`, under EDM() if no schedule is given; `options` as of `NetworkDenoiser.for_data`."""
        return cls(NetworkDenoiser.for_data(data, EDM() if schedule is None else schedule, prediction, **options))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one sample, where the network knows it."""
        return self.denoiser.shape

    @property
    def classes(self) -> int | None:
        """Number of classes the network knows, or None."""
        return self.denoiser.classes

    @property
    def vector(self) -> int | None:
        """Length of the vectors that the network knows in the place of classes, or None."""
        return self.denoiser.vector

    @property
    def device(self) -> torch.device:
        return self.denoiser.device

    @property
    def sigma_data(self) -> float:
        return self.denoiser.sigma_data

    def forward(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """f(x_t, t) as `mean`: the one x_0 at the end of the flow, within the denoiser's `clip`. As `NetworkDenoiser`."""
        answer: Posterior = self.denoiser(x_t, t, labels)
        return answer

    def flow_map(self, x_t: Tensor, t: float, s: float, labels: Tensor | None = None) -> Tensor:
        """As `FlowMap`, for s = 0 only: ValueError on the way there, where f says nothing."""
        if not is_number(s):
            raise TypeError(f"A flow map leads to one time, but got s = {brief(s)}.")
        if s != 0:
            raise ValueError(
                f"A consistency model knows the end of the flow, s = 0, and not where it is at s = {s:.4g}: take the sampler"
                " Consistency, which goes there by adding noise."
            )
        return self(x_t, t, labels).mean

    def end_at(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """f(x_t, t), shaped as x_t (n, *shape), not clipped: what is trained. `t` (n,); labels are not checked."""
        alpha, sigma = noise_level(self.schedule, t, x_t)
        value = self.denoiser.predict_at(x_t, alpha, sigma, labels)
        return self.denoiser.x0_at(value, x_t, alpha, sigma, t)
