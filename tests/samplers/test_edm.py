"""EDM's stochastic sampler against the published loop, and by its law on Gaussian data."""

import math

import pytest
import torch

from difflab.convergence import Gaussian, Plane, law_of, measure
from difflab.samplers import BrownianPath, EDMStochastic, NoisePool, sample
from difflab.schedules import EDM, VPCosine

TARGET = Plane()
SCHEDULE = EDM()


def times_of(levels, schedule):
    return [*schedule.t_of_log_snr(-2 * torch.tensor(levels, dtype=torch.float64).log()).tolist(), 0.0]


@pytest.mark.parametrize("schedule", [EDM(), VPCosine()], ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("churn", "lowest", "highest", "inflation"),
    [(2.0, 0.0, math.inf, 1.0), (40.0, 0.3, 10.0, 1.007), (0.5, 0.0, 2.0, 1.0)],
)
def test_is_the_published_loop(schedule, churn, lowest, highest, inflation):
    """Karras et al. 2022, Alg. 2, written in y = x / alpha, the level sigma in place of t."""
    pool, levels = NoisePool(3), [20.0, 8.0, 3.0, 1.0, 0.4, 0.1]
    oracle, grid = TARGET.denoiser(schedule), times_of(levels, schedule)
    x = TARGET.start(30, schedule, grid[0])
    sampler = EDMStochastic(churn, lowest, highest, inflation)
    states = list(sample(oracle, sampler, grid, x=x, noise=pool))

    def denoised(y, level):
        t = float(schedule.t_of_log_snr(torch.tensor(-2 * math.log(level), dtype=torch.float64)))
        return oracle(schedule.alpha(t) * y, t).mean

    y = x / schedule.alpha(grid[0])
    drawn = 0
    for i, (now, then) in enumerate(zip(levels, [*levels[1:], 0.0], strict=True)):
        gamma = min(churn / len(levels), math.sqrt(2) - 1) if lowest <= now <= highest else 0.0
        hat = now * (1 + gamma)
        if gamma:
            y = y + math.sqrt(hat**2 - now**2) * inflation * pool.step(y, i)
            drawn += 1
            assert torch.equal(states[i + 1].z, pool.step(y, i))
        slope = (y - denoised(y, hat)) / hat
        guess = y + (then - hat) * slope
        y = guess if then == 0 else y + (then - hat) * (slope + (guess - denoised(guess, then)) / then) / 2
        torch.testing.assert_close(states[i + 1].x, schedule.alpha(grid[i + 1]) * y, rtol=1e-9, atol=1e-9)
    assert drawn == sum(state.z is not None for state in states)
    assert drawn >= 3


def test_a_schedule_has_no_level_above_its_first():
    """At t = 1 there is nowhere to rise to; just below it, no further than t = 1."""
    oracle, sampler = TARGET.denoiser(SCHEDULE), EDMStochastic(100.0)
    assert list(sample(oracle, sampler, [1.0, 0.5, 0.0], n=3))[1].z is None
    state = list(sample(oracle, sampler, [0.99, 0.5, 0.0], n=3))[1]
    assert state.z is not None
    assert state.x.isfinite().all()


@pytest.mark.parametrize("schedule", [EDM(), VPCosine()], ids=lambda s: s.name)
def test_churn_keeps_the_law_and_forgets_the_start(schedule):
    """With the exact denoiser and many steps the law is the data's with any churn, and the more of it the less is left of x_t."""
    target = Gaussian()
    t = times_of([20.0], schedule)[0]
    start = target.law(schedule, t)
    slopes = []
    for churn in (0.0, 4.0, 8.0):
        grid = times_of(torch.logspace(math.log10(20.0), -2, 100, dtype=torch.float64).tolist(), schedule)
        law = law_of(EDMStochastic(churn), target.denoiser(schedule), grid)
        assert law.after(*start) == pytest.approx((0.5, 0.3), rel=0.01)
        slopes.append(abs(law.slope))
    assert slopes[0] > 2 * slopes[1] > 4 * slopes[2]


def test_another_amount_of_noise_does_not_converge_and_says_so():
    inflated = EDMStochastic(5.0, inflation=1.05)
    assert inflated.order == 0
    assert measure(inflated, Gaussian(), steps=(64, 128)).order < 0.3
    assert EDMStochastic(5.0).order == 2


def test_noise_of_steps_that_overlap_is_independent():
    """A step that rises above the last one's start crosses levels twice: on one Brownian path it would draw the same noise."""
    oracle, x = TARGET.denoiser(VPCosine()), TARGET.start(2000, VPCosine(), 0.6)
    z = [
        s.z
        for s in sample(oracle, EDMStochastic(1e3), [0.6, 0.59, 0.58, 0.57], x=x, noise=BrownianPath(0))
        if s.z is not None
    ]
    correlation = torch.corrcoef(torch.stack([a.flatten() for a in z])) - torch.eye(3)
    assert correlation.abs().max() < 4 / 4000**0.5


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"churn": -1.0}, r"churn of EDM must be a number of 0 or more, but got -1\.0"),
        ({"churn": math.inf}, "churn of EDM must be"),
        ({"churn": "5"}, "churn of EDM must be"),
        ({"lowest": 1.0, "highest": 0.5}, r"between two levels, 0 <= lowest < highest, but got 1\.0 and 0\.5"),
        ({"lowest": -1.0}, "between two levels"),
        ({"highest": math.nan}, "between two levels"),
        ({"lowest": None}, "between two levels"),
        ({"inflation": 0.0}, "inflation of EDM's noise must be a number above 0"),
        ({"inflation": math.nan}, "inflation of EDM's noise must be a number above 0"),
    ],
)
def test_refuses_bad_knobs(knobs, words):
    with pytest.raises(ValueError, match=words):
        EDMStochastic(**knobs)


def test_says_what_it_does():
    assert EDMStochastic().label == "EDM (no churn: Heun)"
    assert EDMStochastic(40.0, 0.05, 50.0, 1.003).label == "EDM (churn 40 from 0.05 to 50, noise x 1.003)"
    assert (EDMStochastic().random, EDMStochastic(1.0).random) == (False, True)
