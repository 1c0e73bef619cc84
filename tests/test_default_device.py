"""torch's default device is where tensors go whose place nobody says. Here tables are on the CPU, and samples where they were
asked for, whatever it is: with "meta", on which no number can be read, everything runs, and gives the same numbers."""

import pytest
import torch
from torch import Generator

from difflab.convergence import ExactFlowMap, Line, Plane, flow, measure
from difflab.data import FiniteSet, GaussianMixture, Sharpened
from difflab.denoisers import ExactDenoiser
from difflab.denoisers.guidance import SharpenedDenoiser
from difflab.samplers import (
    DDIM,
    MALA,
    SAMPLERS,
    Ancestral,
    BrownianPath,
    Consistency,
    Langevin,
    MeanFlow,
    NoisePool,
    OneLevel,
    Trajectory,
    diagnostics,
    grids,
    recursion,
    sample,
)
from difflab.schedules import VPCosine

PAIR = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], 0.04)
ONE = GaussianMixture(None, [[0.0]], 1.0)
ORACLE, MAP = ExactDenoiser(PAIR, VPCosine()), ExactFlowMap(ExactDenoiser(PAIR, VPCosine()), 10)
X = torch.tensor([[0.3, -0.2], [1.1, 0.4], [-0.7, 0.9]])


def run(sampler, denoiser=ORACLE, noise=None):
    grid = grids.constant(0.5, 5) if isinstance(sampler, OneLevel) else None
    spend = {"evaluations": 4} if grid is None else {}
    return list(sample(denoiser, sampler, grid, x=X, noise=noise or NoisePool(1), **spend))


def walked():
    states = run(MALA())
    return diagnostics.effective_sample_size(states), *diagnostics.mode_mass_over_time(states, ORACLE)


def of(data):
    return data.sample(4, Generator("cpu").manual_seed(0))


CASES = {
    **{name: lambda cls=cls: run(cls())[-1].x for name, cls in SAMPLERS.items()},
    "Consistency": lambda: run(Consistency(), MAP, BrownianPath(1))[-1].x,
    "MeanFlow": lambda: run(MeanFlow(), MAP)[-1].x,
    "flow": lambda: flow(ORACLE, X, 0.9, 0.1, steps=5),
    "trajectory": lambda: Trajectory.of(run(DDIM())).thinned(keep=2).states,
    "in the plane": lambda: measure(DDIM(), Plane(steps=8), steps=(4, 8), n=4).errors,
    "on the line": lambda: measure(DDIM(), Line(), steps=(4, 8), n=4).errors,
    "of the law": lambda: measure(Ancestral(), steps=(4, 8)).errors,
    "align_your_steps": lambda: grids.align_your_steps(ORACLE, 3, X, levels=10, generator=Generator("cpu")).value,
    "gits": lambda: grids.gits(ORACLE, 3, x=X, levels=10).times,
    "ld3": lambda: grids.ld3(ORACLE, 2, DDIM(), x=X, iterations=1).times,
    "mixture": lambda: of(PAIR),
    "finite set": lambda: of(FiniteSet(X.numpy())),
    "weighted set": lambda: of(FiniteSet(X.numpy(), weights=[0.2, 0.3, 0.5])),
    "sharpened": lambda: of(Sharpened(PAIR, 0, 2.0)),
    "sharpened, denoised": lambda: SharpenedDenoiser(Sharpened(PAIR, 0, 2.0), VPCosine(), nodes=16)(X, 0.5).mean,
    "recursion": lambda: recursion.predicted_variance(Langevin(), ExactDenoiser(ONE, VPCosine()), [0.5, 0.5, 0.5]),
    "diagnostics": walked,
}


@pytest.mark.parametrize("name", CASES)
def test_knows_where_its_numbers_are(name):
    due = CASES[name]()
    torch.set_default_device("meta")
    try:
        found = CASES[name]()
    finally:
        torch.set_default_device(None)
    torch.testing.assert_close(found, due, rtol=0, atol=0, equal_nan=True)
