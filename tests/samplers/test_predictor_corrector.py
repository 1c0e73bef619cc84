"""Predictor-corrector against the published algorithms, and against closed forms of its law on Gaussian data."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import energy_distance
from difflab.samplers import Ancestral, NoisePool, PredictorCorrector, final, grids, sample
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPLinear, ZeroTerminalSNR

RING = GaussianMixture.ring()
PREDICTORS = ["ancestral", "reverse diffusion"]
each_predictor = pytest.mark.parametrize("predictor", PREDICTORS)


def published(oracle, grid, x, pool, r, corrections):
    """Algs. 2 and 4 (variance exploding) and 3 and 5 (preserving, without the corrector's factor alpha_i), with norms that are
    means over the batch, as published code has them. Also the mean of the corrector's steps, (levels, corrections)."""
    schedule, steps = oracle.schedule, []
    for i, (t, s) in enumerate(pairwise(grid[:-1])):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = ([float(a) for a in schedule.alpha_sigma(u)] for u in (t, s))
        score, z = oracle.score(x, t), pool.step(x, i)
        if schedule.variance_preserving:
            beta = 1 - (alpha_t / alpha_s) ** 2
            x = (2 - math.sqrt(1 - beta)) * x + beta * score + math.sqrt(beta) * z
        else:
            beta = sigma_t**2 - sigma_s**2
            x = x + beta * score + math.sqrt(beta) * z
        for j in range(corrections):
            z, g = pool.step(x, i, j + 1), oracle.score(x, s)
            epsilon = 2 * (r * z.norm(dim=1).mean() / g.norm(dim=1).mean()) ** 2
            x = x + epsilon * g + (2 * epsilon).sqrt() * z
            steps.append((s, float(epsilon)))
    return oracle(x, grid[-2]).mean, steps


@pytest.mark.parametrize("schedule", [VPLinear(), Geometric(0.05, 5.0)], ids=lambda s: s.name)
def test_by_row_it_is_the_published_algorithm_on_a_batch_of_one(schedule):
    oracle, pool = ExactDenoiser(RING, schedule), NoisePool(4)
    grid = grids.of_chain(MarkovChain(schedule, 12, quiet=True)).tolist()
    for seed in range(5):
        x = schedule.prior_std * torch.randn(1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        sampler = PredictorCorrector("reverse diffusion", 0.2, 2, "row")
        found = final(sample(oracle, sampler, grid, x=x, noise=pool))
        torch.testing.assert_close(found, published(oracle, grid, x, pool, 0.2, 2)[0], rtol=1e-8, atol=1e-8)


def test_published_norms_make_a_sample_depend_on_its_batch_and_ours_do_not():
    """The same row beside others that lie three times as far out."""
    schedule = Geometric(0.05, 5.0)
    oracle, pool = ExactDenoiser(RING, schedule), NoisePool(4)
    grid = grids.uniform(schedule, 12).tolist()
    x = 5 * torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = torch.cat([x[:1], 3 * x[1:]])
    a, b = (published(oracle, grid, batch, pool, 0.3, 1)[0][0] for batch in (x, other))
    assert float((a - b).norm()) > 1e-3
    for norms in ("expected", "row"):
        sampler = PredictorCorrector("reverse diffusion", 0.3, norms=norms)
        a, b, c = (final(sample(oracle, sampler, grid, x=batch, noise=pool))[0] for batch in (x, other, x[:1]))
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(a, c, rtol=1e-9, atol=1e-9)


def test_the_expected_norms_are_those_of_a_large_batch():
    """Published steps, from 1,000 rows in 64 dimensions, over ours, 2 (r sigma)^2: of data of variance v in every direction the
    score has E|g|^2 = D / (v + sigma^2), so the ratio is (v + sigma^2) / sigma^2 up to the error of the law at that step, below
    10 % here: near 1 while noise says more than the data, and 26 at the end."""
    schedule, v = Geometric(0.1, 10.0), 0.25
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.0] * 64], v), schedule)
    grid, g = grids.uniform(schedule, 100).tolist(), torch.Generator().manual_seed(0)
    x = math.sqrt(100 + v) * torch.randn(1000, 64, dtype=torch.float64, generator=g)
    for s, epsilon in published(oracle, grid, x, NoisePool(0), 0.16, 1)[1]:
        sigma = float(schedule.sigma(s))
        ratio = epsilon / (2 * (0.16 * sigma) ** 2)
        assert ratio == pytest.approx((v + sigma**2) / sigma**2, rel=0.1)


