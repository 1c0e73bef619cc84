"""MALA: its ratio by an independent formula, the density that it leaves as it is, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from walks import DATA, NOISED, ORACLE, T, exact, imbalance, ks, walk

from difflab.data import GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser, Posterior
from difflab.samplers import MALA, Langevin, final, grids, sample
from difflab.samplers.walks.density import Density, density_of
from difflab.samplers.walks.one_level import stable_step
from difflab.schedules import VPCosine

BOUND = stable_step(ORACLE, T)
LARGE = 1.2 * BOUND / 2  # where Langevin's variance within a lone narrow mode would be 1 / (1 - 0.6) times too large


def test_the_ratio_is_that_of_metropolis_and_hastings():
    """log p_t(y) q(x | y) - log p_t(x) q(y | x), densities by the noised mixture's own formula, scores by differences of it."""

    def score(x, h=1e-5):
        return ((NOISED.log_density(x + h) - NOISED.log_density(x - h)) / (2 * h))[:, None]

    def log_q(to, of, a):
        return (-((to - of - a * score(of)) ** 2) / (4 * a) - np.log(4 * np.pi * a) / 2)[:, 0]

    density = density_of("MALA", ORACLE, T, None, None)
    here, a = density.at(exact(50)), torch.full((50,), 0.2, dtype=torch.float64)
    there, log_ratio, evaluations, *_ = MALA().propose(density, here, a, torch.randn(50, 1, dtype=torch.float64))
    x, y = here.x.numpy(), there.x.numpy()
    expected = NOISED.log_density(y) - NOISED.log_density(x) + log_q(x, y, 0.2) - log_q(y, x, 0.2)
    np.testing.assert_allclose(log_ratio.numpy(), expected, atol=1e-8)
    assert evaluations == 1


class Unadjusted(MALA):
    """Accepts whatever is proposed."""

    def propose(self, density, here, size, z):
        found = super().propose(density, here, size, z)
        return found._replace(log_ratio=torch.zeros_like(found.log_ratio))


class OneSided(MALA):
    """Forgets that proposals are more likely one way than the other."""

    def propose(self, density, here, size, z):
        found = super().propose(density, here, size, z)
        return found._replace(log_ratio=density.rise(here, found.there))


class Backwards(MALA):
    def propose(self, density, here, size, z):
        found = super().propose(density, here, size, z)
        return found._replace(log_ratio=2 * density.rise(here, found.there) - found.log_ratio)


@pytest.mark.parametrize(
    ("kind", "stays"), [(MALA, True), (Unadjusted, False), (OneSided, False), (Backwards, False)], ids=lambda v: str(v)
)
def test_leaves_the_density_as_it_is(kind, stays):
    """20,000 exact samples are exact after 30 steps, and every pair of neighbours in time is balanced. What is known to be
    wrong fails the same two tests."""
    start, sampler = exact(), kind(LARGE, warm_up=0)
    states = walk(sampler, start, 30)
    assert ks(start) < 1.95
    if stays:
        assert ks(states[-1].x) < 1.95
        assert imbalance(states[0].x, states[1].x) < 4
        assert 0.5 < float(states[-1].memory.probability.mean()) < 0.99  # and not because nothing moves
    else:
        assert ks(states[-1].x) > 4


def test_langevin_is_wrong_where_mala_is_not():
    assert ks(walk(Langevin(LARGE), exact(), 30)[-1].x) > 4


def test_a_wrong_ratio_is_out_of_balance():
    states = walk(OneSided(LARGE, warm_up=0), exact(), 30)  # at the law where it settles, the walk still flows
    assert imbalance(states[0].x, states[1].x) > 8


@pytest.mark.parametrize("factor", [2, 30])
def test_a_step_that_explodes_langevin_is_only_rejected_more_often(factor):
    small, large = (walk(MALA(a, warm_up=0), exact(), 30)[-1] for a in (LARGE, factor * BOUND))
    assert ks(large.x) < 1.95
    assert float(large.memory.probability.mean()) < float(small.memory.probability.mean()) - 0.1


def test_forgets_its_start():
    """From one point in the narrow mode to the two-mode law, within what 400 steps at an adapted size leave."""
    x = torch.full((5000, 1), -1.0, dtype=torch.float64)
    assert ks(walk(MALA(warm_up=100), x, 400)[-1].x) < 1.95


def test_costs_one_evaluation_a_step_and_one_at_the_start():
    calls = []

    class Counting:
        schedule, shape, log_prob = ORACLE.schedule, (1,), staticmethod(ORACLE.log_prob)

        def __call__(self, x_t, t, labels=None):
            calls.append(t)
            return ORACLE(x_t, t)

    for knobs, each in (({}, 1), ({"path": 2}, 1), ({"path": 3}, 2), ({"path": 5}, 4)):
        calls.clear()
        *_, last = sample(Counting(), MALA(**knobs), grids.constant(T, 7), n=3)
        assert len(calls) == last.evaluations == 1 + 7 * each


