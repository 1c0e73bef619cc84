"""The measure itself is measured: on methods whose error is known because it was put there."""

import math

import numpy as np
import pytest
import torch

from difflab.convergence import Gaussian, Line, Plane, in_log_snr, measure
from difflab.convergence.order import _slopes
from difflab.samplers import DDIM, MALA, Ancestral, Consistency, DDIMInversion, Heun, Langevin
from difflab.schedules import Flow, VPCosine

SCHEDULE = VPCosine()


def exact_but_for(p, target):
    """A step that follows the flow exactly, then adds h^(p+1): over 1/h steps an error of order p."""

    def step(denoiser, state, s):
        h = denoiser.schedule.level(s).log_snr - denoiser.schedule.level(state.t).log_snr
        x = target.end(state.x, denoiser.schedule, state.t, s)
        return x + 0.01 * denoiser.schedule.level(s).sigma * h ** (p + 1)

    return step


@pytest.mark.parametrize(
    ("p", "target"),
    [(1, Gaussian()), (2, Gaussian()), (3, Gaussian()), (4, Gaussian()), (2, Line())],
    ids=lambda v: getattr(v, "name", v),
)
def test_finds_the_order_that_was_put_there(p, target):
    found = measure(exact_but_for(p, target), target)
    assert found.order == pytest.approx(p, abs=0.05)
    assert found.locally == pytest.approx([p] * 3, abs=0.1)
    assert (found.steps, found.evaluations) == ((16, 32, 64, 128), (16, 32, 64, 128))
    assert not found.weak
    assert found.declared == 0  # a function declares none


def test_finds_the_weak_order_that_was_put_there():
    """x_s = x_t (s_s / s_t) is the exact law; each step widens it by h^3: second order."""
    target = Gaussian()

    def step(denoiser, state, s):
        schedule = denoiser.schedule
        (mean_t, var_t), (mean_s, var_s) = target.law(schedule, state.t), target.law(schedule, s)
        h = schedule.level(s).log_snr - schedule.level(state.t).log_snr
        keep = 0.5 * (var_s / var_t) ** 0.5  # half of the standard deviation is kept, the rest is new
        z = math.sqrt(0.75 * var_s + 0.1 * h**3) * state.noise.step(state.x, state.index)
        return mean_s + keep * (state.x - mean_t) + z

    found = measure(step, target, weak=True)
    # most of what a step adds is forgotten by the next, which keeps half: the end carries the last steps' error, order 3
    assert found.weak
    assert found.order == pytest.approx(3, abs=0.1)


def test_a_mistake_in_a_second_order_method_shows():
    """Heun with its second slope asked for at the time of the first: it still runs, and is of first order."""

    def careless(denoiser, state, s):
        here, there = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        y = state.x / here.alpha
        slope = (y - denoiser(state.x, state.t).mean) / here.ratio
        guess = y + (there.ratio - here.ratio) * slope
        again = (guess - denoiser(there.alpha * guess, state.t).mean) / there.ratio
        return there.alpha * (y + (there.ratio - here.ratio) * (slope + again) / 2)

    assert measure(careless, Line()).order < 1.3
    assert measure(Heun(), Line()).order > 1.7


def test_a_plain_function_is_measured_like_the_method_it_is():
    def ddim(denoiser, state, s):
        here, there = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        x0 = denoiser(state.x, state.t).mean
        return there.alpha * x0 + there.sigma * (state.x - here.alpha * x0) / here.sigma

    found, due = measure(ddim, Plane(), steps=(8, 16)), measure(DDIM(), Plane(), steps=(8, 16))
    assert found.errors == pytest.approx(due.errors, rel=1e-9)
    assert found.label == "ddim"
    assert "ddim on three Gaussians: order" in repr(found)


def test_errors_of_arithmetic_are_not_fitted():
    exact = exact_but_for(math.inf, Gaussian())  # 0.25^inf = 0
    found = measure(exact, Gaussian(), steps=(64, 128))
    assert math.isnan(found.order)
    assert all(math.isnan(p) for p in found.locally)
    assert max(found.errors) < 1e-11
    # errors 1/n^2 that then stay at rounding: the order is that of those above it
    order, locally = _slopes((1, 2, 4, 8), (1e-10, 2.5e-11, 1e-12, 1e-12), 1e-11)
    assert order == pytest.approx(2)
    assert locally[0] == pytest.approx(2)
    assert all(math.isnan(p) for p in locally[1:])


