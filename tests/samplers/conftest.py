"""On Gaussian data every sampler is a chain of linear maps with Gaussian noise, so its law can be read off without Monte Carlo.

Each step is x' = slope x + offset + sum_j std_j z_j with z known from the noise pool: a few rows and a least-squares solve give
the coefficients in float64, and the solve's residual shows that nothing else went in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import NoisePool, Sampler, State
from difflab.schedules import Schedule

ROWS = 40


@dataclass(frozen=True)
class Step:
    """slope, offset and variance of x' given x."""

    slope: float
    offset: float
    var: float


@dataclass(frozen=True)
class Gaussian:
    """One-dimensional Gaussian data and its oracle."""

    mean: float
    var: float
    schedule: Schedule

    @property
    def oracle(self) -> ExactDenoiser:
        return ExactDenoiser(GaussianMixture([1.0], [[self.mean]], self.var), self.schedule)

    def marginal_var(self, t: float) -> float:
        alpha, sigma = (float(a) for a in self.schedule.alpha_sigma(t))
        return alpha**2 * self.var + sigma**2

    def gain(self, t: float) -> float:
        """d E[x_0 | x_t] / d x_t = alpha C / (alpha^2 C + sigma^2)."""
        return float(self.schedule.alpha(t)) * self.var / self.marginal_var(t)

    def law(self, sampler: Sampler, grid: list[float], noises: int = 1) -> list[Step]:
        """The coefficients of each step."""
        return [self._step(sampler, grid, i, noises) for i in range(len(grid) - 1)]

    def _step(self, sampler: Sampler, grid: list[float], index: int, noises: int) -> Step:
        pool = NoisePool(7)
        t, s = grid[index], grid[index + 1]
        x = torch.linspace(-3, 3, ROWS, dtype=torch.float64)[:, None] * self.marginal_var(t) ** 0.5
        state = State(x, t, tuple(grid), pool, index=index)
        after = sampler.step(self.oracle, state, s).x[:, 0].numpy()
        z = [pool.step(x, index, j)[:, 0].numpy() for j in range(noises)]
        design = np.stack([x[:, 0].numpy(), np.ones(ROWS), *z], axis=1)
        coefficients = np.linalg.lstsq(design, after, rcond=None)[0]
        np.testing.assert_allclose(design @ coefficients, after, atol=1e-9 * max(1, np.abs(after).max()))
        return Step(coefficients[0], coefficients[1], float((coefficients[2:] ** 2).sum()))

    def propagate(self, steps: list[Step], mean: float, var: float) -> tuple[float, float]:
        """Mean and variance after the steps."""
        for step in steps:
            mean, var = step.slope * mean + step.offset, step.slope**2 * var + step.var
        return mean, var


@pytest.fixture
def gaussian() -> Callable[..., Gaussian]:
    return Gaussian
