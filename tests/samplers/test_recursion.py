"""The variance recursion against the steps' own coefficients, and against walks that were measured."""

import math

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import (
    DDIM,
    HMC,
    MALA,
    AnnealedLangevin,
    Langevin,
    NoisePool,
    PredictorCorrector,
    grids,
    sample,
    stable_step,
)
from difflab.samplers.walks.recursion import measured_variance, predicted_variance, stationary_variance
from difflab.schedules import Flow, Geometric, VPCosine

DATA = GaussianMixture([1.0], [[0.3, -0.2]], [[[0.5, 0.2], [0.2, 0.3]]])
N = 4000
CASES = [
    Langevin(0.1),
    AnnealedLangevin(3, denoise=False),
    AnnealedLangevin(2, epsilon=1e-5, convention="v1"),
    PredictorCorrector(),
    PredictorCorrector("reverse diffusion", 0.3, 2),
]


def grid_of(sampler, schedule, steps=25):
    return grids.constant(0.3, steps) if isinstance(sampler, Langevin) else grids.uniform(schedule, steps)


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 5.0), Flow()], ids=lambda s: s.name)
@pytest.mark.parametrize("sampler", CASES, ids=lambda s: s.label)
def test_what_is_measured_is_what_was_predicted(sampler, schedule):
    """At every time, in both directions of the covariance: 52 numbers, each within 4.5 standard errors (a chance of 4e-4 in all),
    from a start that is narrower than where it goes."""
    oracle, grid = ExactDenoiser(DATA, schedule), grid_of(sampler, schedule)
    x = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.5
    states = list(sample(oracle, sampler, grid, x=x, noise=NoisePool(1)))
    measured, error = measured_variance(states, oracle)
    predicted = predicted_variance(sampler, oracle, grid, 0.25)
    assert measured.shape == error.shape == predicted.shape == (len(grid), 2)
    assert float(((measured - predicted).abs() / error).max()) < 4.5
    assert float(((measured - 1.2 * predicted).abs() / error).max()) > 4.5  # a fifth more would have been seen


@pytest.mark.parametrize("sampler", [*CASES[3:], PredictorCorrector(corrections=0)], ids=lambda s: s.label)
def test_the_recursion_is_that_of_the_steps_own_coefficients(gaussian, sampler):
    """On the line, where the coefficients of each step are solved for (conftest.py), to rounding; from the sampler's own start.
    (Those of annealed Langevin are read in test_annealed_langevin.py.)"""
    schedule, corrections = VPCosine(), sampler.corrections
    data, grid = gaussian(0.3, 0.4, schedule), grids.uniform(schedule, 12).tolist()
    var, found = 1.0, [1.0]
    for step in data.law(sampler, grid, noises=1 + corrections):
        var = step.slope**2 * var + step.var
        found.append(var)
    predicted = predicted_variance(sampler, data.oracle, grid)
    assert predicted[:, 0].tolist() == pytest.approx(found, rel=1e-8, abs=1e-12)


def test_langevin_settles_where_the_closed_form_says():
    """V / (1 - a / (2 V)) in each direction, reached by the recursion and by the walk; from 2 V on nowhere."""
    oracle, t = ExactDenoiser(DATA, VPCosine()), 0.3
    alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(t))
    total = alpha**2 * torch.linalg.eigvalsh(torch.from_numpy(DATA.covariances[0])) + sigma**2
    assert stationary_variance(Langevin(0.2), oracle, t).tolist() == pytest.approx(
        (total / (1 - 0.1 / total)).tolist(), rel=1e-12
    )
    late = predicted_variance(Langevin(0.2), oracle, grids.constant(t, 300))[-1]
    assert late.tolist() == pytest.approx(stationary_variance(Langevin(0.2), oracle, t).tolist(), rel=1e-9)
    between = Langevin(float(total.sum()))  # above 2 V of the narrow direction, below that of the wide one
    assert stationary_variance(between, oracle, t).isinf().tolist() == [True, False]


@pytest.mark.parametrize("sampler", [MALA(warm_up=60), HMC(warm_up=60, leapfrog=4)], ids=lambda s: s.label)
def test_metropolis_settles_at_the_target_itself(sampler):
    oracle, t = ExactDenoiser(DATA, VPCosine()), 0.3
    x = torch.zeros(N, 2, dtype=torch.float64)
    *_, last = sample(oracle, sampler, grids.constant(t, 160), x=x, noise=NoisePool(1))
    measured, error = measured_variance([last], oracle)
    settled = stationary_variance(sampler, oracle, t)
    assert float(((measured[0] - settled).abs() / error[0]).max()) < 4
    assert settled.tolist() == pytest.approx(stationary_variance(Langevin(1e-9), oracle, t).tolist(), rel=1e-6)


def test_refuses_what_has_no_recursion():
    oracle, grid = ExactDenoiser(DATA, VPCosine()), grids.uniform(VPCosine(), 4)
    for sampler in (DDIM(), PredictorCorrector(norms="row")):
        with pytest.raises(TypeError, match=r"^There is no recursion for the variance of (DDIM|Predictor)"):
            predicted_variance(sampler, oracle, grid)
    with pytest.raises(TypeError, match="does not stay at one noise level"):
        stationary_variance(DDIM(), oracle, 0.3)
    for wrong in (ExactDenoiser(GaussianMixture.ring(), VPCosine()), DATA):
        with pytest.raises(TypeError, match="data which are one Gaussian, behind an oracle, but got"):
            predicted_variance(Langevin(), wrong, grids.constant(0.3, 4))
    with pytest.raises(ValueError, match="Langevin stays at one noise level"):
        predicted_variance(Langevin(), oracle, grid)
    for sampler in ("Langevin", None, Langevin):
        with pytest.raises(TypeError, match=r"^There is no recursion for the variance of"):
            predicted_variance(sampler, oracle, grid)
        with pytest.raises(TypeError, match="does not stay at one noise level"):
            stationary_variance(sampler, oracle, 0.3)
    for start in (-1.0, math.nan, [1.0] * 3, [[1.0, 1.0]]):
        with pytest.raises(ValueError, match="start is one number, or 2 of them, of 0 or more, but got"):
            predicted_variance(PredictorCorrector(), oracle, grid, start)
    with pytest.raises(ValueError, match="must be real numbers, but got 'a'"):
        predicted_variance(PredictorCorrector(), oracle, "a")
    for t in (0.0, 1.5, "0.3", None):
        with pytest.raises(ValueError, match="settles at a noise level, 0 < t <= 1, but got t = "):
            stationary_variance(Langevin(), oracle, t)
        with pytest.raises(ValueError, match="must have 0 < t <= 1, but got t = "):
            stable_step(oracle, t)
    *_, sample_of_one = sample(ExactDenoiser(GaussianMixture(None, [[0.0]], 1.0), VPCosine()), DDIM(), n=3)
    with pytest.raises(ValueError, match=r"states are of samples \(1,\), but the data's are \(2,\)"):
        measured_variance([sample_of_one], oracle)
    with pytest.raises(ValueError, match="two rows or more, but these states have 1"):
        measured_variance(list(sample(oracle, DDIM(), n=1)), oracle)
    assert math.isfinite(float(predicted_variance(PredictorCorrector(), oracle, grid).sum()))
