"""HMC: the leapfrog is reversible, keeps volume and a shadow energy, errs by O(h^2); the density stays as it is."""

import math
from itertools import pairwise

import pytest
import torch
from walks import ORACLE, T, exact, imbalance, ks, walk

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.samplers import HMC, MALA, NoisePool, State, final, grids, sample
from difflab.samplers.walks.density import density_of
from difflab.samplers.walks.hmc import leapfrog
from difflab.samplers.walks.one_level import stable_step
from difflab.schedules import VPCosine

DENSITY = density_of("HMC", ORACLE, T, None, None)
NARROW = math.sqrt(stable_step(ORACLE, T) / 2)  # standard deviation of the narrow mode of p_t


def momenta(x, seed=3):
    return torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sizes(x, h):
    return torch.full((len(x),), h, dtype=torch.float64)


def energies(x, p):
    return p.square().sum(1) / 2 - ORACLE.log_prob(x, T)


def test_leads_back_when_the_momentum_is_turned_round():
    x = exact(200)
    p, h = momenta(x), sizes(x, 0.3 * NARROW)
    there, q, rise = leapfrog(DENSITY, DENSITY.at(x), p, h, 20)
    back, r, fall = leapfrog(DENSITY, DENSITY.at(there.x), -q, h, 20)
    assert float((there.x - x).abs().mean()) > 0.5 * NARROW  # it had gone somewhere
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-10)
    torch.testing.assert_close(r, -p, rtol=0, atol=1e-10)
    torch.testing.assert_close(fall, -rise, rtol=0, atol=1e-10)


def test_keeps_volume():
    """The determinant of d(x', p') / d(x, p) by central differences, whose error is of the order of 1e-6^2 and 1e-16 / 1e-6."""
    x, e = exact(50), 1e-6
    p = momenta(x)

    def map_of(x, p):
        there, q, _ = leapfrog(DENSITY, DENSITY.at(x), p, sizes(x, 0.5 * NARROW), 10)
        return there.x, q

    dx, dp = (
        [(a - b) / (2 * e) for a, b in zip(map_of(*up), map_of(*down), strict=True)]
        for up, down in (((x + e, p), (x - e, p)), ((x, p + e), (x, p - e)))
    )
    torch.testing.assert_close(dx[0] * dp[1] - dx[1] * dp[0], torch.ones_like(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("h", [0.1, 1.0, 1.9])
def test_a_gaussians_shadow_energy_stays_exactly(h):
    """On N(0, V) a step conserves p^2 + (1 - h^2 / (4 V)) x^2 / V, not H itself; it is stable up to h = 2 sqrt(V)."""
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.0]], 0.5), VPCosine())
    alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(T))
    var, density = alpha**2 * 0.5 + sigma**2, density_of("HMC", oracle, T, None, None)
    h *= math.sqrt(var)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    p = momenta(x)
    there, q, _ = leapfrog(density, density.at(x), p, sizes(x, h), 25)
    before, after = (b.square() + (1 - h * h / (4 * var)) * a.square() / var for a, b in ((x, p), (there.x, q)))
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-12)


def test_half_a_period_leads_to_the_other_side_whatever_the_momentum():
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.0]], 0.5), VPCosine())
    std, density = math.sqrt(stable_step(oracle, T) / 2), density_of("HMC", oracle, T, None, None)
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    there, _, _ = leapfrog(density, density.at(x), momenta(x), sizes(x, math.pi * std / 200), 200)
    torch.testing.assert_close(there.x, -x, rtol=0, atol=1e-3)  # O(h^2): (pi / 200)^2 = 2.5e-4 of x and p std


def test_the_energy_errs_with_the_declared_order():
    """After a fixed time, root mean square over exact (x, p): measured between h and h / 2."""
    x = exact(2000)
    p = momenta(x)
    errors = []
    for halvings in (0, 1, 2):
        steps = 10 * 2**halvings
        there, q, rise = leapfrog(DENSITY, DENSITY.at(x), p, sizes(x, 2 * NARROW / steps), steps)
        change = energies(there.x, q) - energies(x, p)
        torch.testing.assert_close(rise, (p.square() - q.square()).sum(1).neg() / 2 - change, rtol=0, atol=1e-9)
        errors.append(float(change.square().mean().sqrt()))
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders == pytest.approx([HMC.order] * 2, abs=0.1)


class Unadjusted(HMC):
    def propose(self, density, here, size, z):
        found = super().propose(density, here, size, z)
        return found._replace(log_ratio=torch.zeros_like(found.log_ratio))


class WithoutMomentum(HMC):
    """Forgets the kinetic half of the energy."""

    def propose(self, density, here, size, z):
        found = super().propose(density, here, size, z)
        return found._replace(log_ratio=density.rise(here, found.there))


