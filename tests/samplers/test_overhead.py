"""How much a sampler does beside its network, counted and not timed: operations of torch for each evaluation.

On a small network every operation takes about as long as any other, whatever it computes: benchmarks/overhead.py times them.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from difflab.denoisers import NetworkDenoiser
from difflab.networks import MLP
from difflab.samplers import RK45, SAMPLERS, OneLevel, sample
from difflab.schedules import VPCosine

NETWORK = MLP((2,))
DENOISER = NetworkDenoiser(NETWORK, VPCosine(), "v")
ROWS, EVALUATIONS = 50, 24
# what the denoiser takes to make x_0 of an answer (2), and a look for nan (2)
EVERY = 4
# a x + b y is two operations, each value more another one, a draw two; what is kept of a step takes some
MOST = {
    "Heun": 1,  # for each of its two evaluations
    "EDMStochastic": 1,
    "DDIM": 2,
    "DDIMInversion": 2,
    "Euler": 2,
    "DPMSolverSingleStep": 2,
    "DPMSolver": 3,
    "AnnealedLangevin": 3,
    "Ancestral": 4,
    "EulerMaruyama": 4,
    "DEIS": 4,
    "PredictorCorrector": 4,
    "DPMSolverSDE": 5,
    "VelocityAdams": 5,
    "IPNDM": 6,
    "UniPC": 7,
}
OTHERS = 8


class Counted(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def counted(work):
    work()  # what is remembered is remembered
    with Counted() as mode, torch.no_grad():
        work()
    return mode.count


@pytest.mark.parametrize("name", [n for n, c in SAMPLERS.items() if not issubclass(c, OneLevel | RK45)])
def test_operations_beside_the_network(name):
    sampler, x = SAMPLERS[name](), torch.randn(ROWS, 2)
    grid = tuple(sampler.default_grid(DENOISER.schedule, EVALUATIONS).tolist())
    bare = counted(lambda: NETWORK(x, torch.zeros(1), None)) - 1  # for the zeros
    evaluations = 0

    def run():
        nonlocal evaluations
        for state in sample(DENOISER, sampler, grid, x=x, generator=generator):
            evaluations = state.evaluations

    generator = torch.Generator().manual_seed(0)
    found = (counted(run) - 10) / evaluations - bare  # ten for the start of a run
    assert found <= EVERY + MOST.get(name, OTHERS)
    assert found > EVERY  # it counts
