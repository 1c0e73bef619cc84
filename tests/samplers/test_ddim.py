"""DDIM against the probability-flow ODE of Gaussian data, whose solution is a ratio of standard deviations."""

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, final, grids, sample
from difflab.schedules import Geometric, VPCosine, VPLinear

SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_each_step_is_linear_with_the_closed_slope(gaussian, schedule):
    data, grid = gaussian(0.0, 0.3, schedule), grids.uniform(schedule, 9).tolist()
    for step, t, s in zip(data.law(DDIM(), grid), grid, grid[1:], strict=False):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            map(float, schedule.alpha_sigma(t)),
            map(float, schedule.alpha_sigma(s)),
        )
        gain = data.gain(t)
        assert step.slope == pytest.approx(alpha_s * gain + sigma_s / sigma_t * (1 - alpha_t * gain), rel=1e-9)
        assert step.offset == pytest.approx(0, abs=1e-10)
        assert step.var == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("schedule", [VPLinear(), VPCosine()], ids=lambda s: s.name)
def test_measured_order_is_the_declared_one(gaussian, schedule):
    data = gaussian(0.0, 0.3, schedule)
    exact = (0.3 / data.marginal_var(1.0)) ** 0.5  # the ODE carries quantiles to quantiles
    errors = []
    for steps in (200, 400, 800):
        slopes = [step.slope for step in data.law(DDIM(), grids.uniform(schedule, steps).tolist())]
        errors.append(abs(np.prod(slopes) - exact))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all(np.abs(orders - DDIM.order) < 0.1), orders


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_eta_one_is_ancestral_sampling_with_the_small_variance(schedule):
    oracle, grid = ExactDenoiser(GaussianMixture.ring(), schedule), grids.uniform(schedule, 30)
    runs = [
        sample(oracle, sampler, grid, n=200, generator=torch.Generator().manual_seed(4))
        for sampler in (DDIM(eta=1.0), Ancestral("small"))
    ]
    for ddim, ancestral in zip(*runs, strict=True):
        torch.testing.assert_close(ddim.x, ancestral.x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_keeps_the_marginals_when_x0_is_known(gaussian, eta):
    """For data at one point the denoiser is exact, and every eta has the marginal N(alpha m, sigma^2) at every time."""
    data = gaussian(0.8, 1e-12, VPCosine())
    grid = grids.uniform(data.schedule, 10).tolist()
    for i, s in enumerate(grid[1:-1], start=1):
        alpha, sigma = (float(a) for a in data.schedule.alpha_sigma(s))
        start_alpha, start_sigma = (float(a) for a in data.schedule.alpha_sigma(1.0))
        law = data.law(DDIM(eta), grid)[:i]
        mean, var = data.propagate(law, start_alpha * 0.8, start_sigma**2)
        assert mean == pytest.approx(alpha * 0.8, rel=1e-8)
        assert var == pytest.approx(sigma**2, rel=1e-6)


def test_eta_zero_draws_no_noise_after_the_start():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    x, grid = torch.randn(20, 2), grids.uniform(VPCosine(), 10)
    ends = [final(sample(oracle, DDIM(), grid, x=x, generator=torch.Generator().manual_seed(seed))) for seed in (0, 1)]
    assert torch.equal(*ends)


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan")])
def test_refuses_an_eta_outside_0_and_1(eta):
    with pytest.raises(ValueError, match="eta must lie between 0"):
        DDIM(eta)
