"""Laws read off unit vectors, against recursions written out."""

import math
from itertools import pairwise

import pytest
import torch

from difflab.convergence import Gaussian, Line, law_of
from difflab.samplers import DDIM, Ancestral, EDMStochastic, grids
from difflab.schedules import Flow, VPCosine

TARGET = Gaussian()  # N(0.5, 0.3)
MEAN, VAR = 0.5, 0.3


def gain(schedule, t):
    """E[x_0 | x_t] = MEAN + gain (x_t - alpha MEAN)."""
    alpha, sigma = map(float, schedule.alpha_sigma(t))
    return alpha * VAR / (alpha**2 * VAR + sigma**2)


@pytest.mark.parametrize("schedule", [VPCosine(), Flow()], ids=lambda s: s.name)
def test_of_ancestral_sampling_is_the_recursion_of_its_moments(schedule):
    grid = [0.95, 0.7, 0.4, 0.3, 0.05]
    mean, var = TARGET.law(schedule, grid[0])
    found = law_of(Ancestral("small"), TARGET.denoiser(schedule), grid)
    assert len(found.weights) == found.evaluations == 4
    got = found.after(mean, var)
    for t, s in pairwise(grid):
        (at, st), (as_, ss) = (map(float, schedule.alpha_sigma(a)) for a in (t, s))
        # q(x_s | x_t, x_0), by the product of two Gaussians: precision 1/ss^2 of x_0 and (at/as)^2 / step of x_t
        step = st**2 - (at / as_) ** 2 * ss**2
        precision = 1 / ss**2 + (at / as_) ** 2 / step
        c_x, c_0 = at / as_ / step / precision, as_ / ss**2 / precision
        slope = c_x + c_0 * gain(schedule, t)
        mean = slope * mean + c_0 * (MEAN - gain(schedule, t) * at * MEAN)
        var = slope**2 * var + 1 / precision
    assert got == pytest.approx((mean, var), rel=1e-12)


def two_steps_back(denoiser, state, s):
    """A method of its own memory: it steps with the mean of this and the last x_0, and noise of two draws."""
    x0 = denoiser(state.x, state.t).mean
    used = x0 if state.memory is None else (x0 + state.memory) / 2
    z = [state.noise.step(state.x, state.index, j) for j in (0, 1)]
    return state.moved(0.5 * state.x + 0.4 * used + 0.1 * z[0] + 0.2 * z[1], s, x0, memory=x0)


def test_follows_what_a_method_remembers():
    schedule, grid = VPCosine(), [0.9, 0.6, 0.3]
    first, second = gain(schedule, 0.9), gain(schedule, 0.6)
    found = law_of(two_steps_back, TARGET.denoiser(schedule), grid)
    one = 0.5 + 0.4 * first  # slope of the first step
    two = 0.5 + 0.2 * second  # of the second step in where it starts; 0.2 first comes from memory
    assert found.slope == pytest.approx(two * one + 0.2 * first, rel=1e-12)
    assert found.weights == pytest.approx((two * 0.1, two * 0.2, 0.1, 0.2), rel=1e-12)


def test_of_a_method_without_noise_has_no_weights():
    found = law_of(DDIM(), TARGET.denoiser(VPCosine()), grids.uniform(VPCosine(), 5))
    assert found.weights == ()
    assert found.after(1.0, 0.0) == (pytest.approx(found.slope + found.offset), 0.0)


def test_variances_add_up_in_a_run_of_many_samples():
    """The same number by Monte Carlo, to four standard errors of 20,000 samples."""
    from difflab.samplers import final, sample

    schedule = VPCosine()
    grid = grids.uniform(schedule, 6)
    sampler = EDMStochastic(churn=3.0)
    x = math.sqrt(0.8) * torch.randn(20_000, 1, generator=torch.Generator().manual_seed(1))
    end = final(sample(TARGET.denoiser(schedule), sampler, grid, x=x, generator=torch.Generator().manual_seed(0)))
    mean, var = law_of(sampler, TARGET.denoiser(schedule), grid).after(0.0, 0.8)
    assert float(end.mean()) == pytest.approx(mean, abs=4 * (var / 20_000) ** 0.5)
    assert float(end.var()) == pytest.approx(var, rel=4 * (2 / 20_000) ** 0.5)


def cubed(denoiser, state, s):
    return state.x + 0.01 * state.x**3


def rejecting(denoiser, state, s):
    if bool((state.x > 0).any()):
        return state.x + state.noise.step(state.x, state.index, 1)
    return state.x


@pytest.mark.parametrize(("mean", "var"), [(0.0, -1.0), ("0", 1.0), (0.0, None), (float("nan"), 1.0)])
def test_refuses_what_is_no_mean_or_no_variance(mean, var):
    with pytest.raises(ValueError, match="mean and a variance of 0 or more"):
        law_of(DDIM(), Gaussian().denoiser(VPCosine()), [0.9, 0.5]).after(mean, var)


@pytest.mark.parametrize(
    ("sampler", "target", "words"),
    [
        (DDIM(), Line(), "affine in its start and its noise, but this one is not"),
        (cubed, Gaussian(), "affine in its start and its noise, but this one is not"),
        (rejecting, Gaussian(), "draws? more|asks for more"),
    ],
    ids=["a mixture", "a cube", "a choice"],
)
def test_refuses_what_is_not_affine(sampler, target, words):
    with pytest.raises(ValueError, match=words):
        law_of(sampler, target.denoiser(VPCosine()), [0.9, 0.5, 0.1])
