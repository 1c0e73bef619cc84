"""Walks that stay at one noise level and sample its density p_t: what they have in common.

Langevin, its Metropolis-adjusted form and Hamiltonian Monte Carlo ask for the score and, to accept or reject, for differences
of log p_t; none of them moves in time. How far a step may go is known of any data: with C = Cov[x_0 | x_t],

    -grad^2 log p_t = (I - (alpha / sigma)^2 C) / sigma^2 <= 1 / sigma^2,

so that x + a score, a step of gradient descent on -log p_t, cannot overshoot while a < 2 sigma^2. Of a Gaussian mixture more is
known: with l the smallest variance of any component in any direction the curvature is at most 1 / (alpha^2 l + sigma^2), and
for one Gaussian it is that: there a walk explodes from a = 2 (alpha^2 l + sigma^2) on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...checks import brief, is_number
from ...data import GaussianMixture
from ...denoisers import Denoiser, ExactDenoiser
from ...denoisers.base import Checked
from ...denoisers.conditioned import unwrapped
from ...schedules import Schedule
from .. import grids
from ..base import Sampler

_FAR = 1e6  # standard deviations of p_t: no sample is there, only a walk that explodes


class OneLevel(Sampler):
    """A sampler whose grid repeats one time in (0, 1] (`grids.constant`)."""

    random: ClassVar[bool] = True

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        raise ValueError(self._where())  # which level is asked about is for the one who asks to say

    def check_grid(self, times: Sequence[float]) -> None:
        try:
            grids.check_constant(times)
        except ValueError:
            raise ValueError(self._where()) from None

    def _where(self) -> str:
        return (
            f"{type(self).__name__} stays at one noise level: its grid must repeat one time in (0, 1], such as"
            " grids.constant(0.3, 100)."
        )


def least_variance(denoiser: Denoiser) -> float:
    """The smallest variance of any component of the data in any direction; 0 where nothing is known of it."""
    inner, _ = unwrapped(denoiser)
    if not isinstance(inner, ExactDenoiser) or not isinstance(inner.data, GaussianMixture):
        return 0.0
    return float(np.linalg.eigvalsh(inner.data.covariances).min())


def stable_step(denoiser: Denoiser, t: float) -> float:
    """The bound a < 2 (alpha^2 l + sigma^2) on Langevin steps at `t`, in squared units of x; l is 0 but for a mixture.

    Below it a step by the exact score cannot overshoot. For a Gaussian it is sharp. What a network says far from its data
    no bound knows of. Raises TypeError for what is no denoiser, ValueError for a time outside of (0, 1].
    """
    schedule = Checked(denoiser).schedule
    if not is_number(t) or not 0 < t <= 1:
        raise ValueError(f"A noise level must have 0 < t <= 1, but got t = {brief(t)}.")
    level = schedule.level(t)
    return 2 * (level.alpha**2 * least_variance(denoiser) + level.sigma**2)


def why_it_diverged(name: str, knob: str, step: float, denoiser: Denoiser, t: float) -> str:
    """The sentence for a walk that went to infinity with steps a = `step` in squared units of x at `t`."""
    bound = stable_step(denoiser, t)
    known = least_variance(denoiser) > 0
    law = "for this mixture" if known else "for the exact score of any data (2 sigma^2)"
    if step >= bound:
        return (
            f"{name} diverged at t = {t:.4g}: its {knob} is a = {step:.4g}, and steps are stable {law} below {bound:.4g};"
            " take a smaller one."
        )
    return (
        f"{name} diverged at t = {t:.4g}, although its {knob}, a = {step:.4g}, is stable {law} below {bound:.4g}: the denoiser"
        " is far from exact where the walk went; take a smaller step or start nearer to the data."
    )


def limit(denoiser: Denoiser, t: float) -> float:
    """A length that no walk at `t` reaches unless it explodes, in units of x."""
    level, (inner, _) = denoiser.schedule.level(t), unwrapped(denoiser)
    size = (
        math.sqrt(inner.data.second_moment) if isinstance(inner, ExactDenoiser) else getattr(inner, "sigma_data", 1.0)
    )
    return _FAR * math.hypot(level.alpha * max(1.0, size), level.sigma)


def stopped(x: Tensor, denoiser: Denoiser, t: float) -> Tensor:
    """`x`, with inf where it is beyond `limit`, so that the run ends there; without a wait for the numbers."""
    far = min(limit(denoiser, t), torch.finfo(x.dtype).max)
    return x.masked_fill(x.abs() > far, math.inf)


def is_far(x: Tensor, denoiser: Denoiser, t: float) -> bool:
    """Whether any of `x` is beyond `limit`, or no number."""
    return not bool((x.abs() <= limit(denoiser, t)).all())
