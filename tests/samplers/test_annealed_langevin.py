"""Annealed Langevin against both published algorithms, step for step, and against closed forms of its law on Gaussian data."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.advice import langevin_step, walked_variance
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import energy_distance
from difflab.samplers import AnnealedLangevin, Langevin, NoisePool, State, final, grids, sample
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear, VPSigmoid, ZeroTerminalSNR

SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20)]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)


def level(schedule, t):
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
    return sigma / alpha


def law(data, sampler, grid, index, walked=True):
    """(slope, offset, variance) of x' given x of one step; `walked`: as it is after the steps before."""
    t, s = grid[index], grid[index + 1]
    x = torch.linspace(-3, 3, 60, dtype=torch.float64)[:, None] * data.marginal_var(t) ** 0.5
    state = State(x, t, tuple(grid), NoisePool(7), index=index)
    if walked:
        state = State(x, t, tuple(grid), NoisePool(7), index=index, denoised=x, memory=t)
    after = sampler.step(data.oracle, state, s)
    z = [] if after.z is None else list(after.z) if after.z.ndim > 2 else [after.z]
    design = np.stack([x[:, 0].numpy(), np.ones(60), *(one[:, 0].numpy() for one in z)], axis=1)
    found = np.linalg.lstsq(design, after.x[:, 0].numpy(), rcond=None)[0]
    np.testing.assert_allclose(
        design @ found, after.x[:, 0].numpy(), rtol=0, atol=1e-9 * max(1, float(after.x.abs().max()))
    )
    return found[0], found[1], float((found[2:] ** 2).sum())


@pytest.mark.parametrize("convention", ["v1", "v2"])
@pytest.mark.parametrize("denoise", [True, False])
def test_is_the_published_algorithm_step_for_step(convention, denoise):
    """Both, written down from the papers, on the same noise: NCSN's and NCSNv2's Alg. 1, and the last denoising step of v2."""
    schedule, data = Geometric(0.05, 3.0), GaussianMixture.ring()
    oracle, grid, pool = ExactDenoiser(data, schedule), grids.uniform(schedule, 6), NoisePool(3)
    start, epsilon, steps = 3 * torch.randn(40, 2, dtype=torch.float64), 1e-4, 4
    x, sigmas = start.clone(), [float(schedule.sigma(t)) for t in grid[:-1]]
    for i, (t, sigma) in enumerate(zip(grid[:-1].tolist(), sigmas, strict=True)):
        a = epsilon * sigma**2 / sigmas[-1] ** 2
        for j in range(steps):
            score, z = oracle.score(x, t), pool.step(x, i, j)
            x = x + a / 2 * score + a**0.5 * z if convention == "v1" else x + a * score + (2 * a) ** 0.5 * z
    if denoise:
        x = x + sigmas[-1] ** 2 * oracle.score(x, float(grid[-2]))
    sampler = AnnealedLangevin(steps, epsilon, denoise, convention)
    torch.testing.assert_close(final(sample(oracle, sampler, grid, x=start, noise=pool)), x, rtol=0, atol=1e-11)


@each_schedule
@pytest.mark.parametrize(("convention", "part"), [("v2", 1.0), ("v1", 0.5)])
def test_each_level_scales_its_step_as_published(gaussian, schedule, convention, part):
    """a = epsilon level^2 / lowest^2, in the frame x / alpha: on Gaussian data the slope of one update is 1 - a / V."""
    data, grid, epsilon = gaussian(0.0, 0.5, schedule), grids.uniform(schedule, 6).tolist(), 1e-6
    lowest = level(schedule, grid[-2])
    for i, (t, s) in enumerate(pairwise(grid[:-1])):
        slope, offset, var = law(data, AnnealedLangevin(1, epsilon, False, convention), grid, i)
        a = part * epsilon * level(schedule, s) ** 2 / lowest**2
        ratio = float(schedule.alpha(s) / schedule.alpha(t))
        assert slope == pytest.approx(ratio * (1 - a / (0.5 + level(schedule, s) ** 2)), rel=1e-9)
        assert var == pytest.approx(2 * a * float(schedule.alpha(s)) ** 2, rel=1e-6)
        assert offset == pytest.approx(0, abs=1e-9)


def test_variance_after_a_level_is_that_of_langevin_step(gaussian):
    """For data at one point, handed over at gamma^2 times the level's variance (Song & Ermon 2020, eq. 4)."""
    data, steps = gaussian(0.0, 1e-12, Geometric(0.01, 1.0)), 5
    grid = grids.uniform(data.schedule, 10).tolist()
    gamma = (1.0 / 0.01) ** (1 / 9)
    r = langevin_step(gamma, steps)
    for i, s in enumerate(grid[1:-1]):
        slope, _, added = law(data, AnnealedLangevin(steps, denoise=False), grid, i)
        var = float(data.schedule.sigma(s)) ** 2
        expected = (1 - r) ** (2 * steps) * (gamma**2 - 2 / (2 - r)) + 2 / (2 - r)
        assert slope**2 * gamma**2 + added / var == pytest.approx(expected, rel=1e-6)


