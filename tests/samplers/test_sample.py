"""The loop: what it yields, where it starts, and what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, Posterior
from difflab.samplers import DDIM, SAMPLERS, Ancestral, Function, NoisePool, final, grids, sample, sampler_from
from difflab.schedules import Geometric, NoiseNotReached, VPCosine, VPLinear

ORACLE = ExactDenoiser(GaussianMixture.ring(), VPCosine())
GRID = grids.uniform(VPCosine(), 4)


class Full(NoisePool):
    """On a machine with no memory left."""

    def start(self, n, shape):
        raise MemoryError


def test_yields_the_start_and_every_step():
    states = list(sample(ORACLE, DDIM(), GRID, n=3))
    assert [s.t for s in states] == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert [s.index for s in states] == [s.evaluations for s in states] == [0, 1, 2, 3, 4]
    assert states[0].denoised is None
    for before, after in pairwise(states):
        torch.testing.assert_close(after.denoised, ORACLE(before.x, before.t).mean)
    assert torch.equal(states[-1].x, states[-1].denoised)  # the last time is clean data


@pytest.mark.parametrize(("schedule", "std"), [(VPLinear(), 1.0), (Geometric(0.01, 50.0), 50.0)])
def test_starts_from_the_prior(schedule, std):
    oracle = ExactDenoiser(GaussianMixture.ring(), schedule)
    start = next(sample(oracle, DDIM(), grids.uniform(schedule, 2), n=20_000)).x
    assert float(start.std()) == pytest.approx(std, rel=4 / (2 * start.numel()) ** 0.5)


def test_starts_from_given_samples():
    x = torch.randn(5, 2)
    start = next(sample(ORACLE, DDIM(), [0.4, 0.2, 0.0], x=x))
    assert start.t == 0.4
    assert torch.equal(start.x, x)


def test_conditioned_samples_stay_in_their_class():
    data = digits()
    labels = torch.arange(10)
    oracle = Conditioned(ExactDenoiser(data, VPCosine()), labels)
    x = final(sample(oracle, Ancestral(), grids.uniform(VPCosine(), 40), n=10))
    points, classes = torch.from_numpy(data.x).flatten(1), torch.from_numpy(data.labels)
    distance, nearest = torch.cdist(x.flatten(1), points).min(1)
    assert torch.equal(classes[nearest], labels)
    assert distance.max() < 1e-3  # the oracle of a finite set gives its examples back


def test_a_denoiser_that_returns_nan_stops_with_its_time():
    class Broken:
        schedule, shape = VPCosine(), (2,)

        def __call__(self, x_t, t, labels=None):
            return Posterior(x_t / 0 if t == 0.5 else x_t)

    states = sample(Broken(), DDIM(), GRID, n=2)
    assert [next(states).t for _ in range(3)] == [1.0, 0.75, 0.5]
    with pytest.raises(FloatingPointError, match=r"nan or inf at t = 0\.5"):
        next(states)


def test_needs_no_gradients():
    x = torch.randn(2, 2, requires_grad=True)
    assert not final(sample(ORACLE, DDIM(), GRID, x=x)).requires_grad


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        ([1.0], "at least two times"),
        ([1.0, 0.5, 0.5, 0.0], "decrease strictly"),
        ([0.0, 0.5, 1.0], "decrease strictly"),
        ([1.2, 0.0], r"lie in \[0, 1\]"),
        ([1.0, float("nan"), 0.0], r"lie in \[0, 1\]"),
        ([[1.0, 0.5], [0.3, 0.0]], "one row of numbers"),
        ([[1.0], [0.5, 0.0]], "rows of one length"),
        (0.5, "one row of numbers"),
        ([1.0, None], "must be real numbers"),
        ("10", "must be real numbers, but got '10'"),
        ({1.0, 0.0}, "must be real numbers"),
        (torch.tensor([1.0, 0.0j]), "one row of numbers"),
        (torch.ones(2, device="meta"), "one row of numbers"),
    ],
)
def test_refuses_bad_grids(grid, words):
    with pytest.raises(ValueError, match=words):
        sample(ORACLE, DDIM(), grid, n=1)  # at the call, before the first state is asked for


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({}, "either n"),
        ({"n": 1, "x": torch.zeros(1, 2)}, "either n"),
        ({"n": -1}, "0 or more"),
        ({"n": 1.5}, "0 or more"),
        ({"n": 2**63}, "0 or more, but got 9223372036854775808"),
        ({"n": 9000, "noise": Full(0)}, r"no memory for 9,000 samples of the shape \(2,\): draw fewer"),
        ({"n": 1, "shape": 2}, r"whole numbers such as \(2,\), but got 2"),
        ({"n": 1, "shape": (2.0,)}, "that of one sample, whole numbers"),
        ({"n": 1, "shape": (-1,)}, "that of one sample, whole numbers"),
        ({"x": torch.zeros(1, 2, device="meta"), "device": "cpu"}, "meta device, where it has no values"),
    ],
)
def test_refuses_bad_starts(start, words):
    with pytest.raises(ValueError, match=words):
        sample(ORACLE, DDIM(), GRID, **start)


def test_asks_for_a_shape_that_the_denoiser_does_not_know():
    class Shapeless:
        schedule = VPCosine()

        def __call__(self, x_t, t, labels=None):
            return Posterior(x_t)

    with pytest.raises(ValueError, match="give shape"):
        sample(Shapeless(), DDIM(), GRID, n=1)
    assert final(sample(Shapeless(), DDIM(), GRID, n=2, shape=(1, 3))).shape == (2, 1, 3)


def test_registry():
    assert sampler_from("DDIM", eta=0.5) == DDIM(0.5)
    assert all(name == cls.__name__ and cls().label and cls().order >= 0 for name, cls in SAMPLERS.items())
    with pytest.raises(ValueError, match="no sampler named 'Eulers'; choose one of Ancestral"):
        sampler_from("Eulers")
    with pytest.raises(ValueError, match="DDIM has no knob 'steps'"):
        sampler_from("DDIM", steps=3)


def test_says_where_the_prior_is_not_the_law_that_it_starts_from(recwarn):
    """VPLinear(1e-4, 0.001) leaves alpha_bar = 0.58 at t = 1: a run from noise starts where no noised data are."""
    weak = VPLinear(1e-4, 0.001)
    oracle = ExactDenoiser(GaussianMixture.ring(), weak)
    grid = grids.uniform(weak, 2)
    x = torch.zeros(3, 2)
    for options in ({"x": x}, {"n": 3, "quiet": True}):
        final(sample(oracle, DDIM(), grid, **options))
    final(sample(oracle, DDIM(), torch.tensor([0.5, 0.0]), n=3))  # below t = 1 nothing is said of the prior
    assert not recwarn
    with pytest.warns(NoiseNotReached, match=r"VPLinear\(.*\) does not reach noise: .* L_T is 0\.4") as caught:
        final(sample(oracle, DDIM(), grid, n=3))
    assert caught[0].filename == __file__


@pytest.mark.parametrize("evaluations", [0, -1, 2.5, True, "20", 10**400])
def test_refuses_evaluations_that_are_none(evaluations):
    with pytest.raises(ValueError, match=r"evaluations must be a whole number, 1 or more and at most .*, but got"):
        sample(ORACLE, DDIM(), evaluations=evaluations, n=1)


def test_takes_the_numbers_of_numpy():
    given = final(sample(ORACLE, DDIM(), evaluations=np.int64(3), n=np.int64(2), noise=NoisePool(0), quiet=True))
    assert torch.equal(given, final(sample(ORACLE, DDIM(), evaluations=3, n=2, noise=NoisePool(0), quiet=True)))
    assert torch.equal(given, final(sample(ORACLE, DDIM(), np.linspace(1, 0, 4), n=2, noise=NoisePool(0), quiet=True)))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(1, 2, dtype=torch.int64), "floating-point numbers, but got torch.int64"),
        (np.zeros((1, 2)), "floating-point numbers, but got ndarray"),
        (torch.zeros(1, 2).to_sparse(), "dense tensor .* but got torch.float32, sparse_coo"),
        (torch.zeros(1, 2).to(torch.float8_e4m3fn), "16 bits a number or more, but got torch.float8"),
    ],
)
def test_refuses_samples_of_another_kind(x, words):
    with pytest.raises(TypeError, match=words):
        sample(ORACLE, DDIM(), GRID, x=x)


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (lambda denoiser, state, s: None, TypeError, "must return the next State, or its x alone, .* returned None"),
        (lambda denoiser, state, s: (state.x, s), TypeError, "must return the next State"),
        (lambda denoiser, state, s: state.x[:1], ValueError, r"shaped like the samples, \(3, 2\), but got \(1, 2\)"),
        (lambda denoiser, state, s: state.x.long(), TypeError, "floating-point numbers, but got torch.int64"),
        (lambda denoiser, state, s: state, ValueError, r"must end at s, .* \(0.75, .*cpu.* ends at \(1.0, "),
        (lambda denoiser, state, s: state.x.to("meta"), ValueError, r"ends at \(0.75, .*meta"),
        (lambda denoiser, state, s: state.moved(None, s, None), TypeError, "numbers, but got NoneType"),
    ],
)
def test_refuses_what_is_no_step(step, error, words):
    with pytest.raises(error, match=words):
        final(sample(ORACLE, step, GRID, x=torch.zeros(3, 2)))


@pytest.mark.parametrize(
    ("states", "error", "words"),
    [
        ([], ValueError, "run without states has no end"),
        (None, TypeError, "states that sample yields, but got None"),
        (torch.zeros(3, 2), TypeError, "states that sample yields, but got tensor"),
        ([1, 2], TypeError, "states that sample yields, but got 2"),
    ],
)
def test_refuses_the_end_of_what_is_no_run(states, error, words):
    with pytest.raises(error, match=words):
        final(states)


@pytest.mark.parametrize("what", [3, "DDIM", DDIM])
def test_refuses_what_is_no_function(what):
    with pytest.raises(TypeError, match="or a function step"):
        Function(what)


@pytest.mark.parametrize("name", [None, ["DDIM"], 3])
def test_refuses_what_is_no_name(name):
    with pytest.raises(ValueError, match="no sampler named"):
        sampler_from(name)


def test_takes_a_grid_that_was_searched_for_as_it_is():
    found = grids.gits(ORACLE, 3, generator=torch.Generator().manual_seed(0))
    assert [s.t for s in sample(ORACLE, DDIM(), found, n=2)] == found.times.tolist()


def test_a_method_that_returns_no_state_is_told_so():
    class Forgetful(DDIM):
        def step(self, denoiser, state, s):
            return state.x

    with pytest.raises(TypeError, match=r"must return the next State, state.moved\(x, s\), but DDIM returned"):
        final(sample(ORACLE, Forgetful(), GRID, n=2))
