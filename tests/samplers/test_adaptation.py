"""Dual averaging: against the published recursion, the identity that it keeps, and the acceptance that comes of it."""

import math

import pytest
import torch
from walks import ORACLE, T, exact, walk

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import HMC, MALA
from difflab.samplers.walks.adaptation import Adapted
from difflab.schedules import VPCosine


def test_is_the_published_recursion():
    """Hoffman & Gelman 2014, Alg. 5: H <- (1 - 1 / (m + t0)) H + (delta - p) / (m + t0), log eps = mu - sqrt(m) / gamma H,
    log eps_bar <- m^-kappa log eps + (1 - m^-kappa) log eps_bar."""
    seen = torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    adapted = Adapted.begun(0.3, torch.zeros(3, dtype=torch.float64))
    h, log_bar = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for m, p in enumerate(seen, start=1):
        adapted = adapted.after(p, 0.6, 1000, 0.3)
        h = (1 - 1 / (m + 10)) * h + (0.6 - p) / (m + 10)
        log_eps = math.log(0.3) - math.sqrt(m) / 0.05 * h
        log_bar = m**-0.75 * log_eps + (1 - m**-0.75) * log_bar
        torch.testing.assert_close(adapted.log_size, log_eps, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(adapted.log_mean, log_bar, rtol=1e-12, atol=1e-12)


def test_the_mean_acceptance_is_the_target_up_to_what_the_step_has_moved():
    """mean p - delta = gamma log(size_(m+1) / size_1) (m + t0) / m^(3/2), exactly, in every row: at 400 steps and sizes that
    moved by a factor of e it is 0.0026. What is accepted is a draw of that probability: 4 standard errors."""
    m, sampler = 400, MALA(0.05, warm_up=10_000, target=0.7)
    states = walk(sampler, exact(300), m + 1)
    p = torch.stack([s.memory.probability for s in states[1 : m + 1]])
    moved = (states[m + 1].memory.size / states[1].memory.size).log()
    torch.testing.assert_close(p.mean(0) - 0.7, 0.05 * moved * (m + 10) / m**1.5, rtol=0, atol=1e-12)
    off = 0.05 * float(moved.abs().max()) * (m + 10) / m**1.5
    accepted = torch.stack([s.memory.accepted for s in states[1 : m + 1]]).double()
    assert abs(float(accepted.mean()) - 0.7) < off + 4 * math.sqrt(0.7 * 0.3 / accepted.numel())
    assert 0.001 < off < 0.02


@pytest.mark.parametrize("target", [0.4, 0.6, 0.8])
def test_the_frozen_size_accepts_as_often_as_was_wanted(target):
    """In ten dimensions, where acceptance falls evenly with the size. The frozen log size is a mean of m = 500 ones whose
    spread is about 0.2 (the last ones count most), and acceptance changes by about 0.5 per unit of it: 0.05 covers its curvature
    and what is left of the first steps; the counting error of 200 rows x 100 steps is 0.01 at 3 standard errors."""
    data = GaussianMixture([1.0], [[0.0] * 10], 0.5)
    oracle, g = ExactDenoiser(data, VPCosine()), torch.Generator().manual_seed(0)
    alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(T))
    x = math.sqrt(alpha**2 * 0.5 + sigma**2) * torch.randn(200, 10, dtype=torch.float64, generator=g)
    states = walk(MALA(warm_up=500, target=target), x, 600, denoiser=oracle)
    p = torch.stack([s.memory.probability for s in states[501:]])
    assert float(p.mean()) == pytest.approx(target, abs=0.06)


def test_stops_adapting_and_keeps_the_mean():
    for sampler in (MALA(warm_up=20), HMC(warm_up=20, leapfrog=2)):
        states = walk(sampler, exact(50), 30)
        sizes = [s.memory.size for s in states[1:]]
        assert all(torch.equal(size, sizes[20]) for size in sizes[20:])
        assert not torch.equal(sizes[19], sizes[20])
        log_mean = torch.zeros(50, dtype=torch.float64)
        later = [*sizes[1:20], None]
        for m, size in enumerate(later, start=1):
            if size is None:  # the last size was the mean's own, and never used by itself
                target, p = sampler.target, torch.stack([s.memory.probability for s in states[1:21]])
                log_size = sizes[0].log() - math.sqrt(m) / 0.05 * (target - p).sum(0) / (m + 10)
            else:
                log_size = size.log()
            log_mean = m**-0.75 * log_size + (1 - m**-0.75) * log_mean
        torch.testing.assert_close(sizes[20].log(), log_mean, rtol=1e-9, atol=1e-9)


def test_does_not_adapt_where_it_is_not_to():
    states = walk(MALA(0.07, warm_up=0), exact(10), 5)
    assert all(float(s.memory.size.max()) == pytest.approx(0.07) == float(s.memory.size.min()) for s in states[1:])


def test_the_first_size_is_stable_for_any_data():
    """Langevin's bound is 2 sigma^2, the leapfrog's 2 sigma."""
    level = ORACLE.schedule.level(T)
    for dim in (1, 10, 3072):
        assert MALA().first_size(level, dim) < 2 * level.sigma**2
        assert HMC().first_size(level, dim) < 2 * level.sigma