@each_schedule
@pytest.mark.parametrize("end", [None, 20], ids=["down to the data", "a grid above the data"])
def test_states_have_the_noise_of_the_time_that_they_bear(gaussian, schedule, end):
    """Of data at one point: at every time s of the run it is what `advice.walked_variance`, in closed form, says of a walk that
    ends on the level of s, and less than 1.2 times the level's; the level before has 1.5 times as much and more."""
    data, sampler = gaussian(0.0, 1e-12, schedule), AnnealedLangevin(10)
    grid = grids.log_snr(schedule, 30).tolist()[:end]
    r, var = sampler.relative_step(schedule, tuple(grid)), data.marginal_var(grid[0])
    levels = [level(schedule, t) for t in grid if t > 0]
    for i, s in enumerate(grid[1 : len(levels)]):
        assert (levels[i] / levels[i + 1]) ** 2 > 1.5
        slope, _, added = law(data, sampler, grid, i, walked=i > 0)
        var = slope**2 * var + added
        walked = walked_variance(levels[: i + 2], r * levels[i + 1] ** 2, 10) / levels[i + 1] ** 2
        assert var / data.marginal_var(s) == pytest.approx(walked, rel=1e-6)
        assert 1 < walked < 1.2
    *_, last = sample(data.oracle, sampler, grid, n=3)
    assert (last.t, last.evaluations) == (grid[-1], 10 * len(levels) + (end is None))


@each_schedule
@pytest.mark.parametrize("times", [[0.5, 0.0], [0.5, 0.49999, 0.0]], ids=["one level", "two levels close together"])
def test_close_levels_still_make_a_walk(gaussian, schedule, times):
    """The variance-exploding frame forgets its start as for levels 10 % apart, and does not stand still."""
    data, r = gaussian(0.0, 1e-12, schedule), langevin_step(1.1, 5)
    assert r > 0.01  # where levels that are one and the same would have no step at all
    slope, _, _ = law(data, AnnealedLangevin(5, denoise=False), times, 0, walked=len(times) == 3)
    forgets = slope * float(schedule.alpha(0.5) / schedule.alpha(times[1]))
    assert forgets == pytest.approx((1 - r) ** 5, rel=1e-6)


@each_schedule
def test_last_denoising_step_is_the_posterior_mean(gaussian, schedule):
    data, grid = gaussian(0.4, 0.5, schedule), grids.uniform(schedule, 8).tolist()
    (kept, _, _), (slope, offset, added) = (law(data, AnnealedLangevin(1, denoise=d), grid, 7) for d in (False, True))
    assert kept == pytest.approx(1 / float(schedule.alpha(grid[-2])), rel=1e-12)  # x / alpha, with its noise
    assert slope == pytest.approx(data.gain(grid[-2]), rel=1e-9)
    assert offset == pytest.approx(0.4 * (1 - float(schedule.alpha(grid[-2])) * data.gain(grid[-2])), rel=1e-9)
    assert added == 0


@pytest.mark.parametrize("convention", ["v1", "v2"])
def test_says_on_screen_what_it_is(convention):
    name = {"v1": "NCSN", "v2": "NCSNv2"}[convention]
    assert AnnealedLangevin(convention=convention).label == f"Annealed Langevin ({name}, denoised at the end)"
    assert "no last denoising step" in AnnealedLangevin(denoise=False, convention=convention).label


def test_without_an_epsilon_both_conventions_take_one_walk():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    one, two = (final(sample(oracle, AnnealedLangevin(3, convention=c), n=5, noise=NoisePool(1))) for c in ("v1", "v2"))
    assert torch.equal(one, two)


@pytest.mark.parametrize("denoise", [True, False])
def test_counts_every_evaluation(denoise):
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    *_, last = sample(oracle, AnnealedLangevin(3, denoise=denoise), grids.uniform(VPCosine(), 4), n=2)
    assert last.evaluations == 4 * 3 + denoise
    for budget in (1, 4, 20, 50):
        *_, last = sample(oracle, AnnealedLangevin(3, denoise=denoise), evaluations=budget, n=2)
        assert last.evaluations <= max(budget, 3 + denoise)
        assert last.evaluations > budget - 3


def test_goes_on_from_any_state_and_starts_anywhere():
    """From the middle of a run the same samples come out; from samples that nobody has walked, their level is walked first."""
    oracle, grid, sampler = (
        ExactDenoiser(GaussianMixture.ring(), VPCosine()),
        grids.uniform(VPCosine(), 6),
        AnnealedLangevin(3),
    )
    states = list(sample(oracle, sampler, grid, n=5, noise=NoisePool(2)))
    state = states[3]
    for s in grid[4:].tolist():
        state = sampler.step(oracle, state, s)
    assert torch.equal(state.x, states[-1].x)
    fresh = State(states[3].x, states[3].t, states[3].grid, NoisePool(2), index=3, memory=("another", "method's"))
    assert sampler.step(oracle, fresh, float(grid[4])).evaluations == 6


