"""What is true of every schedule, whatever its formula.

Where the tolerances come from. u = 1.1e-16 is float64's round-off. A formula whose terms are of size 1 has relative errors of
a few u. VPLinear and its like add terms of size k <= 1000 to a log alpha_bar of at least k beta_min, so log alpha_bar has an
absolute error of 16 u k = 1.8e-12 at most and a relative one of 16 u / beta_min: 1.8e-11 for beta_min = 1e-4, 1.8e-10 for 1e-5.
"""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from difflab.chain import MarkovChain
from difflab.schedules import FIRST_T, Learned, Schedule, VPCosine, VPLinear, VPScaledLinear, schedule_from

U = 1.2e-16
GAMMA = 16 * U / 1e-5  # the relative error of log alpha_bar where Stirling's series is summed, at worst
# midway between the knots of every table here, where no cubic gives way to the next
MIDWAY = torch.tensor([0.0375, 0.1105, 0.2905, 0.4495, 0.6105, 0.8105, 0.9305], dtype=torch.float64)
SPREAD = torch.tensor([FIRST_T, 1e-7, 1e-4, 3e-3, 0.04, 0.21, 0.5, 0.77, 0.96, 0.999, 1 - 1e-6], dtype=torch.float64)
TIMES = st.floats(FIRST_T, 1 - 1e-9) | st.just(1.0)  # between them float64 tells a diverging log-SNR badly


def through(function, t):
    """d function / dt by autograd, and the function."""
    t = t.clone().requires_grad_()
    value = function(t)
    if not value.requires_grad:  # alpha = 1
        return torch.zeros_like(t), value
    return torch.autograd.grad(value.sum(), t)[0], value.detach()


def test_preserves_the_variance_or_says_that_it_does_not(schedule):
    alpha, sigma = schedule.alpha_sigma(torch.linspace(0, 1, 101, dtype=torch.float64))
    total = (alpha**2 + sigma**2)[1:]
    if schedule.variance_preserving:
        # exponents of up to 60, in the steepest sigmoid, are rounded by 60 u
        torch.testing.assert_close(total, torch.ones_like(total), rtol=64 * U, atol=0)
    else:
        assert (total - 1).abs().max() > 1e-3


def test_falls_from_data_to_noise(schedule):
    t = torch.linspace(0, 1, 400, dtype=torch.float64)
    log_snr = schedule.log_snr(t)
    assert log_snr[0] == math.inf
    assert (log_snr.diff() < 0).all()
    assert torch.isfinite(log_snr[1:-1]).all()
    assert [float(a) for a in schedule.alpha_sigma(0.0)] == [1.0, 0.0]
    assert (float(schedule.alpha(1.0)) == 0) == (float(log_snr[-1]) == -math.inf) == schedule.reaches_zero_snr
    # a schedule reaches data if no level is the lowest
    assert schedule.reaches_data == (float(schedule.log_snr(1e-9)) > float(schedule.log_snr(1e-8)) + 0.01)


def test_log_snr_is_that_of_alpha_and_sigma(schedule):
    alpha, sigma = schedule.alpha_sigma(SPREAD)
    torch.testing.assert_close(schedule.log_snr(SPREAD), 2 * (alpha.log() - sigma.log()), rtol=1e-14, atol=1e-14)


@settings(max_examples=25)
@given(t=TIMES)
def test_t_of_log_snr_is_the_inverse(schedule, t):
    """An error e of the log-SNR is one of e / |lambda'| of t."""
    log_snr, rate = schedule.log_snr(t), float(schedule.log_snr_rate(t))
    back = float(schedule.t_of_log_snr(log_snr))
    if rate == 0 or schedule.log_snr(1.0) >= log_snr:
        assert back == 1  # held before its end: many t for one value, of which it gives the last
        return
    error = float(error_of(schedule, log_snr))
    assert back == pytest.approx(t, abs=error / -rate + 8 * U * t)
    torch.testing.assert_close(schedule.log_snr(back), log_snr, rtol=0, atol=4 * error - 16 * U * t * rate)


def error_of(schedule, log_snr):
    """Of the log-SNR: 8 u (1 + |lambda|), more where gammas are summed.

    ZeroTerminalSNR subtracts a(1), so the absolute error of a, a(1) 16 u k / 2 there, stands over what is left, alpha.
    """
    base = getattr(schedule, "base", schedule)
    gammas = isinstance(base, (VPLinear, VPScaledLinear))
    error = (GAMMA if gammas else 8 * U) * (1 + log_snr.abs())
    if base is not schedule and gammas:
        error = error + 16_000 * U * base.alpha(1.0) / (log_snr / 2).exp().clamp(max=1)
    return error


