"""DDIM: the family of reverse steps that all keep the marginals, from deterministic to ancestral."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ...checks import brief, is_number
from ...denoisers import Denoiser
from ...linear import combined
from ..base import Sampler, State
from .bridge import bridge


@dataclass(frozen=True)
class DDIM(Sampler):
    """x_s = alpha_s x_0 + sqrt(sigma_s^2 - d^2) eps + d z, d^2 = eta^2 var q(x_s | x_t, x_0) (Song et al. 2021, eqs. 12 and 16).

    Args:
        eta: 0 is deterministic, a first-order step of the probability-flow ODE (Euler's, in sigma / alpha); 1 is ancestral
            sampling with the small variance. With the large one it is what the paper calls sigma-hat (ibid., section 5):
            Ancestral("large"). In between it is the eta of k-diffusion's ancestral Euler steps.
    """

    eta: float = 0.0
    order: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not is_number(self.eta) or not 0 <= self.eta <= 1:
            raise ValueError(f"eta must lie between 0 (deterministic) and 1 (ancestral), but got {brief(self.eta)}.")

    @property
    def random(self) -> bool:
        return self.eta > 0

    @property
    def label(self) -> str:
        return "DDIM" if self.eta == 0 else f"DDIM (eta = {self.eta:g})"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        schedule, x, t = denoiser.schedule, state.x, state.t
        x0 = denoiser(x, t).mean
        if s == 0:  # alpha = 1 and sigma = 0: what is left is x_0
            return state.moved(x0, s, denoised=x0)
        if self.eta == 0:
            here, there = schedule.level(t), schedule.level(s)
            keep = there.sigma / here.sigma
            return state.moved(combined(keep, x, there.alpha - keep * here.alpha, x0), s, denoised=x0)
        b = bridge(schedule, t, s)
        var = self.eta**2 * b.var
        keep = math.sqrt(b.sigma_s**2 - var) / b.sigma_t
        x = combined(keep, x, b.alpha_s - keep * b.alpha_t, x0)
        z = state.draw(schedule, s)
        return state.moved(torch.add(x, z, alpha=math.sqrt(var)), s, denoised=x0, z=z)