@each_schedule
def test_samples_the_ring(schedule):
    data, g = GaussianMixture.ring(), torch.Generator().manual_seed(1)
    oracle = ExactDenoiser(data, schedule)
    x = final(sample(oracle, AnnealedLangevin(), grids.uniform(schedule, 60), n=3000, generator=g))
    value, error = energy_distance(x, data.sample(3000, g))
    assert abs(value) < 4 * error + 1e-3


@pytest.mark.parametrize("schedule", [Flow(), ZeroTerminalSNR(), VPSigmoid(clip_min=0.0)], ids=lambda s: s.name)
def test_walks_down_from_noise_alone(schedule):
    """At alpha = 0 there is no x / alpha: the walk is in x, and hands over sigma_s x / sigma_t + alpha_s E[x_0]."""
    data, g = GaussianMixture.ring(), torch.Generator().manual_seed(1)
    oracle = ExactDenoiser(data, schedule)
    x = final(sample(oracle, AnnealedLangevin(), grids.uniform(schedule, 80), n=3000, generator=g))
    value, error = energy_distance(x, data.sample(3000, g))
    assert abs(value) < 4 * error + 2e-3


def test_finds_the_weights_of_far_modes_where_plain_langevin_cannot():
    """Song & Ermon 2019, fig. 3: N(-5, I) with weight 0.2 and N(5, I) with 0.8, from uniform noise on [-8, 8]^2; 10 levels
    from 20 to 1, 100 steps each, a = 0.1 level^2, against 1,000 steps at the lowest. Counting 5,000 samples errs by 0.006."""
    data, schedule = GaussianMixture([0.2, 0.8], [[-5.0, -5.0], [5.0, 5.0]], 1.0), Geometric(1.0, 20.0)
    oracle, grid = ExactDenoiser(data, schedule), grids.uniform(schedule, 10)
    lowest, start = float(grid[-2]), 16 * torch.rand(5000, 2, generator=torch.Generator().manual_seed(0)) - 8
    annealed = AnnealedLangevin(100, epsilon=0.1, denoise=False)
    *_, down = sample(oracle, annealed, grid, x=start, noise=NoisePool(0))
    *_, flat = sample(oracle, Langevin(0.1), grids.constant(lowest, 1000), x=start, noise=NoisePool(0))
    assert down.evaluations == flat.evaluations == 1000
    weights = [float(oracle.mode_probabilities(s.x, lowest)[:, 0].mean()) for s in (down, flat)]
    assert abs(weights[0] - 0.2) < 0.03
    assert abs(weights[1] - 0.2) > 0.2  # each sample stays on the side where it began: a half


def test_a_step_that_explodes_is_stopped_with_the_stable_one():
    """r = 2.2 overshoots by 1.2 a step where the data's own width is nothing beside the level's."""
    schedule = Geometric(0.5, 50.0)
    oracle, grid = ExactDenoiser(GaussianMixture.ring(), schedule), grids.uniform(schedule, 10)
    with pytest.raises(
        FloatingPointError, match=r"^Annealed Langevin diverged at t = \S+: its step size there is a = \S+, .* below"
    ):
        final(sample(oracle, AnnealedLangevin(100, epsilon=2.2 * 0.5**2), grid, n=3))
    assert final(sample(oracle, AnnealedLangevin(100, epsilon=1.8 * 0.5**2), grid, n=3)).isfinite().all()


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"steps_per_level": 0}, "1 step per level or more, not 0"),
        ({"steps_per_level": 2.5}, "not 2.5"),
        ({"epsilon": 0.0}, "epsilon must be above 0, or None, but got 0.0"),
        ({"epsilon": math.inf}, "but got inf"),
        ({"denoise": "no"}, "denoise must be True or False, but got 'no'"),
        ({"convention": ["v1"]}, r"is 'v1' or 'v2', but got \['v1'\]"),
        ({"convention": "v3"}, "is 'v1' or 'v2', but got 'v3'"),
    ],
)
def test_refuses_bad_knobs(knobs, words):
    with pytest.raises(ValueError, match=words):
        AnnealedLangevin(**knobs)


def test_hands_over_from_noise_alone_what_is_known_there():
    """At alpha = 0 E[x_0 | x] is the data's mean, and x_s = sigma_s x_1 + alpha_s mean, but for a walk of 1e-12 steps."""
    schedule = ZeroTerminalSNR(VPLinear())
    oracle = ExactDenoiser(GaussianMixture([0.3, 0.7], [[3.0], [5.0]], 0.2), schedule)
    x, s = torch.randn(50, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), 0.6
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(s))
    found = final(sample(oracle, AnnealedLangevin(1, epsilon=1e-12), [1.0, s], x=x, noise=NoisePool(0)))
    torch.testing.assert_close(found, sigma * x + alpha * 4.4, rtol=0, atol=1e-4)
