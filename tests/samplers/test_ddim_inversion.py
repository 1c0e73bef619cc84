"""DDIM inversion against the probability flow, whose map upwards is known, and against DDIM's way back."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.convergence import Gaussian, Line
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, DDIMInversion, Langevin, final, grids, sample
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear, ZeroTerminalSNR

SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20), Flow()]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
X = torch.linspace(-2, 2, 21, dtype=torch.float64)[:, None]


def up(oracle, sampler, times, x):
    return final(sample(oracle, sampler, times, x=x))


def rms(x):
    return float(x.square().mean().sqrt())


def orders(errors):
    return [math.log2(a / b) for a, b in pairwise(errors)]


def levels(schedule, first, last, steps):
    """steps + 1 times evenly spaced in log-SNR."""
    return schedule.t_of_log_snr(torch.linspace(first, last, steps + 1, dtype=torch.float64))


@each_schedule
def test_each_step_is_linear_with_the_closed_slope(gaussian, schedule):
    """On Gaussian data: alpha_s from data, sigma_s / sigma_t (1 - alpha_t g) + alpha_s g above."""
    data, grid = gaussian(0.0, 0.3, schedule), grids.uniform(schedule, 7).flip(0).tolist()
    for step, (t, s) in zip(data.law(DDIMInversion(), grid), pairwise(grid), strict=True):
        there, here, gain = schedule.level(t), schedule.level(s), data.gain(t)
        slope = here.alpha
        if t > 0:
            slope = here.sigma / there.sigma * (1 - there.alpha * gain) + here.alpha * gain
        assert step.slope == pytest.approx(slope, rel=1e-9, abs=1e-12)
        assert step.offset == pytest.approx(0, abs=1e-10)
        assert step.var == pytest.approx(0, abs=1e-20)


@each_schedule
@pytest.mark.parametrize("target", [Gaussian(), Line()], ids=lambda t: t.name)
def test_reaches_the_noise_with_the_declared_order(schedule, target):
    """The flow's end upwards is known: for a Gaussian a linear map, on the line quantiles. Within the limits of the project
    for orders, 0.3."""
    oracle = target.denoiser(schedule)
    ends = [float(schedule.t_of_log_snr(level)) for level in (4.0, -4.0)]
    x, errors = target.start(50, schedule, ends[0]), []
    for steps in (64, 128, 256):
        z = up(oracle, DDIMInversion(), levels(schedule, 4.0, -4.0, steps), x)
        errors.append(rms(z - target.end(x, schedule, *ends)))
    assert all(abs(order - DDIMInversion.order) < 0.3 for order in orders(errors)), (errors, orders(errors))


@each_schedule
@pytest.mark.parametrize("corrections", [0, 1, 2])
def test_ddim_returns_to_the_start_with_the_declared_order_and_one_more_for_each_correction(schedule, corrections):
    """Up and down between log-SNR 4 and -4. A correction gains the difference between the slope of DDIM's step and that of
    Gaussian data, of the order of the step. The range is 8 nats, so that 64 steps are of a sixteenth in log(sigma / alpha)."""
    target = Line()
    oracle = target.denoiser(schedule)
    x, errors = target.start(50, schedule, float(schedule.t_of_log_snr(4.0))), []
    for steps in (64, 128, 256):
        times = levels(schedule, 4.0, -4.0, steps)
        z = up(oracle, DDIMInversion(corrections), times, x)
        errors.append(rms(up(oracle, DDIM(), times.flip(0), z) - x))
    declared = DDIMInversion.order + corrections
    assert all(abs(order - declared) < 0.3 for order in orders(errors)), (errors, orders(errors))


@each_schedule
def test_from_data_itself_to_noise_and_back(schedule):
    """All the way, t = 0 to 1, where first and last steps are the long ones: the error still falls as the steps get shorter, and
    with eight corrections only 256 steps' rounding is left."""
    oracle = ExactDenoiser(GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1), schedule)
    grid = grids.uniform(schedule, 256)
    errors = []
    for steps in (64, 128, 256):
        z = up(oracle, DDIMInversion(), grids.uniform(schedule, steps).flip(0), X)
        errors.append(rms(up(oracle, DDIM(), grids.uniform(schedule, steps), z) - X))
    # on its way to 1: neither end is far from where steps are as long as the level itself
    assert all(0.5 < order < 1.3 for order in orders(errors)), (errors, orders(errors))
    z = up(oracle, DDIMInversion(8), grid.flip(0), X)
    assert rms(up(oracle, DDIM(), grid, z) - X) < 1e-9
    # the noise behind data is noise: the quantiles of N(0, 1), and of the data by the weights of its modes
    points = torch.from_numpy(np.sort(oracle.data.preview(400, 0)[0], axis=0)).double()
    noise = up(oracle, DDIMInversion(1), grids.uniform(schedule, 64).flip(0), points) / schedule.prior_std
    assert abs(float(noise.mean())) < 4 / 20
    assert float(noise.std()) == pytest.approx(1, abs=4 / 800**0.5)
    assert (noise.diff(dim=0) >= 0).all()  # the flow cannot cross itself


