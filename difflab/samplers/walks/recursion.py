"""The variance of a walk on Gaussian data, predicted and measured, step by step.

Where the data are N(m, C), every score is linear and its slope in the direction of an eigenvalue l of C is -1 / V, with
V = alpha^2 l + sigma^2: a sampler whose step is linear in x then maps the variance v of that direction to slope^2 v + noise.

    Langevin             v <- (1 - a / V)^2 v + 2 a               which settles at V / (1 - a / (2 V))
    annealed Langevin    v <- (alpha_s / alpha_t)^2 v, and then the same with a = r sigma^2 at each update
    predictor-corrector  v <- (c_x + c_0 gain)^2 v + var, and then the same with a = 2 (snr sigma)^2

MALA and HMC accept or reject, and are not linear; but V is what they settle at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ...checks import brief, is_number, tensor_of
from ...data import GaussianMixture
from ...denoisers import ExactDenoiser
from ...schedules.base import Level
from ..base import Sampler, prior_std, times_of
from .annealed_langevin import AnnealedLangevin
from .diagnostics import States, frames
from .langevin import Langevin
from .metropolis import Metropolis
from .predictor_corrector import PredictorCorrector


def predicted_variance(
    sampler: Sampler, oracle: ExactDenoiser, grid: Tensor | Sequence[float], start: float | Tensor | None = None
) -> Tensor:
    """The variance at each time of the grid in each direction of the data's covariance, (times, D), eigenvalues rising.

    Args:
        start: that of x at grid[0], one number or (D,); by default that of what `sample` starts from.

    Raises TypeError for a sampler whose step is not linear, or unless the oracle's data are one Gaussian.
    """
    if not isinstance(sampler, Langevin | AnnealedLangevin | PredictorCorrector) or (
        isinstance(sampler, PredictorCorrector) and sampler.norms == "row"
    ):
        raise TypeError(
            f"There is no recursion for the variance of {_called(sampler)}: its steps are known to be linear of Langevin,"
            " AnnealedLangevin and PredictorCorrector with expected norms."
        )
    widths, schedule = _widths(oracle), oracle.schedule
    times = times_of(grid)
    sampler.check_grid(times)
    first = prior_std(schedule, times[0]) ** 2 if start is None else start
    v = tensor_of(first, "The variance at the start").detach()
    if v.shape not in ((), widths.shape) or not bool(((v >= 0) & v.isfinite()).all()):
        raise ValueError(
            f"The variance at the start is one number, or {len(widths)} of them, of 0 or more, but got {brief(start)}."
        )
    v = v.expand(len(widths)).clone()
    found = [v]
    for i, (t, s) in enumerate(pairwise(times)):
        here, there = schedule.level(t), schedule.level(s)
        if isinstance(sampler, Langevin):
            v = _walked(v, widths, here, sampler.step_size, 1)
        elif isinstance(sampler, AnnealedLangevin):
            v = _annealed(sampler, v, widths, here, there, sampler.relative_step(schedule, times), first=i == 0)
        elif s == 0:
            v = _gain(widths, here).square() * v
        else:
            c_x, c_0, std = sampler.prediction(schedule, t, s)
            v = (c_x + c_0 * _gain(widths, here)).square() * v + std**2
            v = _walked(v, widths, there, 2 * (sampler.snr * there.sigma) ** 2, sampler.corrections)
        found.append(v)
    return torch.stack(found)


def stationary_variance(sampler: Sampler, oracle: ExactDenoiser, t: float) -> Tensor:
    """Where the variance of a walk at one level settles, (D,), as `predicted_variance`; inf where it does not.

    Raises TypeError for a sampler that does not stay at one level.
    """
    if not is_number(t) or not 0 < t <= 1:
        raise ValueError(f"A walk settles at a noise level, 0 < t <= 1, but got t = {brief(t)}.")
    total = _total(_widths(oracle), oracle.schedule.level(t))
    if isinstance(sampler, Metropolis):
        return total
    if isinstance(sampler, Langevin):
        left = 1 - sampler.step_size / (2 * total)
        return torch.where(left > 0, total / left, torch.inf)
    raise TypeError(
        f"{_called(sampler)} does not stay at one noise level: what it settles at is known of Langevin, MALA, HMC."
    )


def measured_variance(states: States, oracle: ExactDenoiser) -> tuple[Tensor, Tensor]:
    """The same of the states of a run, and the standard error of Gaussian rows, v sqrt(2 / (n - 1)): each (frames, D).

    Raises ValueError with fewer than two rows.
    """
    data = _gaussian(oracle)
    basis = torch.linalg.eigh(torch.from_numpy(data.covariances[0])).eigenvectors
    found = []
    for _, x in frames(states):
        if x.shape[1:] != data.shape:
            raise ValueError(f"These states are of samples {tuple(x.shape[1:])}, but the data's are {data.shape}.")
        if len(x) < 2:
            raise ValueError(f"A variance needs two rows or more, but these states have {len(x)}.")
        found.append((x.detach().cpu().double().flatten(1) @ basis).var(0))
    v = torch.stack(found)
    return v, v * (2 / (len(x) - 1)) ** 0.5


def _annealed(
    sampler: AnnealedLangevin, v: Tensor, widths: Tensor, here: Level, there: Level, r: float, *, first: bool
) -> Tensor:
    if first:
        v = _walked(v, widths, here, r * here.sigma**2, sampler.steps_per_level)
    if there.t == 0:
        return (_gain(widths, here).square() if sampler.denoise else 1 / here.alpha**2) * v
    v = v * (there.alpha / here.alpha if here.alpha else there.sigma / here.sigma) ** 2
    return _walked(v, widths, there, r * there.sigma**2, sampler.steps_per_level)


def _walked(v: Tensor, widths: Tensor, level: Level, a: float, times: int) -> Tensor:
    for _ in range(times):
        v = (1 - a / _total(widths, level)).square() * v + 2 * a
    return v


def _total(widths: Tensor, level: Level) -> Tensor:
    return level.alpha**2 * widths + level.sigma**2


def _gain(widths: Tensor, level: Level) -> Tensor:
    """d E[x_0 | x_t] / d x_t."""
    return level.alpha * widths / _total(widths, level)


def _gaussian(oracle: ExactDenoiser) -> GaussianMixture:
    data = getattr(oracle, "data", None)
    if not isinstance(oracle, ExactDenoiser) or not isinstance(data, GaussianMixture) or len(data.weights) != 1:
        raise TypeError(
            f"The recursion is that of data which are one Gaussian, behind an oracle, but got {brief(oracle)}."
        )
    return data


def _widths(oracle: ExactDenoiser) -> Tensor:
    return torch.linalg.eigvalsh(torch.from_numpy(_gaussian(oracle).covariances[0]))


def _called(sampler: object) -> str:
    return sampler.label if isinstance(sampler, Sampler) else brief(sampler)
