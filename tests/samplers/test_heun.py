"""Heun against its textbook form, at its first and last step, and as EDM without churn."""

import math

import pytest
import torch

from difflab.convergence import Gaussian, Line, Plane, measure
from difflab.samplers import EDMStochastic, Euler, Heun, NoisePool, final, grids, sample
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPSigmoid, ZeroTerminalSNR

TARGET = Plane()
ENDING_ON_NOISE = [Flow(), ZeroTerminalSNR(), VPSigmoid(clip_min=0)]


def by_name(schedule):
    return schedule.name


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(), EDM(), Flow()], ids=by_name)
def test_is_the_trapezoidal_rule_of_karras(schedule):
    """Alg. 1 of Karras et al. 2022 in y = x / alpha and r = sigma / alpha, the slopes taken from the score."""
    oracle, grid = TARGET.denoiser(schedule), [0.8, 0.5, 0.2, 0.0]
    x = TARGET.start(50, schedule, 0.8)

    def slope(y, t):
        alpha, sigma = schedule.alpha_sigma(t)
        return -sigma * oracle.score(alpha * y, t)

    y = x / schedule.alpha(0.8)
    states = list(sample(oracle, Heun(), grid, x=x))
    for t, s, state in zip(grid, grid[1:], states[1:], strict=False):
        r_t, r_s = (b / a for a, b in (schedule.alpha_sigma(time) for time in (t, s)))
        first = slope(y, t)
        guess = y + (r_s - r_t) * first
        y = guess if s == 0 else y + (r_s - r_t) * (first + slope(guess, s)) / 2
        torch.testing.assert_close(state.x, schedule.alpha(s) * y, rtol=1e-10, atol=1e-10)
    assert [state.evaluations for state in states] == [0, 2, 4, 5]


@pytest.mark.parametrize("schedule", [Flow(), ZeroTerminalSNR()], ids=by_name)
def test_the_first_step_from_noise_alone_is_finite_and_keeps_the_order(schedule):
    """alpha(1) = 0: sigma / alpha is infinite there. Even steps of t to 0.1; alpha is smooth in them (VPSigmoid's is not)."""

    def even(schedule, t, s, steps):
        return torch.linspace(t, s, steps + 1, dtype=torch.float64)

    for target in (Gaussian(), Line()):
        found = measure(Heun(), target, schedule, t=1.0, s=0.1, grid=even)
        assert found.order == pytest.approx(2, abs=0.3), found
        assert found.errors[-1] < measure(Euler(), target, schedule, t=1.0, s=0.1, grid=even).errors[-1] / 10


@pytest.mark.parametrize("schedule", [Flow(), ZeroTerminalSNR()], ids=by_name)
def test_the_first_step_from_noise_alone_is_a_trapezoid_too(schedule):
    """One step of length h is off by h^2 if it is Euler's and by h^3 or less if it is Heun's: one order more than a run."""
    target, x = Gaussian(), Gaussian().start(40, schedule, 1.0)
    for sampler, (least, most) in ((Heun(), (2.7, 4.5)), (Euler(), (1.7, 2.3))):
        errors = []
        for h in (0.04, 0.02):
            end = final(sample(target.denoiser(schedule), sampler, [1.0, 1 - h], x=x))
            errors.append(float((end - target.end(x, schedule, 1.0, 1 - h)).norm()))
        assert least < math.log2(errors[0] / errors[1]) < most


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(), *ENDING_ON_NOISE], ids=by_name)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_is_edm_without_churn_to_the_last_bit(schedule, steps):
    x, grid = TARGET.start(30, schedule, 1.0), grids.uniform(schedule, steps)
    for quiet in (
        EDMStochastic(),
        EDMStochastic(churn=50.0, lowest=1e7, highest=1e8),
        EDMStochastic(0.0, inflation=1.007),
    ):
        runs = (sample(TARGET.denoiser(schedule), m, grid, x=x, noise=NoisePool(0)) for m in (Heun(), quiet))
        for heun, edm in zip(*runs, strict=True):
            assert torch.equal(heun.x, edm.x)
            assert heun.evaluations == edm.evaluations
            assert edm.z is None


@pytest.mark.parametrize("sampler", [Heun(), EDMStochastic(5.0)], ids=lambda m: m.label)
@pytest.mark.parametrize("evaluations", [1, 2, 3, 10, 35])
def test_a_number_of_evaluations_is_not_exceeded(sampler, evaluations):
    states = list(sample(TARGET.denoiser(VPCosine()), sampler, evaluations=evaluations, n=2))
    assert states[-1].evaluations == evaluations - (evaluations % 2 == 0)  # two a step, and one for the last