def test_the_inverse_over_the_whole_range(schedule):
    """From the log-SNR's side, near data and near noise too; beyond the ends it gives the ends."""
    first, last = float(schedule.log_snr(FIRST_T)), max(float(schedule.log_snr(1.0)), -60.0)
    log_snr = torch.linspace(last + 1e-9, first - 1e-9, 200, dtype=torch.float64)
    t = schedule.t_of_log_snr(log_snr)
    assert ((t > 0) & (t <= 1)).all()
    assert (t.diff() <= 0).all()
    # near t = 1 the noise is told apart by 1 - t, which float64 has in steps of u: an error u lambda' of lambda, where that
    # diverges as 2 / (1 - t) or more
    told = t < 1 - 1e-3
    error = error_of(schedule, log_snr) + 32 * U * t * schedule.log_snr_rate(t).abs()
    assert ((schedule.log_snr(t) - log_snr).abs() <= error)[told].all()
    assert schedule.t_of_log_snr(-math.inf) == 1
    assert float(schedule.t_of_log_snr(-1e4)) == pytest.approx(1, abs=8 * U)
    assert schedule.t_of_log_snr(math.inf) == schedule.t_of_log_snr(1e4) == FIRST_T


def test_rates_are_autograds(schedule):
    # ends that are held have no rate; alpha = 0 has infinite ones, which autograd cannot say
    told = schedule.log_snr_rate(SPREAD) < 0
    for ours, function in [
        (schedule.rates(SPREAD)[0], schedule.alpha),
        (schedule.rates(SPREAD)[1], schedule.sigma),
        (schedule.log_snr_rate(SPREAD), schedule.log_snr),
    ]:
        expected, _ = through(function, SPREAD)
        # autograd has the derivative of expm1(y) as expm1(y) + 1, which near noise is off by u y' where ours is not; so are
        # its differences of products, where ours have none
        torch.testing.assert_close(ours[told], expected[told], rtol=2 * GAMMA, atol=200 * U)


def test_rates_are_central_differences(schedule):
    """(8 (f(t+h) - f(t-h)) - (f(t+2h) - f(t-2h))) / 12h is off by h^4 f^(5) / 30 and by the round-off of f over h.

    f^(5) <= 120 max|f| / t^5 for functions whose only singularity is at 0 or 1: 2e-16 120 / 30 / 0.037^5 = 1e-8. Of round-off,
    2e-12 / 1e-4 = 2e-8, from the gamma functions.
    """
    h = 1e-4
    for rate, function in [
        (schedule.rates(MIDWAY)[0], schedule.alpha),
        (schedule.rates(MIDWAY)[1], schedule.sigma),
        (schedule.log_snr_rate(MIDWAY), schedule.log_snr),
    ]:
        near, far = (function(MIDWAY + k * h) - function(MIDWAY - k * h) for k in (1, 2))
        difference = (8 * near - far) / (12 * h)
        torch.testing.assert_close(rate, difference, rtol=1e-7, atol=1e-6)


def test_drift_and_diffusion_are_those_of_the_sde(schedule):
    """f = alpha'/alpha, and g^2 = d sigma^2/dt - 2 f sigma^2 by autograd; nothing here is taken from `rates`."""
    told = schedule.log_snr_rate(SPREAD) < 0
    alpha_rate, alpha = through(schedule.alpha, SPREAD)
    variance_rate, variance = through(lambda t: schedule.sigma(t).square(), SPREAD)
    drift = alpha_rate / alpha
    torch.testing.assert_close(schedule.drift(SPREAD)[told], drift[told], rtol=2 * GAMMA, atol=200 * U)
    g2 = variance_rate - 2 * drift * variance
    torch.testing.assert_close(schedule.diffusion(SPREAD).square()[told], g2[told], rtol=4 * GAMMA, atol=400 * U)


@pytest.mark.parametrize("var", [0.0, 0.3, 4.0])
def test_the_sde_moves_mean_and_variance_along_the_schedule(schedule, var):
    """dm/dt = f m and dVar/dt = 2 f Var + g^2, integrated from t = 0.1 to 0.9, end on alpha and alpha^2 var + sigma^2."""

    def slope(t, y):
        f, g = float(schedule.drift(t)), float(schedule.diffusion(t))
        return [f * y[0], 2 * f * y[1] + g**2]

    (a, s), (b, r) = ([float(x) for x in schedule.alpha_sigma(t)] for t in (0.1, 0.9))
    end = solve_ivp(slope, (0.1, 0.9), [a, a**2 * var + s**2], rtol=1e-7, atol=1e-12, method="LSODA").y[:, -1]
    # LSODA keeps its local errors at rtol; over the few hundred steps taken they add up to less than a hundredfold
    np.testing.assert_allclose(end, [b, b**2 * var + r**2], rtol=1e-5, atol=1e-8)