@pytest.mark.parametrize(("kind", "stays"), [(HMC, True), (Unadjusted, False), (WithoutMomentum, False)])
def test_leaves_the_density_as_it_is(kind, stays):
    states = walk(kind(1.5 * NARROW, warm_up=0, leapfrog=3), exact(), 12)
    if stays:
        assert ks(states[-1].x) < 1.95
        assert imbalance(states[0].x, states[1].x) < 4
        assert 0.4 < float(states[-1].memory.probability.mean()) < 0.95
    else:
        assert ks(states[-1].x) > 4


def test_one_step_is_malas():
    """The same numbers from the same noise, with a = h^2 / 2."""
    h = 0.8 * NARROW
    ours, theirs = (walk(s, exact(300), 20) for s in (HMC(h, warm_up=0, leapfrog=1), MALA(h * h / 2, warm_up=0)))
    for a, b in zip(ours[1:], theirs[1:], strict=True):
        torch.testing.assert_close(a.x, b.x, rtol=0, atol=1e-9)
        torch.testing.assert_close(a.memory.probability, b.memory.probability, rtol=0, atol=1e-9)


def test_forgets_its_start_in_fewer_steps_than_mala():
    x = torch.full((5000, 1), -1.0, dtype=torch.float64)
    states = walk(HMC(warm_up=60, leapfrog=5), x, 100)
    assert ks(states[-1].x) < 1.95


@pytest.mark.parametrize("path", [None, 2, 3])
def test_counts_every_evaluation(path):
    calls = []

    class Counting:
        schedule, shape, log_prob = ORACLE.schedule, (1,), staticmethod(ORACLE.log_prob)

        def __call__(self, x_t, t, labels=None):
            calls.append(t)
            return ORACLE(x_t, t)

    sampler = HMC(leapfrog=4, path=path)
    *_, last = sample(Counting(), sampler, grids.constant(T, 6), n=3)
    assert len(calls) == last.evaluations == 1 + 6 * 4 * (2 if path == 3 else 1)
    assert sampler.evaluations_per_step == 4


@pytest.mark.parametrize("path", [2, 4])
def test_a_score_alone_will_do(path):
    """Rises summed over the leapfrog's own steps: to the law's last digit that n tells, at steps of 0.6 of the narrow mode."""
    assert ks(walk(HMC(0.6 * NARROW, warm_up=0, leapfrog=4, path=path), exact(), 12)[-1].x) < 1.95


def test_several_dimensions_and_shapes_are_summed_over():
    """Rows of (1, 2, 3) walk as rows of (6,) do."""
    data = GaussianMixture.random(3, 6, seed=1)
    oracle, x = ExactDenoiser(data, VPCosine()), data.sample(5, torch.Generator().manual_seed(0)).double()

    class Shaped:
        schedule, shape = oracle.schedule, (1, 2, 3)

        def __call__(self, x_t, t, labels=None):
            flat = oracle(x_t.flatten(1), t)
            return type(flat)(flat.mean.reshape(x_t.shape))

        def log_prob(self, x_t, t):
            return oracle.log_prob(x_t.flatten(1), t)

    for sampler in (HMC(warm_up=5), MALA(warm_up=5)):
        flat = walk(sampler, x, 8, denoiser=oracle)[-1].x
        shaped = State(x.reshape(5, 1, 2, 3), T, (T, T), NoisePool(1))
        for _ in range(8):
            shaped = sampler.step(Shaped(), shaped, T)
        torch.testing.assert_close(shaped.x.flatten(1), flat, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"leapfrog": 0}, "whole number of leapfrog steps, 1 or more, but got 0"),
        ({"leapfrog": 2.5}, "but got 2.5"),
        ({"step_size": -1.0}, "step size of HMC must be above 0, in units of x, or None, but got -1.0"),
    ],
)
def test_refuses_bad_knobs(knobs, words):
    with pytest.raises(ValueError, match=words):
        HMC(**knobs)


def test_a_wild_trajectory_is_rejected_and_an_empty_batch_is_one():
    x = exact(100)
    states = walk(HMC(50.0, warm_up=0, leapfrog=400), x, 2)  # 400 steps at 100 times the stable size: to infinity
    assert torch.equal(states[-1].x, x)
    assert not bool(states[-1].memory.accepted.any())
    assert final(sample(ORACLE, HMC(), grids.constant(T, 2), n=0)).shape == (0, 1)


def test_no_answer_on_the_way_is_no_reason_to_stand_still():
    """The point halfway lies beyond 5 of nearly all rows, where there is no answer; so the end is none, which is far from all."""

    class Holed:
        schedule, shape = ORACLE.schedule, (1,)

        def __call__(self, x_t, t, labels=None):
            return Posterior(torch.where(x_t.abs() > 5, torch.nan, x_t))

        def log_prob(self, x_t, t):
            return -x_t.square().sum(1)

    with pytest.raises(FloatingPointError, match="The denoiser returned nan or inf at t = "):
        final(sample(Holed(), HMC(20.0, leapfrog=2), grids.constant(T, 3), x=torch.zeros(50, 1, dtype=torch.float64)))
