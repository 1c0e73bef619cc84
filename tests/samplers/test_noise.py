"""The noise pool: named draws that other knobs do not reshuffle."""

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, AnnealedLangevin, Langevin, NoisePool, grids, sample
from difflab.schedules import VPCosine

ORACLE = ExactDenoiser(GaussianMixture.ring(), VPCosine())
SAMPLERS = [Ancestral(), Ancestral("large"), DDIM(), DDIM(0.5), AnnealedLangevin(2), Langevin()]


def grid_of(sampler, steps=6):
    return grids.constant(0.3, steps) if isinstance(sampler, Langevin) else grids.uniform(VPCosine(), steps)


def run(sampler, seed=0, steps=6, **start):
    return list(
        sample(ORACLE, sampler, grid_of(sampler, steps), generator=torch.Generator().manual_seed(seed), **start)
    )


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)
def test_row_i_is_the_same_whatever_the_number_of_rows(sampler):
    small, large = run(sampler, n=5), run(sampler, n=64)
    for a, b in zip(small, large, strict=True):
        torch.testing.assert_close(a.x, b.x[:5], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)
def test_same_seed_same_run_and_another_seed_another(sampler):
    one, again, other = run(sampler, 0, n=8), run(sampler, 0, n=8), run(sampler, 1, n=8)
    assert all(torch.equal(a.x, b.x) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0].x, other[0].x)


def test_other_knobs_keep_the_initial_noise():
    starts = [run(s, steps=steps, n=8)[0].x for s in SAMPLERS[:5] for steps in (2, 9)]
    assert all(torch.equal(starts[0], x) for x in starts)


def test_eta_keeps_the_noise_of_each_step():
    """The random part of a DDIM step is eta z: at the same step it has the same z whatever eta."""
    start = torch.zeros(6, 2, dtype=torch.float64)
    plain, some, full = (run(DDIM(eta), x=start)[1].x for eta in (0.0, 1e-4, 2e-4))
    # the deterministic part changes by eta^2 only
    torch.testing.assert_close((full - plain), 2 * (some - plain), rtol=1e-3, atol=1e-7)


def test_draws_are_standard_normal_and_independent():
    pool, n = NoisePool(3), 40_000
    x = torch.zeros(n, 1)
    draws = [pool.start(n, (1,)), pool.step(x, 0), pool.step(x, 1), pool.step(x, 0, 1), NoisePool(4).step(x, 0)]
    z = torch.cat(draws, dim=1).double()
    assert z.mean(0).abs().max() < 4.5 / n**0.5
    assert (z.square().mean(0) - 1).abs().max() < 4.5 * (2 / n) ** 0.5
    correlation = np.corrcoef(z.numpy().T)[np.triu_indices(5, 1)]
    assert np.abs(correlation).max() < 4.5 / n**0.5


def test_the_generator_advances_so_that_two_runs_differ():
    g = torch.Generator().manual_seed(0)
    assert NoisePool.drawn(g) != NoisePool.drawn(g)
