"""One Brownian path at any resolution: its exact law, that it is one path, and that random samplers converge along it."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, BrownianPath, NoisePool, final, sample
from difflab.samplers.brownian import schauder
from difflab.schedules import Flow, VPLinear

UNITS = 2**20  # of the shortest interval in a nat
ROW = torch.zeros(1, 1, dtype=torch.float64)


def increment(path, first, last, like=ROW):
    """W(last) - W(first)."""
    return path.between(like, 0, first, last) * math.sqrt(abs(last - first))


def test_the_law_is_exactly_that_of_brownian_motion():
    """A draw is a fixed sum over standard normals, so its covariance with another is the sum of the products of factors:
    of two increments, the length of their overlap. Without Monte Carlo, for ends anywhere, up to rounding."""
    rng = np.random.default_rng(0)
    ends = [*rng.integers(0, 2**27, (200, 4)).tolist(), [0, 2**27, 3, 4], [5, 6, 5, 6], [2**26, 2**26 + 1, 0, 2**26]]
    for a, b, c, d in ends:
        one, two = schauder(a, b), schauder(c, d)
        covariance = sum(factor * two.get(node, 0.0) for node, factor in one.items())
        ahead = (1 if b > a else -1) * (1 if d > c else -1)  # asked backwards, an increment changes its sign
        overlap = max(0, min(max(a, b), max(c, d)) - max(min(a, b), min(c, d)))
        assert covariance == pytest.approx(ahead * overlap / math.sqrt(abs(b - a) * abs(d - c)), abs=1e-12)


def test_long_steps_are_the_sums_of_short_ones():
    """The same path at 10 and at 1,000 steps, at times that are no dyadic ones. Each end is rounded to 2^-20 nats, so that a
    length h = 0.014 is off by 2^-20 / sqrt(6) (standard deviation) and the increment sqrt(h) z by half that share, 1.4e-5 of
    0.118: 1.6e-5 in a sum of 100, and six of them are allowed. (float32 adds 1e-7.)"""
    path, x = BrownianPath(7), torch.zeros(4, 3, dtype=torch.float64)
    fine = np.linspace(-9.1, 4.9, 1001).tolist()
    short = torch.stack([increment(path, u, v, x) for u, v in pairwise(fine)])
    for steps in (10, 100, 500):
        long = torch.stack([increment(path, u, v, x) for u, v in pairwise(fine[:: 1000 // steps])])
        torch.testing.assert_close(short.reshape(steps, -1, 4, 3).sum(1), long, rtol=0, atol=1e-4)


def test_on_the_paths_own_lattice_sums_are_exact_to_float32():
    path = BrownianPath(7)
    fine = [k * 7 / UNITS for k in range(64)]  # ends that are taken as they are
    whole = increment(path, fine[0], fine[-1])
    parts = sum(increment(path, u, v) for u, v in pairwise(fine))
    assert float(parts) == pytest.approx(float(whole), rel=0, abs=64 * 6e-8 * math.sqrt(fine[-1]))


def test_draws_are_standard_normal_and_of_one_path():
    """The same by Monte Carlo, so that the nodes are what the factors suppose: independent standard normals."""
    path, n = BrownianPath(3), 40_000
    x = torch.zeros(n, 1)
    ends = [(-64.0, 64.0), (-math.inf, -3.0), (-3.0, 1.0), (-1.0, 2.0), (1.0, 1.001), (2.0, 0.0)]
    z = torch.cat([path.between(x, 0, *pair) for pair in ends], dim=1).double()
    covariance = (z.T @ z / n).numpy()
    for i, (a, b) in enumerate(ends):
        for j, (c, d) in enumerate(ends):
            a_, b_, c_, d_ = (max(-64.0, u) for u in (a, b, c, d))
            overlap = max(0.0, min(max(a_, b_), max(c_, d_)) - max(min(a_, b_), min(c_, d_)))
            due = np.sign(b_ - a_) * np.sign(d_ - c_) * overlap / math.sqrt(abs(b_ - a_) * abs(d_ - c_))
            assert covariance[i, j] == pytest.approx(due, abs=4.5 * math.sqrt((1 + due**2) / n))
    assert z.mean(0).abs().max() < 4.5 / n**0.5


def test_row_i_is_the_same_whatever_the_number_of_rows():
    path = BrownianPath(5)
    many = path.between(torch.zeros(100, 2, 3), 0, -1.2, 0.4)
    assert torch.equal(path.between(torch.zeros(1, 2, 3), 0, -1.2, 0.4), many[:1])
    assert path.between(torch.zeros(0, 2, 3), 0, -1.2, 0.4).shape == (0, 2, 3)


def test_the_path_is_its_seeds_alone():
    """Not what was asked before, not the step's index, not the copy, not the thread."""
    x, asked = torch.zeros(3, 2), [(-5.0, -4.0), (-4.0, 3.0), (0.1, 0.2), (-5.0, -4.0)]
    path = BrownianPath(1)
    before = [path.between(x, 0, *pair) for pair in asked]
    assert torch.equal(before[0], before[-1])
    for other in (BrownianPath(1), copy.deepcopy(path), pickle.loads(pickle.dumps(path))):
        assert other == path
        for z, pair in zip(reversed(before), reversed(asked), strict=True):
            assert torch.equal(other.between(x, 9, *pair), z)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: path.between(x, i, *asked[i % 4]), range(200)))
    assert all(torch.equal(z, before[i % 4]) for i, z in enumerate(found))
    assert not torch.equal(BrownianPath(2).between(x, 0, *asked[0]), before[0])
    assert path != NoisePool(1)
    assert {path: "a key"}[BrownianPath(1)] == "a key"