def test_poles_are_infinite_and_never_nan(schedule):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    values = [*schedule.rates(ends), schedule.log_snr_rate(ends), schedule.drift(ends), schedule.diffusion(ends)]
    assert not any(value.isnan().any() for value in values)
    assert all(torch.isfinite(value[0]) for value in values)  # at t = 0: those of the lowest level
    for value in values[2:]:
        assert value[1].isinf() == schedule.reaches_zero_snr


def test_small_noise_does_not_cancel(schedule):
    """sigma^2 = 1 - alpha^2 would lose its digits near the data: the log-SNR there goes on as the power of t that it is."""
    if not schedule.reaches_data:
        return
    slopes = schedule.log_snr(torch.tensor([1e-8, 1e-7, 1e-6], dtype=torch.float64)).diff()
    assert float(slopes[0]) == pytest.approx(float(slopes[1]), rel=1e-4)


def test_table_holds_the_levels(schedule):
    for steps in (1, 2, 7):
        alpha, sigma = schedule.table(steps)
        assert alpha.shape == sigma.shape == (steps + 1,)
        assert alpha.dtype == sigma.dtype == torch.float64
        assert (float(alpha[0]), float(sigma[0])) == (1.0, 0.0)
        if schedule.reaches_data and not isinstance(schedule, VPCosine):  # whose betas are clipped
            torch.testing.assert_close(sigma, schedule.sigma(torch.arange(steps + 1).double() / steps), rtol=0, atol=0)
        elif steps > 1 and not schedule.reaches_data:
            assert float(sigma[1]) == float(schedule.sigma(FIRST_T))


@pytest.mark.parametrize("steps", [1, 2, 30, 1000])
def test_makes_a_sound_chain(schedule, steps):
    chain = MarkovChain(schedule, steps, quiet=True)  # that it may not reach noise is another test's business
    assert (chain.beta[1:] > 0).all()
    assert chain.beta[1:].isfinite().all()
    assert chain.posterior_log_var[2:].isfinite().all()
    assert (chain.log_snr.diff() < 0).all()
    assert (chain.times.diff() > 0).all()
    # the same marginal whichever way: after k steps of the chain
    mean, var = torch.tensor(1.0).double(), torch.tensor(0.0).double()
    for k in range(1, min(steps, 30) + 1):
        a = chain.alpha[k] / chain.alpha[k - 1]
        mean, var = a * mean, a**2 * var + chain.beta[k]
        torch.testing.assert_close(mean, chain.alpha[k], rtol=1e-12, atol=1e-300)
        torch.testing.assert_close(var, chain.sigma[k] ** 2, rtol=1e-9, atol=0)


def test_survives_json(schedule):
    said = json.loads(json.dumps(schedule.to_dict()))
    again = Schedule.from_dict(said)
    assert again == schedule
    assert hash(again) == hash(schedule)
    assert schedule_from(schedule.name, said["params"]) == schedule
    t = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.log_snr(t), schedule.log_snr(t))


METHODS = ("alpha", "sigma", "log_snr", "log_snr_rate", "drift", "diffusion")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_and_shape_follow_t_and_the_digits_are_float64s(schedule, dtype):
    t = torch.rand(3, 2, generator=torch.Generator().manual_seed(1)).mul(0.98).add(0.01).to(dtype)
    for method in METHODS:
        low, high = getattr(schedule, method)(t), getattr(schedule, method)(t.double())
        assert (low.dtype, low.shape) == (dtype, (3, 2))
        assert torch.equal(low, high.to(dtype))
    assert schedule.alpha(0.3).dtype == schedule.rates(0.3)[0].dtype == torch.float64
    assert schedule.t_of_log_snr(torch.zeros(2, 1)).dtype == torch.float32
    assert schedule.t_of_log_snr(torch.zeros(2, 1)).shape == (2, 1)


@settings(max_examples=12)
@given(data=st.data())
def test_no_answer_depends_on_the_batch_it_is_asked_in(schedule, data):
    t = torch.tensor(data.draw(st.lists(TIMES | st.just(0.0), min_size=1, max_size=40)), dtype=torch.float64)
    cut = data.draw(st.integers(0, len(t)))
    for method in METHODS:
        function = getattr(schedule, method)
        parts = torch.cat([function(t[:cut]), function(t[cut:])])
        # vectorised and scalar exp may differ in the last bit; a pole takes it up as often as it is divided by
        torch.testing.assert_close(function(t), parts, rtol=GAMMA, atol=1e-300)


