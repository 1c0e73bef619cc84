"""Grids end at the data exactly and visit a chain's own times."""

import pytest
import torch

from difflab.chain import MarkovChain
from difflab.samplers import grids
from difflab.schedules import Geometric, VPCosine, VPLinear


def test_uniform():
    grid = grids.uniform(VPCosine(), 4)
    assert grid.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert grid.dtype == torch.float64


def test_variance_exploding_grids_visit_the_lowest_level():
    schedule = Geometric(0.01, 1.0)
    for grid in (grids.uniform(schedule, 3), grids.of_chain(MarkovChain(schedule, 3, quiet=True))):
        torch.testing.assert_close(
            schedule.sigma(grid), torch.tensor([1.0, 0.1, 0.01, 0.0]).double(), rtol=1e-6, atol=0
        )
    sub = grids.of_chain(MarkovChain(schedule, 9, quiet=True), 3)
    torch.testing.assert_close(schedule.sigma(sub), torch.tensor([1.0, 0.1, 0.01, 0.0]).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("schedule", [VPLinear(), VPCosine(), Geometric()], ids=lambda s: s.name)
def test_of_chain_is_the_chain_backwards(schedule):
    chain = MarkovChain(schedule, 20)
    assert torch.equal(grids.of_chain(chain), chain.times.flip(0))
    for steps in range(1, 21):
        grid = grids.of_chain(chain, steps)
        assert len(grid) == steps + 1
        assert torch.isin(grid, chain.times).all()
        grids.check_decreasing(tuple(grid.tolist()))


def test_constant():
    assert grids.constant(0.3, 2).tolist() == [0.3] * 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grids.uniform(VPCosine(), 0), "at least 1, but got 0"),
        (lambda: grids.uniform(VPCosine(), 1.5), "at least 1, but got 1.5"),
        (lambda: grids.of_chain(MarkovChain(VPCosine(), 5), 6), "no sub-chain of 6"),
        (lambda: grids.constant(0.0, 5), "0 < t <= 1"),
        (lambda: grids.constant(1.5, 5), "0 < t <= 1"),
        (lambda: grids.constant("0.3", 5), "0 < t <= 1, but got t = '0.3'"),
        (lambda: grids.constant(None, 5), "0 < t <= 1, but got t = None"),
        (lambda: grids.constant(0.3, 10**12), "at most 10,000,000 steps, but got 1000000000000"),
        (lambda: grids.uniform(VPCosine(), 10**400), "at most 10,000,000 steps, but got 1000"),
    ],
)
def test_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_refuses_what_is_no_chain():
    with pytest.raises(TypeError, match="A chain must be a MarkovChain"):
        grids.of_chain(VPCosine(), 5)
