"""The noise pool: named draws that other knobs do not reshuffle."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import (
    DDIM,
    HMC,
    MALA,
    Ancestral,
    AnnealedLangevin,
    BrownianPath,
    Langevin,
    NoisePool,
    OneLevel,
    PredictorCorrector,
    grids,
    sample,
)
from difflab.samplers.chains.bridge import bridge
from difflab.schedules import VPCosine

ORACLE = ExactDenoiser(GaussianMixture.ring(), VPCosine())
SAMPLERS = [
    Ancestral(),
    Ancestral("large"),
    DDIM(),
    DDIM(0.5),
    AnnealedLangevin(2),
    Langevin(),
    MALA(warm_up=2),
    HMC(leapfrog=2),
    PredictorCorrector(),
]


def grid_of(sampler, steps=6):
    return grids.constant(0.3, steps) if isinstance(sampler, OneLevel) else grids.uniform(VPCosine(), steps)


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


def test_a_name_is_one_stream_whatever_was_drawn_before():
    """One generator serves a thread, its state written anew for each draw: an odd number of draws leaves nothing behind."""
    pool, other = NoisePool(3), NoisePool(4)
    x = torch.zeros(7, 3)
    alone = pool.step(x, 5, 2)
    other.step(x[:, :1], 0), pool.start(5, ())
    assert torch.equal(pool.step(x, 5, 2), alone)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda i: (pool if i % 2 else other).step(x, 5, 2), range(400)))
    assert all(torch.equal(z, alone) for z in found[1::2])
    assert not any(torch.equal(z, alone) for z in found[::2])


def test_names_do_not_meet():
    """(index, substep), purposes and seeds, the extremes included: twelve names, twelve streams."""
    x = torch.zeros(64)
    pools = [NoisePool(seed) for seed in (0, 1, 2**64 - 1)]
    draws = [pool.step(x, *name) for pool in pools for name in ((0, 0), (0, 1), (1, 0))] + [
        p.start(64, ()) for p in pools
    ]
    assert len({tuple(z.tolist()) for z in draws}) == 12
    assert not {float(v) for v in draws[0]} & {float(v) for v in draws[1]}  # nor is one the other, shifted


def test_a_pool_is_its_seed():
    assert NoisePool(3) == NoisePool(3) == NoisePool(np.int64(3))
    assert {NoisePool(3): "a key"}[NoisePool(3)] == "a key"
    assert isinstance(BrownianPath.drawn(torch.Generator().manual_seed(0)), BrownianPath)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_has_the_dtype_of_the_samples(dtype):
    z = NoisePool(7).step(torch.zeros(5, 2, dtype=dtype), 0)
    assert z.dtype == dtype
    assert torch.equal(z, NoisePool(7).step(torch.zeros(5, 2), 0).to(dtype))


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "seven", None])
@pytest.mark.parametrize("pool", [NoisePool, BrownianPath])
def test_refuses_what_is_no_seed(pool, seed):
    with pytest.raises(ValueError, match=r"A pool's seed is a whole number from 0 to 2\^64 - 1, but got "):
        pool(seed)


def test_noise_is_shared_by_one_argument():
    """Two runs of one pool start from the same noise and share that of their steps, whatever their methods are."""
    pool = NoisePool(7)
    grid = grid_of(DDIM())
    one, two = (list(sample(ORACLE, s, grid, n=8, noise=pool)) for s in (DDIM(1.0), Ancestral("large")))
    assert torch.equal(one[0].x, two[0].x)
    for index, (a, b) in enumerate(zip(one[1:-1], two[1:-1], strict=True)):
        assert torch.equal(a.z, b.z)
        assert torch.equal(a.z, pool.step(a.x, index))
    assert one[0].z is one[-1].z is None  # the start is no step, and the last one draws nothing
    assert all(s.z is None for s in sample(ORACLE, DDIM(), grid, n=8, noise=pool))


def test_the_noise_of_a_step_takes_it_from_state_to_state():
    """State.z is the draw itself: with it, and nothing else, DDPM's step is done again by hand."""
    grid = grid_of(Ancestral())
    for before, after in pairwise(sample(ORACLE, Ancestral(), grid, x=torch.ones(3, 2, dtype=torch.float64))):
        if after.t > 0:
            b = bridge(VPCosine(), before.t, after.t)
            again = b.c_x * before.x + b.c_0 * after.denoised + b.var**0.5 * after.z
            torch.testing.assert_close(after.x, again, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"noise": 7}, TypeError, r"noise must be a pool such as NoisePool\(0\), but got 7"),
        ({"noise": torch.zeros(3, 2)}, TypeError, "noise must be a pool such as"),
        ({"noise": NoisePool}, TypeError, "noise must be a pool such as"),
        ({"noise": NoisePool(0), "generator": torch.Generator()}, ValueError, "either generator, .* or noise"),
        ({"generator": 7}, TypeError, "generator must be a torch.Generator"),
    ],
)
def test_refuses_what_is_no_noise(given, error, words):
    with pytest.raises(error, match=words):
        sample(ORACLE, DDIM(), evaluations=4, n=3, **given)


@pytest.mark.parametrize("name", [-1, 2.5, None, "1", 2**64])
def test_refuses_draws_that_have_no_name(name):
    for given in ((name, 0), (0, name)):
        with pytest.raises(ValueError, match=r"whole numbers from 0 to 2\^64 - 1, but got"):
            NoisePool(0).step(torch.zeros(3, 2), *given)


def test_refuses_draws_of_no_shape():
    for n, shape in ((-1, (2,)), (2.5, (2,)), (3, (2.5,)), (3, 2), (3, None), (2**70, (2,))):
        with pytest.raises(ValueError, match="whole numbers"):
            NoisePool(0).start(n, shape)
    for pool in (NoisePool(0), BrownianPath(0)):
        with pytest.raises(TypeError, match="in the shape of a tensor, but got None"):
            pool.between(None, 0, -1.0, 1.0)