def test_goes_on_from_any_state():
    """What is remembered saves an evaluation and nothing else: without it the same step comes out."""
    states = walk(MALA(0.1, warm_up=0), exact(50), 6)
    again = MALA(0.1, warm_up=0).step(ORACLE, dataclasses.replace(states[3], memory=None), T)
    torch.testing.assert_close(again.x, states[4].x, rtol=0, atol=0)
    assert again.evaluations == states[4].evaluations + 1
    moved = dataclasses.replace(
        states[3], x=states[3].x + 1
    )  # somebody else moved it: what was known is of another point
    assert MALA(0.1, warm_up=0).step(ORACLE, moved, T).evaluations == states[3].evaluations + 2


def test_a_log_density_of_ones_own_takes_the_place_of_the_denoisers():
    given = MALA(LARGE, warm_up=0, log_prob=lambda x, t: ORACLE.log_prob(x, t) + 1000.0)  # up to a constant
    ours = MALA(LARGE, warm_up=0)
    torch.testing.assert_close(walk(given, exact(100), 20)[-1].x, walk(ours, exact(100), 20)[-1].x, rtol=0, atol=0)
    # and its own density is what is sampled: one of half the temperature narrows a Gaussian to half its variance
    cold = walk(MALA(0.05, warm_up=0, log_prob=lambda x, t: -x.square().sum(1)), exact(4000), 200)[-1].x
    assert float(cold.var()) == pytest.approx(0.5, rel=4 * (2 / 4000) ** 0.5)


@pytest.mark.parametrize("path", [3, 5])
def test_a_score_alone_will_do(path):
    """Rises integrated from point to point: by 3 points at this step size, and by 5, the law is exact to what n tells."""

    class ScoreOnly:
        schedule, shape = ORACLE.schedule, (1,)

        def __call__(self, x_t, t, labels=None):
            return ORACLE(x_t, t)

    assert ks(walk(MALA(LARGE, warm_up=0, path=path), exact(), 30, denoiser=ScoreOnly())[-1].x) < 1.95


class Polynomial:
    """Of a score x^degree, whose log-density rises by (b^(degree + 1) - a^(degree + 1)) / (degree + 1)."""

    schedule, shape = VPCosine(), (1,)

    def __init__(self, degree):
        self.degree = degree

    def __call__(self, x_t, t, labels=None):
        level = self.schedule.level(t)
        return Posterior((level.sigma**2 * x_t**self.degree + x_t) / level.alpha)


@pytest.mark.parametrize("path", [2, 3, 4, 5])
def test_the_rule_is_exact_up_to_its_degree(path):
    """Gauss-Lobatto's of p points integrates polynomials up to the degree 2 p - 3, and not the next even one."""
    a, b = torch.tensor([[-0.7]], dtype=torch.float64), torch.tensor([[1.3]], dtype=torch.float64)
    off = []
    for degree in (1, 2 * path - 3, 2 * path - 2):
        density = Density(Polynomial(degree), VPCosine().level(T), None, False, path)
        forth, back = density.rise(density.at(a), density.at(b)), density.rise(density.at(b), density.at(a))
        assert float(forth) == pytest.approx(-float(back), rel=1e-12)
        off.append(abs(float(forth) - (1.3 ** (degree + 1) - (-0.7) ** (degree + 1)) / (degree + 1)))
    assert max(off[:2]) < 1e-12
    assert off[2] > 1e-3


def test_finite_sets_and_classes_have_densities_too():
    data = digits()
    oracle = Conditioned(ExactDenoiser(data, VPCosine()), torch.tensor([3, 7]))
    states = list(sample(oracle, MALA(warm_up=50), grids.constant(0.6, 60), n=2, shape=data.shape))
    assert states[-1].x.isfinite().all()
    assert all(0.2 < float(p) <= 1 for p in torch.stack([s.memory.probability for s in states[20:]]).mean(0))
    seven = ExactDenoiser(data, VPCosine()).log_prob(states[-1].x[1:], 0.6, torch.tensor([7]))
    assert float(seven) == pytest.approx(float(states[-1].memory.here.log_p[1]), rel=1e-5)


def test_a_denoiser_without_a_density_is_refused_with_what_to_do():
    network = NetworkDenoiser.for_data(GaussianMixture.ring(), VPCosine(), width=8, depth=1)
    states = sample(network, MALA(), grids.constant(T, 3), n=2, shape=(2,))
    next(states)
    with pytest.raises(ValueError, match=r"this NetworkDenoiser has no log_prob: give MALA .* or path=3 to integrate"):
        next(states)
    assert final(sample(network, MALA(path=3), grids.constant(T, 3), n=2, shape=(2,))).isfinite().all()


