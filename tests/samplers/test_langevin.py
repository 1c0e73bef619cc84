"""Langevin on Gaussian data: the stationary law of the discretised walk is known."""

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.metrics import energy_distance
from difflab.samplers import Langevin, final, grids, sample
from difflab.samplers.walks.one_level import stable_step
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
    for grid in (grids.uniform(VPCosine(), 5), [0.3], [0.0, 0.0], [0.3, 0.2], None):
        with pytest.raises(ValueError, match=r"^Langevin stays at one noise level: .* grids\.constant\(0\.3, 100\)\.$"):
            sample(oracle, Langevin(), grid, n=1)
    for step in (0.0, -1, float("nan"), float("inf"), "0.1", True, None):
        with pytest.raises(ValueError, match="step size of Langevin must be above 0, in squared units of x, but got"):
            Langevin(step)


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 20)], ids=lambda s: s.name)
def test_no_density_is_curved_more_than_the_stable_step_says(schedule):
    """2 / stable_step bounds every eigenvalue of -grad^2 log p_t, by finite differences of the score at 200 points; half of
    it is reached (a component alone is as curved as its narrowest direction), and by one Gaussian all of it."""
    for data, least in [(GaussianMixture.random(4, 2, seed=3), 0.5), (GaussianMixture([1.0], [[1.0]], 0.3), 0.999999)]:
        oracle, h = ExactDenoiser(data, schedule), 1e-5
        for t in (0.02, 0.3, 0.8):
            alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
            x = alpha * data.sample(200, torch.Generator().manual_seed(0)).double()
            axes = torch.eye(data.dim, dtype=torch.float64) * h
            hessian = torch.stack([(oracle.score(x + e, t) - oracle.score(x - e, t)) / (2 * h) for e in axes], 1)
            steepest = float(torch.linalg.eigvalsh(-(hessian + hessian.mT) / 2).max())
            assert least * 2 / stable_step(oracle, t) <= steepest <= 2 / stable_step(oracle, t) * (1 + 1e-6)
            assert stable_step(oracle, t) >= 2 * sigma**2  # what holds for any data


def test_the_stable_step_is_where_a_gaussians_walk_explodes(gaussian):
    data, t = gaussian(0.0, 0.5, VPCosine()), 0.3
    bound = stable_step(data.oracle, t)
    assert bound == pytest.approx(2 * data.marginal_var(t), rel=1e-12)
    for factor, stays in ((0.99, True), (1.01, False)):
        (law,) = data.law(Langevin(factor * bound), [t, t])
        assert (abs(law.slope) < 1) == stays


def test_a_walk_that_explodes_is_stopped_with_the_stable_step(gaussian):
    """The slope at 1.1 of the bound is -1.2, so a million standard deviations are 76 steps away, and a look is due every
    eighth: far from the end of float32, which lies 480 steps away."""
    data, t = gaussian(0.0, 0.5, VPCosine()), 0.3
    bound = stable_step(data.oracle, t)
    sentence = (
        rf"^Langevin diverged at t = 0\.3: its step size is a = {1.1 * bound:.4g}, .*this mixture below {bound:.4g};"
    )
    seen = []
    states = sample(data.oracle, Langevin(1.1 * bound), grids.constant(t, 400), n=4)
    with pytest.raises(FloatingPointError, match=sentence):
        seen.extend(states)
    assert 60 < len(seen) < 90
    with pytest.raises(FloatingPointError, match="Langevin diverged"):  # within one step, too
        final(sample(data.oracle, Langevin(1e30), grids.constant(t, 100), n=4))


class Linear:
    """A denoiser of which nothing is known, whose mean is `gain` x_t."""

    schedule, shape = VPCosine(), (2,)

    def __init__(self, gain):
        self.gain = gain

    def __call__(self, x_t, t, labels=None):
        return Posterior(self.gain * x_t)


def test_where_no_bound_is_known_it_says_what_holds_for_any_data():
    t = 0.3
    alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(t))
    assert stable_step(Linear(0.0), t) == pytest.approx(2 * sigma**2, rel=1e-12)
    with pytest.raises(
        FloatingPointError, match=rf"stable for the exact score of any data .* below {2 * sigma**2:.4g};"
    ):
        final(sample(Linear(0.0), Langevin(3 * sigma**2), grids.constant(t, 300), n=2))
    with pytest.raises(FloatingPointError, match=r"although its step size, a = 0\.01, is stable .* far from exact"):
        final(sample(Linear(9 / alpha), Langevin(0.01), grids.constant(t, 300), n=2))  # pushes outwards
    with pytest.raises(FloatingPointError, match=r"The denoiser returned nan or inf at t = 0\.3"):
        final(sample(Linear(float("nan")), Langevin(0.01), grids.constant(t, 3), n=2))
    for time in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"0 < t <= 1|\[0, 1\]|runs from 0"):
            stable_step(Linear(0.0), time)
