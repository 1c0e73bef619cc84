"""Diagnostics against chains of which everything is known: AR(1), which Langevin on a Gaussian is, and exact samples."""

import math

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import mode_mass
from difflab.samplers import DDIM, MALA, Ancestral, Langevin, NoisePool, grids, sample
from difflab.samplers.trajectory import Trajectory
from difflab.samplers.walks.diagnostics import acceptance, autocorrelation, effective_sample_size, mode_mass_over_time
from difflab.samplers.walks.one_level import stable_step
from difflab.schedules import VPCosine


def ar1(phi, steps, n, dim, seed=0):
    """x' = phi x + sqrt(1 - phi^2) z from its stationary law: rho_k = phi^k."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, dtype=torch.float64, generator=g)
    chain = []
    for _ in range(steps):
        x = phi * x + math.sqrt(1 - phi * phi) * torch.randn(n, dim, dtype=torch.float64, generator=g)
        chain.append(x)
    return torch.stack(chain)


@pytest.mark.parametrize("n", [1, 10])
@pytest.mark.parametrize("phi", [-0.5, 0.0, 0.5, 0.9])
def test_effective_sample_size_of_ar1(phi, n):
    """N n (1 - phi) / (1 + phi). 40 coordinates are 40 estimates: their mean is within 4 standard errors, and 3 % for the bias of
    cutting the sum off at the first negative pair."""
    steps = 20_000 // n
    found = effective_sample_size(ar1(phi, steps, n, 40))
    expected = steps * n * (1 - phi) / (1 + phi)
    assert found.shape == (40,)
    assert abs(float(found.mean()) - expected) < 4 * float(found.std()) / math.sqrt(40) + 0.03 * expected
    assert float(found.std()) < 0.3 * expected


def test_autocorrelation_of_ar1():
    """phi^k, within 4.5 standard errors of 100 coordinates' mean and the bias of finite chains, below tau / steps = 0.004."""
    rho = autocorrelation(ar1(0.8, 2000, 4, 100))
    assert rho.shape == (2000, 100)
    for k in (0, 1, 3, 10, 30):
        error = float(rho[k].std()) / 10
        assert abs(float(rho[k].mean()) - 0.8**k) < 4.5 * error + 0.006


def test_langevin_on_a_gaussian_is_worth_what_its_slope_says():
    """It is AR(1) with phi = 1 - a / V, so N n a / (2 V - a): 40 coordinates of one variance."""
    data, t = GaussianMixture([1.0], [[0.0] * 40], 0.5), 0.3
    oracle = ExactDenoiser(data, VPCosine())
    var = stable_step(oracle, t) / 2
    x = math.sqrt(var / (1 - 0.15)) * torch.randn(
        5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    states = list(sample(oracle, Langevin(0.3 * var), grids.constant(t, 1500), x=x, noise=NoisePool(0)))
    expected = 1501 * 5 * 0.3 / (2 - 0.3)
    for chains in (states, Trajectory.of(states), torch.stack([s.x for s in states])):
        found = effective_sample_size(chains)
        assert abs(float(found.mean()) - expected) < 4 * float(found.std()) / math.sqrt(40) + 0.03 * expected


def test_chains_that_never_leave_their_mode_are_worth_next_to_nothing():
    """20 chains around -5 or 5 tell the mean as 20 samples of a coin would, however long they are."""
    chains = ar1(0.0, 1000, 20, 1) + 5 * torch.tensor([-1.0, 1.0]).repeat(10)[None, :, None]
    assert float(effective_sample_size(chains)) < 40
    assert float(effective_sample_size(ar1(0.0, 1000, 20, 1))) > 10_000
    assert float(autocorrelation(chains)[500]) > 0.9


def test_keeps_the_shape_of_a_sample_and_says_nothing_of_what_never_moves():
    chains = ar1(0.5, 100, 3, 4).reshape(100, 3, 2, 2)
    chains[:, :, 0, 1] = 7.0
    for found in (effective_sample_size(chains), autocorrelation(chains)[1]):
        assert found.shape == (2, 2)
        assert found.isnan().tolist() == [[False, True], [False, False]]
    assert effective_sample_size(ar1(0.5, 100, 3, 1)[..., 0]).shape == ()


def test_acceptance_is_the_mean_over_steps_and_its_error_from_row_to_row():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    states = list(sample(oracle, MALA(warm_up=10), grids.constant(0.4, 30), n=50, noise=NoisePool(0)))
    p = torch.stack([s.memory.probability for s in states[1:]])
    assert acceptance(states).value == pytest.approx(float(p.mean()), rel=1e-12)
    late = acceptance(states, skip=10)
    assert late.value == pytest.approx(float(p[10:].mean()), rel=1e-12)
    assert late.error == pytest.approx(float(p[10:].mean(0).std()) / 50**0.5, rel=1e-12)
    for wrong in (states[:1], list(sample(oracle, Langevin(), grids.constant(0.4, 3), n=2))):
        with pytest.raises(ValueError, match=r"^None of these states is one that a Metropolis sampler has led to"):
            acceptance(wrong)
    with pytest.raises(ValueError, match="None of these"):
        acceptance(states, skip=30)
    with pytest.raises(ValueError, match="whole number, 0 or more, but got -1"):
        acceptance(states, skip=-1)


def test_mode_mass_of_exact_samples_is_the_weights_at_every_level():
    """x_t = alpha x_0 + sigma eps, with three modes of different weights: within 4.5 standard errors at each of 9 times."""
    data, schedule = GaussianMixture([0.2, 0.3, 0.5], [[-2.0, 0.0], [2.0, 0.0], [0.0, 3.0]], 0.2), VPCosine()
    g, times = torch.Generator().manual_seed(0), [1.0, 0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.0]
    x0, eps = data.sample(5000, g).double(), torch.randn(5000, 2, dtype=torch.float64, generator=g)
    x = torch.stack([float(schedule.alpha(t)) * x0 + float(schedule.sigma(t)) * eps for t in times])
    run = Trajectory(torch.tensor(times, dtype=torch.float64), x, torch.arange(9), torch.arange(9))
    oracle = ExactDenoiser(data, schedule)
    found = mode_mass_over_time(run, oracle)
    assert found.times.tolist() == times
    assert found.mass.sum(1) == pytest.approx(torch.ones(9), abs=1e-9)
    off = (found.mass - torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)).abs()
    assert bool((off <= 4.5 * found.error + 1e-6).all())  # at t = 1 x says nothing, and every row gives the weights
    at_data = mode_mass(x0, data)
    assert found.mass[-1].tolist() == pytest.approx(at_data.mass.tolist(), abs=0.005)  # strays of 4 deviations: 3e-4
    biased = mode_mass_over_time(Trajectory(run.times, x[:, x0[:, 1] < 1.5], run.steps, run.evaluations), oracle)
    assert float((biased.mass - found.mass).abs().max()) > 0.3  # one mode thrown away


