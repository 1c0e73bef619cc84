"""The reference flow against the closed form on Gaussian data, and against another solver of another form of the equation."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from difflab.convergence import Gaussian, Plane, flow
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.schedules import EDM, FIRST_T, Flow, Geometric, VPCosine, VPLinear, ZeroTerminalSNR

SCHEDULES = [VPCosine(), VPLinear(), Flow(), ZeroTerminalSNR(), Geometric(), EDM()]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
WIDE = Gaussian(GaussianMixture(None, [[1.0, -3.0]], [[[4.0, 1.0], [1.0, 0.5]]]))


def relative(found, due):
    return float((found - due).abs().max() / due.abs().max())


@each_schedule
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.3), (0.7, 0.1), (0.2, 0.9), (0.1, 1.0)])
def test_is_the_closed_map_of_a_gaussian(schedule, t, s):
    x = WIDE.start(20, schedule, t)
    found = flow(WIDE.denoiser(schedule), x, t, s)
    # 500 steps over at most 20 nats of u: (20 / 500)^4 of a fourth-order error with constants below 1/100
    assert relative(found, WIDE.end(x, schedule, t, s)) < 1e-8
    assert found.dtype == torch.float64


@pytest.mark.parametrize("schedule", [VPCosine(), Flow()], ids=lambda s: s.name)
def test_is_of_fourth_order_from_noise_alone_too(schedule):
    x = WIDE.start(20, schedule, 1.0)
    due = WIDE.end(x, schedule, 1.0, 0.1)
    errors = [float((flow(WIDE.denoiser(schedule), x, 1.0, 0.1, n) - due).norm()) for n in (8, 16, 32, 64)]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert orders[-1] == pytest.approx(4, abs=0.3), orders


@pytest.mark.parametrize("schedule", [VPCosine(), Flow(), Geometric()], ids=lambda s: s.name)
def test_agrees_with_another_solver_of_the_equation_in_t(schedule):
    """dx/dt = f x - g^2 score / 2 (Y. Song et al. 2021, eq. 13), by scipy's eighth-order method at a tolerance of 1e-12."""
    target = Plane()
    oracle = target.denoiser(schedule)
    x = target.start(6, schedule, 0.9)

    def rate(t, flat):
        at = torch.from_numpy(flat).reshape(x.shape)
        drift, g = float(schedule.drift(t)), float(schedule.diffusion(t))
        return (drift * at - g**2 / 2 * oracle.score(at, t)).flatten().numpy()

    due = solve_ivp(rate, (0.9, 0.2), x.flatten().numpy(), method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(flow(oracle, x, 0.9, 0.2).flatten(), due, atol=1e-9 * float(x.abs().max()))


@pytest.mark.parametrize("schedule", [VPCosine(), Flow()], ids=lambda s: s.name)
def test_ends_on_the_data_by_way_of_the_lowest_level(schedule):
    x = WIDE.start(20, schedule, 1.0)
    oracle = WIDE.denoiser(schedule)
    found = flow(oracle, x, 1.0, 0.0)
    # log-SNR of 20 or more there: E[x_0 | x] is off by sigma^2 / C = 2e-9 / 0.25 of the distance to the mean
    assert relative(found, WIDE.end(x, schedule, 1.0, 0.0)) < 1e-7
    torch.testing.assert_close(found, oracle(flow(oracle, x, 1.0, FIRST_T), FIRST_T).mean, rtol=1e-12, atol=1e-12)


def test_steps_are_finest_about_the_width_of_the_data():
    """Data a thousand times wider in the same units is the same problem, once its width is known."""
    schedule = Geometric(0.01, 5e4)
    wide = Gaussian(GaussianMixture(None, [[0.0]], 1000.0**2))
    x = wide.start(20, schedule, 1.0)
    due = wide.end(x, schedule, 1.0, 0.1)
    known = flow(wide.denoiser(schedule), x, 1.0, 0.1, 100)
    blind = flow(wide.denoiser(schedule), x, 1.0, 0.1, 100, width=1.0)
    assert relative(known, due) < 1e-5 < relative(blind, due)


def test_asks_in_the_dtype_of_the_samples_and_answers_in_float64():
    asked = set()

    class Listening(ExactDenoiser):
        def __call__(self, x_t, t, labels=None):
            asked.add(x_t.dtype)
            return super().__call__(x_t, t, labels)

    found = flow(Listening(WIDE.data, VPCosine()), torch.randn(3, 2), 0.9, 0.5, 4)
    assert asked == {torch.float32}
    assert found.dtype == torch.float64
    assert flow(WIDE.denoiser(VPCosine()), torch.zeros(0, 2), 0.9, 0.5, 4).shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"t": 0.0}, "begins at a time above 0"),
        ({"t": math.nan}, "begins at a time above 0"),
        ({"t": 1.5}, "up to 1"),
        ({"s": -0.1}, "ends at a time from 0"),
        ({"s": "0"}, "ends at a time from 0"),
        ({"steps": 0}, "whole number of steps, .* but got 0"),
        ({"steps": 2.5}, "whole number of steps"),
        ({"steps": 10**400}, "at most 1,000,000, but got 1000"),
        ({"width": 0.0}, "width of the data must be a number above 0"),
        ({"width": math.inf}, "width of the data must be a number above 0"),
        ({"x": torch.zeros(3, 5)}, r"shape \(n, 2\)"),
    ],
)
def test_refuses_what_no_flow_can_follow(arguments, words):
    given = {"x": torch.zeros(3, 2), "t": 0.9, "s": 0.1, **arguments}
    with pytest.raises(ValueError, match=words):
        flow(WIDE.denoiser(VPCosine()), **given)


def test_refuses_what_is_no_denoiser_and_stops_at_nan():
    with pytest.raises(TypeError, match="denoiser"):
        flow("oracle", torch.zeros(3, 2), 0.9, 0.1)

    class Broken:
        schedule = VPCosine()

        def __call__(self, x_t, t, labels=None):
            return Posterior(x_t / 0)

    with pytest.raises(FloatingPointError, match=r"not finite at t = 0\.9"):
        flow(Broken(), torch.ones(3, 2), 0.9, 0.1, 4)