def test_knows_numbers_of_every_kind(schedule):
    for t in (1, np.float32(0.5), np.float64(0.25), torch.tensor(1)):
        expected = schedule.alpha(torch.tensor(float(t), dtype=torch.float64))
        assert torch.equal(schedule.alpha(t), expected)


@pytest.mark.parametrize(
    ("t", "error", "words"),
    [
        (-0.1, ValueError, r"t is -0\.1, but time runs from 0"),
        (1.0001, ValueError, "time runs from 0"),
        (math.nan, ValueError, "time runs from 0"),
        (torch.tensor([0.5, 1.5]), ValueError, r"t runs from 0\.5 to 1\.5, but time runs from 0"),
        (torch.tensor([-1e-9]), ValueError, "time runs from 0"),
        (torch.tensor([0.5, math.nan]), ValueError, "time runs from 0"),
        (torch.tensor([2]), ValueError, "time runs from 0"),
        ("0.5", TypeError, "number or a tensor, but got a str"),
        ([0.5], TypeError, "number or a tensor, but got a list"),
        (None, TypeError, "number or a tensor"),
        (torch.tensor([0.5 + 0j]), TypeError, "real numbers, but got a tensor of torch.complex64"),
        (torch.tensor([True]), TypeError, "real numbers, but got a tensor of torch.bool"),
    ],
)
@pytest.mark.parametrize("method", ["alpha_sigma", "rates", "log_snr", "log_snr_rate", "drift", "diffusion"])
def test_refuses_times_that_are_none(method, t, error, words):
    with pytest.raises(error, match=words):
        getattr(VPCosine(), method)(t)


@pytest.mark.parametrize(
    ("t", "error", "words"),
    [
        ("0.5", TypeError, "number or a tensor, but got a str"),
        ([0.5], TypeError, "number or a tensor, but got a list"),
        (None, TypeError, "number or a tensor"),
        (math.nan, ValueError, "time runs from 0"),
        (10**400, ValueError, "time runs from 0"),
        (torch.tensor([0.5, 0.6]), TypeError, "that of one time, but got 2 of them"),
    ],
)
def test_refuses_a_level_of_what_is_no_time(t, error, words):
    with pytest.raises(error, match=words):
        VPCosine().level(t)


def test_an_empty_batch_is_fine(schedule):
    assert schedule.log_snr(torch.zeros(0)).shape == schedule.t_of_log_snr(torch.zeros(0)).shape == (0,)


@pytest.mark.parametrize(
    ("log_snr", "error", "words"),
    [
        (math.nan, ValueError, "log_snr is nan, but a log-SNR is a number, infinities included"),
        (torch.tensor([1.0, math.nan]), ValueError, "log_snr runs from nan to nan, but a log-SNR is a number"),
        ("0", TypeError, "log_snr must be a number or a tensor, but got a str"),
        ([0.0], TypeError, "but got a list"),
        (torch.tensor([1j]), TypeError, "real numbers, but got a tensor of torch.complex64"),
    ],
)
def test_t_of_log_snr_refuses(log_snr, error, words):
    with pytest.raises(error, match=words):
        VPCosine().t_of_log_snr(log_snr)


def test_numbers_and_tables_stay_on_the_cpu(schedule):
    """Whatever torch's default device is: checkpoints are first read on "meta", where numbers have no values."""
    expected = schedule.table(5)[1], schedule.t_of_log_snr(0.3), schedule.diffusion(0.3)
    with torch.device("meta"):
        again = Schedule.from_dict(schedule.to_dict())
        answers = again.table(5)[1], again.t_of_log_snr(0.3), again.diffusion(0.3)
    assert all(torch.equal(ours, due) for ours, due in zip(answers, expected, strict=True))


def test_works_under_vmap():
    """Where a score model is differentiated row by row, a time has no value to check."""
    t = torch.rand(4, dtype=torch.float64)
    assert torch.equal(torch.vmap(VPCosine().log_snr)(t), VPCosine().log_snr(t))


def test_remembers_the_level_of_a_log_snr(schedule):
    due = [float(schedule.t_of_log_snr(value)) for value in (-3.0, 0.5, math.inf)]
    for _ in range(2):  # asked anew, and as remembered
        assert [schedule.level_of_log_snr(value) for value in (-3.0, 0.5, math.inf)] == [schedule.level(t) for t in due]


def test_remembers_nothing_of_a_schedule_that_moves():
    learned = Learned()
    before = learned.level_of_log_snr(1.0), learned.level(0.5)
    with torch.no_grad():
        learned.log_snr_max += 2
    after = learned.level_of_log_snr(1.0), learned.level(0.5)
    assert after[0].log_snr == pytest.approx(1.0, abs=1e-9)
    assert before[0].t != after[0].t
    assert before[1].log_snr != after[1].log_snr