def test_on_gaussian_data_of_the_width_it_was_told_one_correction_is_exact():
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.5]], 0.3), VPCosine())
    grid = grids.uniform(VPCosine(), 5)
    for sampler, least, most in ((DDIMInversion(), 1e-2, 1e1), (DDIMInversion(1), 0.0, 1e-12)):
        back = up(oracle, DDIM(), grid, up(oracle, sampler, grid.flip(0), X))
        assert least <= rms(back - X) < most


@pytest.mark.parametrize("schedule", [Flow(), ZeroTerminalSNR(VPLinear())], ids=lambda s: s.name)
def test_noise_without_any_signal_is_reached_and_left_again(schedule):
    oracle = ExactDenoiser(GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1), schedule)
    z = up(oracle, DDIMInversion(1), [0.9, 1.0], X)
    torch.testing.assert_close(up(oracle, DDIM(), [1.0, 0.9], z), X, rtol=0, atol=1e-12)
    for corrections in (0, 2):  # from data to nothing but noise at once, nothing is left of the data
        assert torch.equal(up(oracle, DDIMInversion(corrections), [0.0, 1.0], X), torch.zeros_like(X))


def test_says_what_it_took_and_keeps_to_the_budget():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    for corrections, evaluations in ((0, 10), (0, 1), (2, 11), (2, 1)):
        states = list(sample(oracle, DDIMInversion(corrections), evaluations=evaluations, x=torch.randn(3, 2)))
        assert states[0].t == 0
        assert states[-1].t == 1
        spent = states[-1].evaluations
        assert spent <= max(evaluations, corrections)
        assert spent > evaluations - (1 + corrections)
        assert torch.equal(states[1].denoised, states[0].x) or corrections


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_samples_stay_in_their_dtype_and_none_are_no_trouble(dtype):
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    for n in (0, 3):
        states = list(sample(oracle, DDIMInversion(1), [0.0, 0.5, 1.0], x=torch.zeros(n, 2, dtype=dtype)))
        assert [state.x.dtype for state in states] == [dtype] * 3
        assert states[-1].x.shape == (n, 2)


ORACLE = ExactDenoiser(GaussianMixture.ring(), VPCosine())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: DDIMInversion(-1), "a whole number, 0 or more, but got -1"),
        (lambda: DDIMInversion(0.5), "a whole number, 0 or more, but got 0.5"),
        (lambda: up(ORACLE, DDIMInversion(), [1.0, 0.5, 0.0], X), "must increase strictly, but 0.5 follows 1.0"),
        (lambda: up(ORACLE, DDIMInversion(), [0.0, 0.0, 1.0], X), "must increase strictly, but 0.0 follows 0.0"),
        (lambda: up(ORACLE, DDIMInversion(), [0.0], X), "at least two times"),
        (lambda: up(ORACLE, DDIMInversion(), [0.0, 1.5], X), r"lie in \[0, 1\].* one is 1.5"),
        (lambda: up(ORACLE, DDIM(), [0.0, 0.5, 1.0], torch.zeros(2, 2)), "0.5 follows 0.0; .*take DDIMInversion"),
        (lambda: up(ORACLE, Ancestral(), [0.0, 0.5, 1.0], torch.zeros(2, 2)), "take DDIMInversion"),
        (lambda: up(ORACLE, Langevin(), [0.0, 0.5, 1.0], torch.zeros(2, 2)), "must repeat one time"),
        (lambda: final(sample(ORACLE, DDIMInversion(), [0.0, 1.0], n=3)), "starts from data: give them as x"),
    ],
)
def test_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()
