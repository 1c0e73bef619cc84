"""What each of the fast solvers integrates exactly, where it has to start, and the orders that this leaves.

The denoiser here knows no data: its x_0 (or eps) is a polynomial in lambda = log(alpha / sigma), whatever x is. The flow is then
an integral, which quadrature gives (scipy, 1e-12), and a method that draws a polynomial through enough values makes no error.
"""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad

from difflab.convergence import Line, measure
from difflab.denoisers import Posterior
from difflab.samplers import (
    DEIS,
    IPNDM,
    DPMSolver,
    DPMSolverSDE,
    DPMSolverSingleStep,
    NoisePool,
    State,
    UniPC,
    final,
    sample,
)
from difflab.samplers.exponential.multistep import steps_left
from difflab.samplers.exponential.unipc import Memory
from difflab.schedules import Flow, Geometric, VPCosine

SCHEDULE = VPCosine()
COEFFICIENTS = [0.7, -0.4, 0.25, -0.15]


def polynomial(degree, v):
    return sum(c * v**k for k, c in enumerate(COEFFICIENTS[: degree + 1]))


def half_log_snr(t):
    return SCHEDULE.level(t).log_snr / 2


class Polynomial:
    """x_0 or eps of this degree, in lambda or rho = sigma / alpha."""

    shape, schedule = (1,), SCHEDULE

    def __init__(self, degree, of="x0", variable="lambda"):
        self.degree, self.of, self.variable = degree, of, variable

    def value(self, t):
        return polynomial(self.degree, half_log_snr(t) if self.variable == "lambda" else SCHEDULE.level(t).ratio)

    def __call__(self, x, t, labels=None):
        level = SCHEDULE.level(t)
        value = torch.full_like(x, self.value(t))
        return Posterior(value if self.of == "x0" else (x - level.sigma * value) / level.alpha)

    def end(self, x, t, s):
        """The flow: x/sigma grows by the integral of x_0 d(alpha/sigma), x/alpha by that of eps d(sigma/alpha)."""
        a, b = half_log_snr(t), half_log_snr(s)
        first, last = SCHEDULE.level(t), SCHEDULE.level(s)
        if self.of == "x0":
            integral = quad(lambda v: math.exp(v) * polynomial(self.degree, v), a, b, epsabs=0, epsrel=1e-13)[0]
            return last.sigma * (x / first.sigma + integral)
        of = (lambda v: v) if self.variable == "lambda" else (lambda v: math.exp(-v))
        integral = quad(lambda v: -math.exp(-v) * polynomial(self.degree, of(v)), a, b, epsabs=0, epsrel=1e-13)[0]
        return last.alpha * (x / first.alpha + integral)


TIMES = (0.8, 0.71, 0.6, 0.45, 0.37, 0.2)
X = torch.tensor([[0.3], [-1.2]], dtype=torch.float64)


def one_step(sampler, denoiser, before, noise=None):
    """A step from TIMES[before] that remembers all values before it."""
    t, s = TIMES[before], TIMES[before + 1]
    x, memory = X, []
    for earlier in reversed(TIMES[:before]):
        level, value = SCHEDULE.level(earlier), torch.full_like(X, denoiser.value(earlier))
        memory.append((level, value if denoiser.of == "x0" else level.sigma * value))
    state = State(x, t, TIMES, noise or NoisePool(0), index=before, memory=tuple(memory[: sampler.points - 1]))
    return sampler.step(denoiser, state, s), t, s


MULTISTEPS = [
    *[(DPMSolver(p, rule="exact"), "x0", "lambda") for p in (1, 2, 3)],
    *[(DEIS(p), "eps", "lambda") for p in (1, 2, 3, 4)],
    *[(DEIS(p, variable="rho"), "eps", "rho") for p in (1, 2, 3, 4)],
]


@pytest.mark.parametrize(("sampler", "of", "variable"), MULTISTEPS, ids=lambda v: getattr(v, "label", v))
def test_a_step_of_many_points_is_exact_for_polynomials_through_them(sampler, of, variable):
    for degree in range(sampler.points):
        denoiser = Polynomial(degree, of, variable)
        after, t, s = one_step(sampler, denoiser, 4)
        torch.testing.assert_close(after.x, denoiser.end(X, t, s), rtol=1e-11, atol=1e-11)
    denoiser = Polynomial(sampler.points, of, variable) if sampler.points < 4 else None
    if denoiser is not None:  # and no further: the check can fail
        after, t, s = one_step(sampler, denoiser, 4)
        assert (after.x - denoiser.end(X, t, s)).abs().min() > 1e-5


@pytest.mark.parametrize("stages", [2, 3])
def test_a_single_step_is_exact_for_polynomials_through_its_stages(stages):
    for degree in range(stages):
        denoiser = Polynomial(degree)
        states = list(sample(denoiser, DPMSolverSingleStep(stages, "exact"), TIMES[:3], x=X))
        torch.testing.assert_close(states[-1].x, denoiser.end(X, TIMES[0], TIMES[2]), rtol=1e-11, atol=1e-11)
        assert states[-1].evaluations == 2 * stages


