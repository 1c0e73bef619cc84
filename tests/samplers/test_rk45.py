"""RK45: its error follows its tolerance, its rows do not know of one another, and every call is counted."""

import pytest
import torch

from difflab.convergence import Gaussian, Line, Plane, flow, measure
from difflab.data import GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, Posterior
from difflab.flow.circle import width_of
from difflab.samplers import RK45, NoisePool, final, grids, sample
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPSong

SCHEDULES = [VPCosine(), VPSong(), Flow(), Geometric(), EDM()]
RING = GaussianMixture.ring()


class Counting(ExactDenoiser):
    """Counts its calls and remembers how many rows they had."""

    rows: list[int]

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.rows = []

    def __call__(self, x_t, t, labels=None):
        self.rows.append(len(x_t))
        return super().__call__(x_t, t, labels)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_the_error_follows_the_tolerance_from_1_to_0_in_one_step(schedule):
    target = Plane()
    oracle, x = target.denoiser(schedule), target.start(40, schedule, 1.0)
    due = flow(oracle, x, 1.0, 0.0, 600)  # to the schedule's lowest level, as RK45
    spent = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        state = list(sample(oracle, RK45(tolerance), [1.0, 0.0], x=x))[-1]
        error = float((state.x - due).abs().max())
        assert error < 3 * tolerance  # a few steps' worth, in units of the data's width, about 1
        spent.append(state.evaluations)
    # a fifth-order method takes (1e4)^(1/5) = 6.3 times the steps for 1e-4 of the error, but for the first ones
    assert spent[0] < spent[1] < spent[2] < 6.3 * spent[0]


@pytest.mark.parametrize("target", [Gaussian(), Line(), Plane()], ids=lambda t: t.name)
def test_equal_steps_have_the_order_of_the_pair(target):
    """With a tolerance that accepts everything each step of the grid is one of Runge-Kutta's, if shorter than its first 0.3
    nats. In the plane the fifth-order error is small beside the sixth's until both come near rounding: 5.5 to 6 is seen."""
    found = measure(RK45(0.99), target, steps=(14, 20, 28))
    assert found.evaluations == (7 * 14, 7 * 20, 7 * 28)
    assert RK45.order - 0.3 < found.order < RK45.order + (1.3 if isinstance(target, Plane) else 0.3), found


def test_one_run_in_many_steps_ends_where_one_step_does():
    target, schedule = Line(), VPCosine()
    oracle, x = target.denoiser(schedule), target.start(40, schedule, 1.0)
    many = list(sample(oracle, RK45(1e-7), grids.uniform(schedule, 8), x=x))
    one = final(sample(oracle, RK45(1e-7), [1.0, 0.0], x=x))
    torch.testing.assert_close(many[-1].x, one, rtol=0, atol=1e-6)
    for state in many[1:-1]:
        torch.testing.assert_close(state.x, target.end(x, schedule, 1.0, state.t), rtol=0, atol=1e-6)
        torch.testing.assert_close(state.denoised, oracle(state.x, state.t).mean, rtol=0, atol=1e-6)


def test_remembers_the_size_of_its_steps_and_can_do_without():
    """What is remembered saves evaluations, not digits."""
    target, schedule = Plane(), VPCosine()
    oracle, x = Counting(target.data, schedule), target.start(10, schedule, 0.9)
    first, second = list(sample(oracle, RK45(1e-9), [0.9, 0.5, 0.2], x=x))[1:]
    calls = len(oracle.rows)
    again = list(sample(oracle, RK45(1e-9), [0.5, 0.2], x=first.x))[-1]
    torch.testing.assert_close(again.x, second.x, rtol=0, atol=1e-7)
    assert (
        second.evaluations - first.evaluations < len(oracle.rows) - calls
    )  # the first steps were too large, and refused


@pytest.mark.parametrize("schedule", [VPSong(), Flow()], ids=lambda s: s.name)
def test_a_rows_result_does_not_depend_on_the_others(schedule):
    oracle = ExactDenoiser(RING, schedule)
    x = torch.cat([Plane().start(5, schedule, 1.0), torch.tensor([[1e3, -2e3]], dtype=torch.float64)])  # one far out
    together = final(sample(oracle, RK45(), [1.0, 0.3, 0.0], x=x))
    apart = [
        final(sample(oracle, RK45(), [1.0, 0.3, 0.0], x=x[rows])) for rows in (slice(0, 1), slice(1, 4), slice(4, 6))
    ]
    # not even in the last bits, but for sums over rows of another number, which a processor may order otherwise
    torch.testing.assert_close(torch.cat(apart), together, rtol=1e-12, atol=1e-12)


