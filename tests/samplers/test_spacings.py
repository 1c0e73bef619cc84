"""The DDPM spacings: diffusers' levels for every number of steps, and where its own go wrong."""

import warnings

import diffusers
import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.samplers import grids
from difflab.schedules import Geometric, VPCosine, VPLinear

CHAIN = MarkovChain(VPLinear(), 1000)
RULES = {"leading": grids.leading, "trailing": grids.trailing, "linspace": grids.linspace}
EVERY = range(1, 1001)
#: numbers of trailing steps of 1000 that it makes one more of
ONE_TOO_MANY = [n for n in EVERY if len(np.arange(1000, 0, -1000 / n)) != n]


def theirs(spacing, steps, cls=diffusers.DDPMScheduler, **settings):
    peer = cls(timestep_spacing=spacing, **settings)
    peer.set_timesteps(steps)
    return peer.timesteps.tolist()


def ours(rule, *args, **kwargs):
    """Back to its numbers of levels, which start at 0; the data at the end is left out."""
    grid = rule(CHAIN, *args, **kwargs)
    assert grid.dtype == torch.float64
    assert float(grid[-1]) == 0
    grids.check_decreasing(grid.tolist())
    return (torch.searchsorted(CHAIN.times, grid[:-1]) - 1).tolist()


@pytest.mark.parametrize("spacing", RULES)
def test_levels_are_those_of_diffusers_for_every_number_of_steps(spacing):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for steps in EVERY:
            expected = theirs(spacing, steps)
            if spacing == "trailing" and steps in ONE_TOO_MANY:
                expected = expected[:-1]
            assert ours(RULES[spacing], steps) == expected, steps


def test_trailing_of_diffusers_counts_one_too_many_at_times():
    """A fault: of 61 steps (and 61 other numbers) it makes 62, the last at level -1, which indexes its tables from the end:
    the last step takes its input, almost data, for pure noise."""
    assert len(ONE_TOO_MANY) == 62
    assert ONE_TOO_MANY[0] == 61
    for steps in ONE_TOO_MANY[:3]:
        assert len(theirs("trailing", steps)) == steps + 1
        assert theirs("trailing", steps)[-1] == -1
        assert len(grids.trailing(CHAIN, steps)) == steps + 1  # data among them
    peer = diffusers.DDPMScheduler()
    assert peer.alphas_cumprod[-1] == peer.alphas_cumprod.min()


def test_a_leading_run_starts_below_the_noise_and_an_offset_lifts_it():
    assert ours(grids.leading, 10) == list(range(900, -1, -100))
    assert ours(grids.leading, 10, offset=1) == theirs("leading", 10, steps_offset=1)
    assert ours(grids.leading, 10, offset=99)[0] == 999  # and this is "trailing"
    assert torch.equal(grids.leading(CHAIN, 10, offset=99), grids.trailing(CHAIN, 10))
    assert ours(grids.leading, 600)[0] == 599  # floor(1000 / 600) = 1: the lower 60 % alone
    assert ours(grids.linspace, 1) == [0]  # a single step from almost data, as in diffusers


@pytest.mark.parametrize("schedule", [VPLinear(), VPCosine(), Geometric()], ids=lambda s: s.name)
@pytest.mark.parametrize("spacing", RULES)
def test_visits_levels_of_any_chain(schedule, spacing):
    chain = MarkovChain(schedule, 50)
    for steps in (1, 7, 49, 50):
        grid = RULES[spacing](chain, steps)
        assert len(grid) == steps + 1
        assert torch.isin(grid, chain.times).all()
    assert torch.equal(RULES[spacing](chain, 50), chain.times.flip(0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: grids.leading(CHAIN, 1001), ValueError, "A chain of 1000 steps has no sub-chain of 1001"),
        (lambda: grids.trailing(CHAIN, 0), ValueError, "at least 1, but got 0"),
        (lambda: grids.linspace(CHAIN, 2.5), ValueError, "at least 1, but got 2.5"),
        (lambda: grids.linspace(VPLinear(), 5), TypeError, r"A chain must be a MarkovChain\(schedule, steps\)"),
        (lambda: grids.leading(CHAIN, 10, offset=100), ValueError, "from 0 to 99, but got 100"),
        (lambda: grids.leading(CHAIN, 10, offset=10**400), ValueError, "from 0 to 99, but got 1000"),
        (lambda: grids.leading(CHAIN, 10, offset=-1), ValueError, "from 0 to 99, but got -1"),
    ],
)
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()