def end_of(data, sampler, n):
    """Relative error of the variance at the data, and the error of the mean, from the exact law at the start."""
    grid = grids.log_snr(data.schedule, n).tolist()
    law = data.law(sampler, grid, noises=1 + sampler.corrections)
    alpha = float(data.schedule.alpha(grid[0]))
    mean, var = data.propagate(law, alpha * data.mean, data.marginal_var(grid[0]))
    return var / data.var - 1, mean - data.mean


@each_predictor
@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 20.0)], ids=lambda s: s.name)
def test_corrections_bring_the_law_nearer(gaussian, schedule, predictor):
    """Closed forms, no Monte Carlo: at every number of steps each correction more leaves a smaller error of the variance, at an
    SNR whose own bias, of the order of snr^2 = 0.026, is below the predictor's."""
    data = gaussian(0.3, 0.25, schedule)
    for n in (10, 20, 40):
        errors = [abs(end_of(data, PredictorCorrector(predictor, 0.16, m), n)[0]) for m in (0, 1, 2, 3)]
        assert errors == sorted(errors, reverse=True)
        assert errors[3] < 0.95 * errors[0]


@each_predictor
@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 20.0)], ids=lambda s: s.name)
def test_the_weak_order_is_the_declared_one(gaussian, schedule, predictor):
    """Of the predictor alone, and with a correction whose variance falls with the steps as the predictor's error does."""
    data = gaussian(0.3, 0.25, schedule)
    for sampler in (
        lambda n: PredictorCorrector(predictor, corrections=0),
        lambda n: PredictorCorrector(predictor, 1 / math.sqrt(n)),
    ):
        errors = [end_of(data, sampler(n), n) for n in (80, 160)]
        assert math.log2(errors[0][0] / errors[1][0]) == pytest.approx(PredictorCorrector.order, abs=0.15)
        assert abs(errors[1][1]) < max(1e-3, abs(errors[0][1]) / 1.6)  # the mean, where it errs at all


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.01, 20.0)], ids=lambda s: s.name)
def test_a_correction_keeps_the_law_but_for_langevins_bias(gaussian, schedule):
    """Where the predictor goes nowhere, the law settles at V / (1 - a / (2 V)) with a = 2 (r sigma)^2."""
    data, r = gaussian(0.3, 0.25, schedule), 0.16
    t, s = 0.5, 0.5 - 1e-12
    (law,) = data.law(PredictorCorrector(snr=r), [t, s], noises=2)
    var, a = data.marginal_var(s), 2 * (r * float(schedule.sigma(s))) ** 2
    assert law.slope == pytest.approx(1 - a / var, rel=1e-9)
    assert law.var / (1 - law.slope**2) == pytest.approx(var / (1 - a / (2 * var)), rel=1e-7)
    assert law.offset / (1 - law.slope) == pytest.approx(float(schedule.alpha(s)) * 0.3, rel=1e-7)


