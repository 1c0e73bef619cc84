"""Langevin on Gaussian data: the stationary law of the discretised walk is known."""

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import energy_distance
from difflab.samplers import Langevin, final, grids, sample
from difflab.schedules import Geometric, VPCosine


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 20)], ids=lambda s: s.name)
@pytest.mark.parametrize("step", [0.01, 0.1])
def test_stationary_variance_and_mean(gaussian, schedule, step):
    data, t = gaussian(0.6, 0.5, schedule), 0.3
    alpha, target = float(schedule.alpha(t)), data.marginal_var(t)
    (law,) = data.law(Langevin(step), [t, t])
    assert law.slope == pytest.approx(1 - step / target, rel=1e-9)
    assert law.var == pytest.approx(2 * step, rel=1e-9)
    assert law.var / (1 - law.slope**2) == pytest.approx(target / (1 - step / (2 * target)), rel=1e-9)
    assert law.offset / (1 - law.slope) == pytest.approx(alpha * 0.6, rel=1e-9)


def test_bias_vanishes_with_the_declared_order(gaussian):
    data, t = gaussian(0.0, 0.5, VPCosine()), 0.3
    biases = []
    for step in (0.02, 0.01):
        (law,) = data.law(Langevin(step), [t, t])
        biases.append(law.var / (1 - law.slope**2) - data.marginal_var(t))
    assert biases[0] / biases[1] == pytest.approx(2**Langevin.order, rel=0.02)


def test_walk_reaches_the_noisy_density_of_a_mixture():
    """At t = 0.4 the modes of the ring still touch; from the prior the walk comes within the noise of true noisy data."""
    data, schedule, t = GaussianMixture.ring(), VPCosine(), 0.4
    g = torch.Generator().manual_seed(0)
    x = final(sample(ExactDenoiser(data, schedule), Langevin(0.01), grids.constant(t, 300), n=3000, generator=g))
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
    truth = alpha * data.sample(3000, g) + sigma * torch.randn(3000, 2, generator=g)
    value, error = energy_distance(x, truth)
    assert abs(value) < 4 * error + 1e-3  # the bias of the step size is of this order


def test_stays_at_its_time_and_refuses_other_grids():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    assert [s.t for s in sample(oracle, Langevin(), grids.constant(0.2, 3), n=1)] == [0.2] * 4
    for grid in (grids.uniform(VPCosine(), 5), [0.3], [0.0, 0.0], [0.3, 0.2]):
        with pytest.raises(ValueError, match="must repeat one time"):
            sample(oracle, Langevin(), grid, n=1)
    with pytest.raises(ValueError, match="step size of Langevin must be above 0"):
        Langevin(0.0)


def test_a_step_too_large_ends_in_one_sentence(gaussian):
    data = gaussian(0.0, 0.5, VPCosine())
    with pytest.raises(FloatingPointError, match=r"nan or inf at t = 0\.3|overflowed"):
        final(sample(data.oracle, Langevin(1e6), grids.constant(0.3, 100), n=4))