def test_takes_states_of_any_sampler_and_refuses_what_are_none():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    found = mode_mass_over_time(sample(oracle, Ancestral(), grids.uniform(VPCosine(), 10), n=100), oracle)
    assert found.mass.shape == (11, 8)
    with pytest.raises(TypeError, match="has to say, but got DDIM"):
        mode_mass_over_time(sample(oracle, DDIM(), n=1), DDIM())
    for wrong in (3, [1, 2], torch.zeros(3)):
        with pytest.raises(TypeError, match="the states that sample yields, or at a Trajectory, but got"):
            mode_mass_over_time(wrong, oracle)
    with pytest.raises(ValueError, match="no states to look at"):
        mode_mass_over_time([], oracle)
    for wrong in (torch.zeros(3, 2, 1), torch.zeros(10), torch.zeros(10, 0, 1), torch.zeros(10, 2, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"4 steps or more of 1 row or more, but got \("):
            effective_sample_size(wrong)
    for wrong in (torch.zeros(10, 2, 0), torch.zeros(10, 2, 1, device="meta")):
        with pytest.raises(ValueError, match="4 steps or more of 1 row or more, but got"):
            autocorrelation(wrong)
    with pytest.raises(ValueError, match="nan or inf"):
        autocorrelation(torch.full((5, 2, 1), math.nan))


def test_refuses_runs_that_do_not_belong_together():
    oracle, grid = ExactDenoiser(GaussianMixture.ring(), VPCosine()), grids.constant(0.3, 5)
    walks = [state for n in (3, 4) for state in sample(oracle, MALA(), grid, n=n)]
    for look in (acceptance, autocorrelation, lambda states: mode_mass_over_time(states, oracle)):
        with pytest.raises(ValueError, match=r"are of several runs, of different .*: look at each by itself"):
            look(walks)
    for wrong in (3, Trajectory.of(walks[:6]), torch.zeros(3)):
        with pytest.raises(TypeError, match="states that sample yields, which a Trajectory forgets, but got"):
            acceptance(wrong)


def test_the_sum_is_cut_as_geyer_says():
    """Term by term on a short chain, whose estimates scatter: pairs of lags while they are positive, none above the last."""
    chains = ar1(0.9, 60, 3, 20)
    rho, found, cut = autocorrelation(chains), effective_sample_size(chains), 0
    for j in range(20):
        total, before = 0.0, math.inf
        for k in range(0, 59, 2):
            pair = float(rho[k, j] + rho[k + 1, j])
            if pair <= 0:
                break
            cut += pair > before
            before = min(pair, before)
            total += before
        assert float(found[j]) == pytest.approx(180 / (2 * total - 1), rel=1e-10)
    assert cut > 5  # where it matters that none is above the last


def test_an_alternating_chain_is_worth_more_than_its_length_but_no_more_than_is_believed():
    """tau of phi = -0.95 is 0.026, whose estimate is mostly noise: below 1 / log10(count) none is believed (Vehtari et al.)."""
    assert effective_sample_size(ar1(-0.95, 1000, 10, 3)).tolist() == pytest.approx([10_000 * 4.0] * 3, rel=1e-12)
