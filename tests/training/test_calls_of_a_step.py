"""How much a training step does beside its network, counted and not timed: operations of torch.

On a small network every operation takes about as long as any other, whatever it computes: benchmarks/training.py times them.
"""

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from difflab.data import FiniteSet, GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import train

BATCH, STEPS = (
    8,
    200,
)  # four rows of metrics, eight close looks, two copies of the run and three blocks of batches among them
RING = GaussianMixture.ring()
IMAGES = FiniteSet(torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)).numpy())


class Counted(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


def bare(denoiser, shape):
    """Operations of a step that is nothing but the network, the mean squared error and the optimiser."""
    network, optimizer = denoiser.network, torch.optim.AdamW(denoiser.parameters(), fused=True)
    x, level, goal = torch.randn(BATCH, *shape), torch.randn(BATCH), torch.randn(BATCH, *shape)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(network(x, level, None), goal).backward()
        optimizer.step()

    step()
    with Counted() as mode:
        step()
    return mode.count


def of_the_loop(data, **options):
    """Operations of a step of the loop: the median over STEPS of them, and the mean."""
    states = train(NetworkDenoiser.for_data(data, VPCosine(), **options), data, steps=10**6, batch=BATCH, device="cpu")
    next(states)  # makes the optimiser's state
    counts = []
    for _ in range(STEPS):
        with Counted() as mode:
            next(states)
        counts.append(mode.count)
    return sorted(counts)[STEPS // 2], sum(counts) / STEPS


def test_a_step_of_the_mlp_is_written_by_hand():
    """55: forward 20 (the code of the level 5, a transpose for every product), the loss 6, backward 20, the optimiser 2, the
    average 2, the watch 5. The bare step has 76."""
    usual, mean = of_the_loop(RING)
    assert 50 < usual <= 57
    assert usual < bare(NetworkDenoiser.for_data(RING, VPCosine()), (2,)) - 15
    assert mean <= usual + 4  # what is done now and then


def test_a_step_of_any_other_network_adds_little_to_it():
    """The average 2, the watch 5 and what is kept of the answer, less what the optimiser and the cut of a block save."""
    usual, mean = of_the_loop(IMAGES, width=8)
    own = bare(NetworkDenoiser.for_data(IMAGES, VPCosine(), width=8), (1, 8, 8))
    assert own < usual <= own + 6
    assert mean <= usual + 8