@pytest.mark.parametrize("points", [2, 3])
def test_unipc_corrects_with_one_point_more_than_it_predicts_with(points):
    """From a full memory the corrected x, where the last step ended, is exact for polynomials of degree p."""
    denoiser, k = Polynomial(points), 4
    values = tuple((SCHEDULE.level(t), torch.full_like(X, denoiser.value(t))) for t in reversed(TIMES[:k]))[:points]
    began = denoiser.end(X, TIMES[0], TIMES[k - 1])
    state = State(torch.full_like(X, math.nan), TIMES[k], TIMES, NoisePool(0), memory=Memory(began, values, points))
    after = UniPC(points).step(
        denoiser, state, TIMES[k + 1]
    )  # the predicted x is not looked at: x_0 does not depend on it
    torch.testing.assert_close(after.memory.x, denoiser.end(X, TIMES[0], TIMES[k]), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("points", [1, 2])
def test_the_mean_of_the_sde_is_exact_for_polynomials_through_its_points(points):
    """E x_s = sigma_s / sigma_t e^-h x_t + 2 alpha_s int exp(-2 (lambda_s - v)) x_0 dv, and the noise is that of the law."""
    denoiser, noise = Polynomial(points - 1), NoisePool(3)
    after, t, s = one_step(DPMSolverSDE(points, "exact"), denoiser, 4, noise)
    first, last = SCHEDULE.level(t), SCHEDULE.level(s)
    a, b = half_log_snr(t), half_log_snr(s)
    integral = quad(lambda v: 2 * math.exp(2 * (v - b)) * polynomial(points - 1, v), a, b, epsabs=0, epsrel=1e-13)[0]
    mean = last.sigma / first.sigma * math.exp(a - b) * X + last.alpha * integral
    std = last.sigma * math.sqrt(1 - math.exp(2 * (a - b)))
    torch.testing.assert_close(after.x, mean + std * noise.step(X, 4), rtol=1e-11, atol=1e-11)


def order(sampler, target, steps=(32, 64, 128), **options):
    return measure(sampler, target, steps=steps, **options).order


# Those of the samplers with a full start are in test_orders.py. DEIS(3)'s error on Gaussian() passes through 0 at 24 steps.
@pytest.mark.parametrize(
    ("sampler", "target"),
    [
        (DPMSolver(3, start="low"), Line()),
        (DPMSolver(3, finish="low"), Line()),
        (DEIS(3), Line()),
        (DEIS(3, variable="rho"), Line()),
        (DEIS(4, start="low"), Line()),
        (DEIS(4, finish="low"), Line()),
        (IPNDM(2), Line()),
        (IPNDM(3), Line()),
        (UniPC(2, finish="low"), Line()),
        (UniPC(3, corrector=False, start="low"), Line()),
    ],
    ids=lambda v: getattr(v, "label", None) or v.name,
)
def test_low_starts_and_ends_cost_what_is_declared(sampler, target):
    assert order(sampler, target) == pytest.approx(sampler.order, abs=0.3)


def test_a_low_start_of_unipc_leaves_order_three():
    """At high noise x_0 hardly changes and the first step's error is not seen; from log-SNR 0 on it is."""
    t, s = VPCosine().t_of_log_snr(torch.tensor([0.0, 4.0], dtype=torch.float64)).tolist()
    options = {"t": t, "s": s, "steps": (64, 128, 256)}
    low, full = (order(UniPC(3, start=start), Line(), **options) for start in ("low", "full"))
    assert low == pytest.approx(UniPC(3, start="low").order, abs=0.3)
    assert full == pytest.approx(UniPC(3).order, abs=0.3)


@pytest.mark.parametrize("sampler", [DPMSolverSingleStep(3), DEIS(4)], ids=lambda s: s.label)
def test_from_zero_terminal_snr_the_order_is_two(sampler):
    def even(schedule, t, s, steps):
        return torch.linspace(t, s, steps + 1, dtype=torch.float64)

    found = measure(sampler, Line(), Flow(), (32, 64, 128), t=1.0, s=0.1, grid=even, n=16).order
    assert found == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("points", [1, 2, 3, 4])
def test_on_even_steps_of_sigma_ipndm_is_adams_bashforth(points):
    """The steps that its coefficients are made for: there it is DEIS in rho, whose weights are those of the steps as they are."""
    schedule = Geometric(0.1, 10.0)
    levels = torch.linspace(1.0, 0.2, 21, dtype=torch.float64)
    times = schedule.t_of_log_snr(-2 * levels.log()).tolist()
    oracle, x = Line().denoiser(schedule), torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    ends = [final(sample(oracle, m, times, x=x)) for m in (IPNDM(points), DEIS(points, start="low", variable="rho"))]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-12)


def test_the_published_start_is_told_from_the_full_one_by_its_evaluations():
    oracle, x = Line().denoiser(SCHEDULE), torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]

    def spent(sampler):
        states = list(sample(oracle, sampler, TIMES, x=x))
        return [b.evaluations - a.evaluations for a, b in pairwise(states)]

    assert spent(DPMSolver(2)) == spent(DPMSolver(3, start="low")) == spent(DEIS(4, start="low")) == [1, 1, 1, 1, 1]
    assert spent(DPMSolver(3)) == spent(DEIS(3)) == [2, 0, 1, 1, 1]
    assert spent(DEIS(4)) == [3, 2, 0, 1, 1]
    assert spent(UniPC(3)) == [3, 1, 1, 1, 1]
    assert spent(UniPC(2)) == spent(UniPC(3, start="low")) == [1, 1, 1, 1, 1]
    assert steps_left(State(x, 0.8, TIMES, NoisePool(0), index=3)) == 2
