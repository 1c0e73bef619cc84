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


@pytest.mark.parametrize("eta", [-0.1, 1.1, float("nan"), 10**400, "0.5", None, True, [0.5], torch.ones(3)])
def test_refuses_an_eta_outside_0_and_1(eta):
    with pytest.raises(ValueError, match="eta must lie between 0"):
        DDIM(eta)


def stepped(sampler, schedule, t, s):
    """(x_t, E[x_0 | x_t], z, x_s) of one step."""
    x = torch.randn(20, 2, dtype=torch.float64)
    oracle = ExactDenoiser(GaussianMixture.ring(), schedule)
    after = list(sample(oracle, sampler, [t, s], x=x))[-1]
    return x, after.denoised, after.z, after.x


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_the_papers_sigma_hat_is_ancestral_sampling_with_the_large_variance(schedule):
    """Song et al. 2021, section 5: the mean of eta = 1, sqrt(abar_s) x_0 + sqrt(1 - abar_s - d^2) eps, with noise of the wider
    sqrt(1 - abar_t / abar_s), which is sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) where variance is preserved."""
    t, s = 0.7, 0.4
    x, x0, z, found = stepped(Ancestral("large"), schedule, t, s)
    (_, a_t, sd_t, _), (_, a_s, sd_s, _) = schedule.level(t), schedule.level(s)
    beta = sd_t**2 - (a_t / a_s) ** 2 * sd_s**2
    eps, d2 = (x - a_t * x0) / sd_t, sd_s**2 / sd_t**2 * beta
    torch.testing.assert_close(found, a_s * x0 + (sd_s**2 - d2) ** 0.5 * eps + beta**0.5 * z, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_eta_is_that_of_k_diffusions_ancestral_euler_steps(schedule, eta):
    """In y = x / alpha: Euler's step to sigma_down, then noise sigma_up on top, sigma_down^2 + sigma_up^2 = sigma_s^2."""
    t, s = 0.7, 0.4
    x, x0, z, found = stepped(DDIM(eta), schedule, t, s)
    r_t, r_s, y = schedule.level(t).ratio, schedule.level(s).ratio, x / schedule.level(t).alpha
    up = min(r_s, eta * (r_s**2 * (r_t**2 - r_s**2) / r_t**2) ** 0.5)
    down = (r_s**2 - up**2) ** 0.5
    expected = y + (y - x0) / r_t * (down - r_t) + up * z
    torch.testing.assert_close(found / schedule.level(s).alpha, expected, rtol=1e-9, atol=1e-9)