def test_every_call_is_counted_and_asks_about_the_whole_batch():
    oracle = Counting(RING, VPCosine())
    state = list(sample(oracle, RK45(), [1.0, 0.5, 0.0], n=6))[-1]
    assert state.evaluations == len(oracle.rows)
    assert set(oracle.rows) == {6}
    labels = torch.arange(6)
    inside = final(sample(Conditioned(ExactDenoiser(digits(), Flow()), labels), RK45(1e-3), n=6))
    assert inside.shape == (6, 1, 8, 8)


def test_takes_the_evaluations_that_it_needs():
    torch.testing.assert_close(RK45().default_grid(VPCosine(), 5), torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert list(sample(ExactDenoiser(RING, VPCosine()), RK45(), n=3))[-1].evaluations > 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_steps_in_float64_and_answers_in_the_dtype_of_x(dtype):
    schedule, target = VPCosine(), Plane()
    oracle, x = target.denoiser(schedule), target.start(10, schedule, 0.8)
    state = list(sample(oracle, RK45(1e-2), [0.8, 0.2], x=x.to(dtype)))[-1]
    assert state.x.dtype == state.denoised.dtype == dtype
    # rounding of x where the denoiser is asked, magnified by the flow by less than 10
    assert (
        float((state.x.double() - target.end(x, schedule, 0.8, 0.2)).abs().max()) < 10 * torch.finfo(dtype).eps + 0.02
    )
    assert list(sample(oracle, RK45(), [1.0, 0.0], x=torch.zeros(0, 2, dtype=dtype)))[-1].x.shape == (0, 2)


class Rough:
    """An answer that jumps about with x: no step is small enough."""

    schedule = VPCosine()

    def __call__(self, x_t, t, labels=None):
        return Posterior((1e9 * x_t).sin())


class Broken:
    schedule, after = VPCosine(), 0.5

    def __call__(self, x_t, t, labels=None):
        return Posterior(torch.where(torch.as_tensor(t)[:, None] < self.after, torch.nan, 0.1 * x_t))


@pytest.mark.parametrize(
    ("denoiser", "sampler", "words"),
    [
        (
            Rough(),
            RK45(),
            r"Near t = 0\.9\d* no step of RK45 was small enough for the tolerance 1e-05: .*; raise the tolerance",
        ),
        (Broken(), RK45(), r"returned nan or inf at t = 0\.4\d*, so sampling stopped there"),
        (
            ExactDenoiser(RING, VPCosine()),
            RK45(1e-9, most=12),
            "12 evaluations of RK45 do not reach the tolerance 1e-09",
        ),
    ],
    ids=["rough", "nan", "too few"],
)
def test_says_why_it_cannot_go_on(denoiser, sampler, words):
    with pytest.raises(FloatingPointError, match=words):
        list(sample(denoiser, sampler, [1.0, 0.0], x=torch.ones(3, 2, dtype=torch.float64)))


class Dividing:
    schedule = VPCosine()

    def __call__(self, x_t, t, labels=None):
        return Posterior(x_t * (1 / 0))


def test_an_error_of_the_denoiser_is_the_denoisers():
    with pytest.raises(ZeroDivisionError):
        list(sample(Dividing(), RK45(), [1.0, 0.0], x=torch.ones(3, 2)))


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1e-3, float("nan"), True, "1e-5"])
def test_refuses_a_tolerance_that_is_none(tolerance):
    with pytest.raises(ValueError, match="tolerance of a step must lie between 0 and 1, but got"):
        RK45(tolerance)


@pytest.mark.parametrize("most", [0, 5, 2.5, True])
def test_refuses_too_few_evaluations(most):
    with pytest.raises(ValueError, match="six evaluations; most must be at least that, but got"):
        RK45(most=most)


def test_knows_the_width_of_the_data_behind_whatever_is_around_it():
    data = GaussianMixture(None, [[0.0, 0.0]], 49.0)
    oracle = ExactDenoiser(data, VPCosine())
    assert width_of(oracle) == width_of(Conditioned(oracle, torch.zeros(3, dtype=torch.int64))) == 7.0
    assert width_of(Rough()) == 1.0


def test_draws_nothing():
    assert not RK45().random
    oracle, x = ExactDenoiser(RING, VPCosine()), torch.randn(4, 2)
    ends = [final(sample(oracle, RK45(1e-3), x=x, noise=NoisePool(seed))) for seed in (0, 1)]
    assert torch.equal(*ends)