@pytest.mark.parametrize("dim", [4, 16])
def test_by_row_the_law_is_another_one(dim):
    """Norms of each row lead to |score|^2 p^(D / (D + 2)), whatever the SNR; expected ones to p up to Langevin's bias.

    Of N(0, V I) the first is |x|^2 exp(-|x|^2 D / (2 V (D + 2))), of variance (1 + 2 / D)^2 V. 400 corrections at r^2 = 0.01
    forget the start as exp(-1600 r^2 sigma^2 / V), e^-8; a variance from n rows errs by sqrt(2 / (n D)), the bias is a few r^2.
    """
    schedule, t, n = VPCosine(), 0.5, 8000 // dim
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.0] * dim], 1.0), schedule)  # V = 1 at every level
    start = torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for norms, expected in (("row", (1 + 2 / dim) ** 2), ("expected", 1.0)):
        sampler = PredictorCorrector(snr=0.1, corrections=400, norms=norms)
        x = final(sample(oracle, sampler, [t, t - 1e-12], x=start, noise=NoisePool(0)))
        assert float(x.square().mean()) == pytest.approx(expected, rel=4 * math.sqrt(2 / (n * dim)) + 0.03)


def test_without_corrections_it_is_the_predictor():
    oracle, grid = ExactDenoiser(RING, VPCosine()), grids.uniform(VPCosine(), 8)
    ours, theirs = (
        final(sample(oracle, s, grid, n=6, noise=NoisePool(1)))
        for s in (PredictorCorrector(corrections=0), Ancestral())
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@each_predictor
@pytest.mark.parametrize(
    "schedule", [VPCosine(), VPLinear(), Geometric(0.01, 20.0), EDM(), Flow(), ZeroTerminalSNR()], ids=lambda s: s.name
)
def test_samples_the_ring(schedule, predictor):
    """From noise alone too; 2e-3 is left to the bias of 100 steps of first order."""
    oracle, g = ExactDenoiser(RING, schedule), torch.Generator().manual_seed(1)
    grid = grids.log_snr(schedule, 100) if not schedule.reaches_zero_snr else grids.uniform(schedule, 100)
    x = final(sample(oracle, PredictorCorrector(predictor), grid, n=2000, generator=g))
    value, error = energy_distance(x, RING.sample(2000, g))
    assert abs(value) < 4 * error + 2e-3


@pytest.mark.parametrize("corrections", [0, 1, 3])
def test_counts_every_evaluation(corrections):
    oracle, sampler = ExactDenoiser(RING, VPCosine()), PredictorCorrector(corrections=corrections)
    *_, last = sample(oracle, sampler, grids.uniform(VPCosine(), 5), n=2)
    assert last.evaluations == 4 * (1 + corrections) + 1
    *_, last = sample(oracle, sampler, [0.9, 0.5, 0.2], n=2)  # ends above the data, corrected there
    assert (last.t, last.evaluations) == (0.2, 2 * (1 + corrections))
    for budget in (1, 2, 7, 20):
        *_, last = sample(oracle, sampler, evaluations=budget, n=2)
        assert budget - corrections <= last.evaluations <= budget


def test_one_step_is_the_posterior_mean():
    oracle, x = ExactDenoiser(RING, VPCosine()), torch.randn(4, 2)
    assert torch.equal(final(sample(oracle, PredictorCorrector(), [0.5, 0.0], x=x)), oracle(x, 0.5).mean)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"predictor": "euler"}, "'ancestral' or 'reverse diffusion', but got 'euler'"),
        ({"snr": 0.0}, "must lie above 0, and below 1, .* but got 0.0"),
        ({"snr": 1.0}, "but got 1.0"),
        ({"snr": None}, "but got None"),
        ({"corrections": -1}, "whole number of steps, 0 or more, but got -1"),
        ({"predictor": np.ones(2)}, "'ancestral' or 'reverse diffusion', but got array"),
        ({"norms": np.ones(2)}, "norms must be 'expected' or 'row', but got array"),
        ({"norms": "batch"}, "norms must be 'expected' or 'row', but got 'batch'"),
    ],
)
def test_refuses_bad_knobs(knobs, words):
    with pytest.raises(ValueError, match=words):
        PredictorCorrector(**knobs)
