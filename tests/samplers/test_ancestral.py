"""Ancestral sampling against the variance recursion of Gaussian data, and the mixture at its noise floor."""

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import energy_distance, mode_mass, noise_floor, sliced_wasserstein
from difflab.samplers import Ancestral, final, grids, sample
from difflab.schedules import Geometric, VPCosine, VPLinear

SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("variance", ["small", "large"])
def test_each_step_is_the_chains_posterior_at_the_denoised_mean(gaussian, schedule, variance):
    data, chain = gaussian(0.7, 0.3, schedule), MarkovChain(schedule, 12)
    law = data.law(Ancestral(variance), grids.of_chain(chain).tolist())
    for k, step in zip(range(12, 1, -1), law, strict=False):
        t = float(chain.times[k])
        gain, alpha = data.gain(t), float(chain.alpha[k])
        c_x, c_0 = float(chain.posterior_x[k]), float(chain.posterior_x0[k])
        assert step.slope == pytest.approx(c_x + c_0 * gain, rel=1e-7)
        assert step.offset == pytest.approx(c_0 * (0.7 - gain * alpha * 0.7), rel=1e-6, abs=1e-9)
        expected = chain.posterior_log_var[k].exp() if variance == "small" else chain.beta[k]
        assert step.var == pytest.approx(float(expected), rel=1e-7)
    assert law[-1].var == pytest.approx(0, abs=1e-20)  # the last step returns its mean
    assert law[-1].slope == pytest.approx(data.gain(float(chain.times[1])), rel=1e-9)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_law_converges_with_weak_order_one(gaussian, variance):
    data = gaussian(0.5, 0.4, VPCosine())
    errors = []
    for steps in (100, 200, 400):
        law = data.law(Ancestral(variance), grids.uniform(data.schedule, steps).tolist())
        mean, var = data.propagate(law, 0.0, 1.0)
        assert mean == pytest.approx(0.5, abs=0.01)
        errors.append(abs(var - 0.4))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all((orders > 0.85) & (orders < 1.15)), orders


def test_sampled_variance_is_that_of_the_recursion(gaussian):
    data, n = gaussian(0.5, 0.4, VPLinear()), 20_000
    grid = grids.uniform(data.schedule, 20)
    mean, var = data.propagate(data.law(Ancestral(), grid.tolist()), 0.0, 1.0)
    x = final(sample(data.oracle, Ancestral(), grid, n=n, generator=torch.Generator().manual_seed(0)))
    assert float(x.mean()) == pytest.approx(mean, abs=4 * (var / n) ** 0.5)
    assert float(x.var()) == pytest.approx(var, rel=4 * (2 / n) ** 0.5)


def test_ring_of_8_reaches_the_sampling_noise_floor_at_1000_steps():
    """Sets from the sampler differ from true sets as two true sets do: six of them, against the spread of 60 pairs.

    The floor of the whole is mostly the luck of how many samples fall on each mode. So the shape of the modes is
    compared by itself too, with a floor twenty times lower.
    """
    data, n, sets = GaussianMixture.ring(), 2000, 6
    oracle = ExactDenoiser(data, VPCosine())
    g = torch.Generator().manual_seed(3)
    means = torch.from_numpy(data.means).float()

    def whole(x, y):
        return sliced_wasserstein(x, y, projections=64, generator=torch.Generator().manual_seed(5))

    def within_modes(x, y):
        return whole(*(z - means[torch.cdist(z, means).argmin(1)] for z in (x, y)))

    def run(steps):
        return final(sample(oracle, Ancestral(), grids.uniform(oracle.schedule, steps), n=n * sets, generator=g))

    x, coarse = run(1000), run(100)
    for metric in (whole, within_modes):
        floor = noise_floor(metric, data, n, 60, g)
        # 4 standard errors of the difference between a mean of 6 and one of 60
        threshold = floor.mean + 4 * floor.std * (1 / sets + 1 / len(floor.values)) ** 0.5
        reached = np.mean([metric(part, data.sample(n, g)) for part in x.split(n)])
        assert reached < threshold, (metric.__name__, reached, threshold)
    # the test can tell: with 100 steps the modes are too narrow
    assert np.mean([within_modes(part, data.sample(n, g)) for part in coarse.split(n)]) > threshold

    value, error = energy_distance(x[:6000], data.sample(6000, g))
    assert abs(value) < 4 * error
    mass, stray = mode_mass(x, data)
    assert np.abs(mass - 1 / 8).max() < 5 * (7 / 64 / len(x)) ** 0.5
    # beyond 4 standard deviations in two dimensions: exp(-8) of the truth
    assert stray < np.exp(-8) + 5 * (np.exp(-8) / len(x)) ** 0.5


def test_refuses_an_unknown_variance():
    with pytest.raises(ValueError, match="'learned' or 'optimal', but got 'medium'"):
        Ancestral("medium")