def broken(where):
    class Broken:
        schedule, shape = ORACLE.schedule, (1,)

        def __call__(self, x_t, t, labels=None):
            return Posterior(torch.where(x_t > 0, torch.nan, x_t) if where == "mean" else x_t)

        def log_prob(self, x_t, t):
            return torch.where(x_t[:, 0] > 0, torch.nan, 0.0)

    return Broken()


@pytest.mark.parametrize(
    ("where", "words"), [("mean", "The denoiser returned nan or inf"), ("log", "log_prob returned nan")]
)
def test_nan_is_no_reason_to_stand_still(where, words):
    """A row that asks where the answer is nan ends the run: rejecting it for ever would look like a run."""
    for start in (-0.1, 1.0):
        with pytest.raises(FloatingPointError, match=rf"{words}.* at t = 0\.3"):
            final(sample(broken(where), MALA(0.05), grids.constant(T, 200), x=torch.full((4, 1), start)))


def test_answers_of_a_log_density_are_looked_at():
    for answer, kind in (
        (torch.zeros(3, 1), ValueError),
        (0.0, TypeError),
        (torch.zeros(3, dtype=torch.int64), TypeError),
    ):
        states = sample(ORACLE, MALA(log_prob=lambda x, t, answer=answer: answer), grids.constant(T, 2), n=3)
        next(states)
        with pytest.raises(kind, match=r"^log_prob must return .*, but got .*\.$"):
            next(states)


@pytest.mark.parametrize(
    ("knobs", "kind", "words"),
    [
        ({"step_size": 0}, ValueError, "step size of MALA must be above 0, in squared units of x, or None, but got 0"),
        ({"step_size": float("nan")}, ValueError, "but got nan"),
        ({"warm_up": -1}, ValueError, "warm-up of MALA is a whole number of steps, 0 or more, but got -1"),
        ({"warm_up": 1.5}, ValueError, "but got 1.5"),
        ({"target": 1.0}, ValueError, "must lie between 0 and 1, but got 1.0"),
        ({"log_prob": 3}, TypeError, "log_prob must be a function of"),
        ({"path": 6}, ValueError, "2 to 5, but got 6"),
        ({"path": True}, ValueError, "2 to 5, but got True"),
        ({"path": [3]}, ValueError, r"2 to 5, but got \[3\]"),
        ({"step_size": 10**400}, ValueError, "must be above 0, .* but got 1000"),
        ({"path": "3"}, ValueError, "2 to 5, but got '3'"),
        ({"path": 2, "log_prob": ORACLE.log_prob}, ValueError, "Give either log_prob"),
    ],
)
def test_refuses_bad_knobs(knobs, kind, words):
    with pytest.raises(kind, match=words):
        MALA(**knobs)


def test_refuses_to_move_in_time():
    with pytest.raises(ValueError, match=r"^MALA stays at one noise level: its grid must repeat one time"):
        sample(ORACLE, MALA(), grids.uniform(VPCosine(), 4), n=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_the_samples_type_and_no_samples_at_all(dtype):
    x = exact(2000).to(dtype)
    *_, last = sample(ORACLE, MALA(warm_up=20), grids.constant(T, 60), x=x)
    assert last.x.dtype == dtype
    # acceptance is decided in float64, and so are samples of a coarse type exact but for their rounding, 2^-8 of 1 at most,
    # which shifts the cdf by no more than the density's maximum, 1, times that
    assert ks(last.x.double()) < 1.95 + 2**-8 * 2000**0.5
    empty = final(sample(ORACLE, MALA(), grids.constant(T, 3), x=x[:0]))
    assert empty.shape == (0, 1)
    assert empty.dtype == dtype


def test_rows_know_nothing_of_one_another():
    many = list(
        sample(ORACLE, MALA(warm_up=30), grids.constant(T, 60), x=exact(64), generator=torch.Generator().manual_seed(5))
    )
    few = list(
        sample(
            ORACLE, MALA(warm_up=30), grids.constant(T, 60), x=exact(64)[:3], generator=torch.Generator().manual_seed(5)
        )
    )
    torch.testing.assert_close(many[-1].x[:3], few[-1].x, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(many[-1].memory.size[:3], few[-1].memory.size, rtol=1e-9, atol=1e-9)
    assert DATA.dim == 1


def test_accepts_as_often_as_it_says():
    """Of 200,000 rows: accepted less p, and that times p - 1/2, which tells too many rare from too many likely ones, have mean 0;
    within 4 standard errors. A uniform number of 9 % too wide quantiles is off by 20 of them."""
    chain = walk(MALA(2 * BOUND, warm_up=0), exact(200_000), 1)[-1].memory
    p, accepted = chain.probability, chain.accepted.double()
    for weight in (torch.ones_like(p), p - 0.5):
        error = float((weight.square() * p * (1 - p)).sum().sqrt())
        assert abs(float((weight * (accepted - p)).sum())) < 4 * error