def test_what_is_no_stretch_of_the_path_is_the_pools():
    path, pool, x = BrownianPath(7), NoisePool(7), torch.zeros(5, 2)
    assert torch.equal(path.start(5, (2,)), pool.start(5, (2,)))
    assert torch.equal(path.step(x, 3, 1), pool.step(x, 3, 1))
    assert torch.equal(path.between(x, 3, 0.5, 0.5, 1), pool.step(x, 3, 1))  # Langevin's walk at one level
    assert torch.equal(path.between(x, 3, 70.0, math.inf), pool.step(x, 3))  # beyond what log-SNRs tell apart


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_has_the_dtype_of_the_samples(dtype):
    z = BrownianPath(7).between(torch.zeros(5, 2, dtype=dtype), 0, 0.0, 1.0)
    assert z.dtype == dtype
    assert torch.equal(z, BrownianPath(7).between(torch.zeros(5, 2), 0, 0.0, 1.0).to(dtype))


@pytest.mark.parametrize("log_snr", [math.nan, None, "0", torch.ones(2)])
def test_refuses_what_is_no_log_snr(log_snr):
    with pytest.raises(ValueError, match="asked for log-SNRs, but got"):
        BrownianPath(7).between(ROW, 0, log_snr, 1.0)


def endpoints(sampler, noise, steps):
    schedule = VPLinear()
    den = ExactDenoiser(GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], 0.2), schedule)
    grid = schedule.t_of_log_snr(torch.linspace(-8, 6, steps + 1, dtype=torch.float64))
    x = noise.start(200, (2,)).double()
    return final(sample(den, sampler, grid, x=x, noise=noise))


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(0.5)], ids=lambda s: s.label)
def test_runs_converge_sample_by_sample_along_one_path(sampler):
    """Strong convergence. Both multiply the noise by a function of time alone: there Euler's strong order is 1 (Kloeden &
    Platen 1992, section 10.3), an error of e / 2^k after k doublings. That of the reference, 640 steps, adds an eighth or
    less at 80. A pool of separate draws has another path at each number of steps: its runs do not come nearer."""
    errors = {}
    for noise in (BrownianPath(7), NoisePool(7)):
        reference = endpoints(sampler, noise, 640)
        errors[type(noise)] = [
            float((endpoints(sampler, noise, n) - reference).square().mean().sqrt()) for n in (20, 40, 80)
        ]
    order = math.log2(errors[BrownianPath][0] / errors[BrownianPath][-1]) / 2
    assert 0.8 < order < 1.3
    assert errors[BrownianPath][-1] < 0.06
    assert min(errors[NoisePool]) > 0.7


def test_two_samplers_share_one_path():
    """DDIM(eta=1) is ancestral sampling, and any two samplers of one SDE stay near on one path where their own noise would
    part them: the large variance is that of the same SDE as steps shrink."""
    path = BrownianPath(7)
    small, large = (endpoints(s, path, 160) for s in (Ancestral(), Ancestral("large")))
    other = endpoints(Ancestral("large"), NoisePool(7), 160)
    assert (small - large).square().mean().sqrt() < 0.08
    assert (small - other).square().mean().sqrt() > 0.7


def test_starts_from_noise_alone():
    """alpha = 0: the first log-SNR is -inf, from where the path comes."""
    den = ExactDenoiser(GaussianMixture.ring(), Flow())
    x = final(sample(den, Ancestral(), evaluations=8, n=50, noise=BrownianPath(0)))
    assert x.isfinite().all()
    again = final(sample(den, Ancestral(), evaluations=8, n=3, noise=BrownianPath(0)))
    torch.testing.assert_close(again, x[:3], rtol=1e-5, atol=1e-5)


def test_keeps_no_tree():
    """However many steps it is cut into, it remembers the intervals of one step: two ends in 28 levels."""
    path, x = BrownianPath(0), torch.zeros(3, 2)
    for i in range(300):
        path.between(x, i, -6 + i * 0.04, -6 + (i + 1) * 0.04)
    assert len(path._nodes.known) <= 2 * 28
