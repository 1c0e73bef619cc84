"""Euler in sigma / alpha: DDIM(0) by another road, and on the straight schedule Euler in t."""

from itertools import pairwise

import pytest
import torch

from difflab.convergence import Plane
from difflab.samplers import DDIM, Euler, final, grids, sample
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPLinear, ZeroTerminalSNR

SCHEDULES = [VPCosine(), VPLinear(), Flow(), ZeroTerminalSNR(), Geometric(), EDM()]
TARGET = Plane()


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("steps", [1, 2, 12])
def test_is_ddim(schedule, steps):
    """Each state to 1e-12 of its size: two sums of the same terms in float64, whose differences do not grow."""
    x = TARGET.start(50, schedule, 1.0)
    grid = grids.uniform(schedule, steps)
    for euler, ddim in zip(*(sample(TARGET.denoiser(schedule), m, grid, x=x) for m in (Euler(), DDIM())), strict=True):
        assert float((euler.x - ddim.x).abs().max()) < 1e-12 * max(1.0, float(ddim.x.abs().max()))


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric()], ids=lambda s: s.name)
def test_is_eulers_step_of_the_slope_in_sigma_over_alpha(schedule):
    oracle, x = TARGET.denoiser(schedule), TARGET.start(50, schedule, 0.7)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (schedule.alpha_sigma(a) for a in (0.7, 0.4))
    eps = -sigma_t * oracle.score(x, 0.7)  # dy/dr, by the score instead of the mean
    due = alpha_s * (x / alpha_t + (sigma_s / alpha_s - sigma_t / alpha_t) * eps)
    torch.testing.assert_close(final(sample(oracle, Euler(), [0.7, 0.4], x=x)), due, rtol=1e-12, atol=1e-12)


def test_on_the_straight_schedule_it_is_euler_in_t():
    """x' = eps - x_0 (Lipman et al. 2023): sigma / alpha = t / (1 - t) bends, but a path with x_0 held is straight in both."""
    oracle, x = TARGET.denoiser(Flow()), TARGET.start(50, Flow(), 1.0)
    due, grid = x, [1.0, 0.8, 0.5, 0.3, 0.0]
    for t, s in pairwise(grid):
        mean = oracle(due, t).mean
        due = due + (s - t) * (due - mean) / t  # eps - x_0 = (x - x_0) / t
    torch.testing.assert_close(final(sample(oracle, Euler(), grid, x=x)), due, rtol=1e-12, atol=1e-12)