def test_the_way_down_to_the_data_can_be_measured_on_a_grid_of_ones_own():
    """On the straight schedule, even in t: Heun stays of second order, with its last step Euler's, since that one is short."""

    def even(schedule, t, s, steps):
        return torch.linspace(t, s, steps + 1, dtype=torch.float64)

    found = measure(Heun(), Gaussian(), Flow(), t=1.0, s=0.0, grid=even)
    assert found.order == pytest.approx(2, abs=0.3)
    assert found.evaluations == (31, 63, 127, 255)  # the last step takes one


def test_even_steps_of_log_snr():
    grid = in_log_snr(SCHEDULE, 0.9, 0.2, 7)
    assert (float(grid[0]), float(grid[-1]), len(grid)) == (0.9, 0.2, 8)
    steps = SCHEDULE.log_snr(grid).diff()
    torch.testing.assert_close(steps, steps.mean().expand(7), rtol=1e-9, atol=0)
    for t, s in ((0.9, 0.0), (1.0, 0.2)):
        with pytest.raises(ValueError, match=r"finite ends, but those of .* give a grid of your own"):
            in_log_snr(Flow(), t, s, 4)
    assert torch.equal(in_log_snr(SCHEDULE, np.float32(0.5), 0.25, 3), in_log_snr(SCHEDULE, 0.5, 0.25, 3))
    with pytest.raises(TypeError, match="measured on a Schedule"):
        in_log_snr("VPCosine", 0.9, 0.2, 4)
    for steps in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match="whole number of steps, 1 or more"):
            in_log_snr(SCHEDULE, 0.9, 0.2, steps)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"sampler": "DDIM"}, TypeError, "A sampler is an object such as DDIM"),
        ({"sampler": DDIM}, TypeError, "A sampler is an object such as DDIM"),
        ({"target": "Gaussian"}, TypeError, "A target is Gaussian"),
        ({"schedule": "VPCosine"}, TypeError, "measured on a Schedule"),
        ({"steps": (16,)}, ValueError, "two or more rising numbers of steps"),
        ({"steps": (16, 16)}, ValueError, "two or more rising numbers of steps"),
        ({"steps": (0, 4)}, ValueError, "two or more rising numbers of steps"),
        ({"steps": 16}, ValueError, "two or more rising numbers of steps"),
        ({"t": 0.1, "s": 0.5}, ValueError, r"times fall, but got t = 0\.1 and s = 0\.5"),
        ({"t": 0.0}, ValueError, "begins at a time above 0"),
        ({"s": 0.0}, ValueError, "give a grid of your own"),
        ({"n": 0}, ValueError, "whole number of points"),
        ({"n": [8]}, ValueError, r"whole number of points, .* but got \[8\]"),
        ({"n": 10**400}, ValueError, "at most 100,000,000, but got 1000"),
        ({"steps": (2, 10**12)}, ValueError, "at most 1,000,000, but got 1000000000000"),
        ({"t": 10**400}, ValueError, "begins at a time above 0"),
        ({"grid": 0.5}, TypeError, "grid is a function"),
        ({"weak": "yes"}, TypeError, "weak must be True, False or None, but got 'yes'"),
        ({"sampler": Ancestral(), "target": Line()}, ValueError, "known on Gaussian data only; take Gaussian"),
        ({"sampler": Langevin()}, TypeError, "there is no order to measure"),
        ({"weak": True, "target": Plane()}, ValueError, "known on Gaussian data only"),
    ],
)
def test_refuses_what_cannot_be_measured(arguments, error, words):
    with pytest.raises(error, match=words):
        measure(**{"sampler": DDIM(), **arguments})


@pytest.mark.parametrize(
    "sampler", [MALA(), Langevin(), DDIMInversion(), Consistency()], ids=lambda s: type(s).__name__
)
def test_refuses_what_has_no_order_to_measure(sampler):
    with pytest.raises(TypeError, match="there is no order to measure"):
        measure(sampler)
