"""What an objective learns beside the network has no part in the network's weight decay, nor in the norm that is clipped."""

import torch
from small_runs import RING, states
from torch.optim.optimizer import register_optimizer_step_pre_hook

from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training.loop import prepare


def test_what_the_objective_learns_does_not_decay():
    # the first gradient is the same with and without decay, and so is the first step of what does not decay
    learned, networks = [], []
    for decay in (0.0, 10.0):
        denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
        run = prepare(
            denoiser, RING, steps=1, batch=16, device="cpu", lr=0.01, warmup=0, weighting="uncertainty",
            weight_decay=decay, generator=torch.Generator().manual_seed(7),
        )  # fmt: skip
        beside = [p for _, p in run.objective.named_parameters()]
        with torch.no_grad():
            for parameter in beside:
                parameter.fill_(1.0)  # decay takes nothing from 0
        run.descend(run.loss())
        learned.append([p.detach().clone() for p in beside])
        networks.append(torch.cat([p.detach().flatten() for p in run.parameters]))
    assert learned[0]
    assert all(torch.equal(a, b) for a, b in zip(*learned, strict=True))
    assert not torch.equal(*networks)


def test_the_norm_of_the_gradient_is_that_of_the_network():
    # seen before the gradients are dropped, on the way into the optimiser: a bound that nothing reaches changes none
    first = states(1, weighting="uncertainty", clip_gradient=1e30)
    frame = {}

    def look(optimizer, *_):
        network = [p.grad for p in optimizer.param_groups[0]["params"]]
        beside = [p.grad for p in optimizer.param_groups[1]["params"]]
        frame["network"], frame["beside"] = (
            torch.stack([g.square().sum() for g in grads]).sum().sqrt() for grads in (network, beside)
        )

    hook = register_optimizer_step_pre_hook(look)
    try:
        state = next(first)
    finally:
        hook.remove()
    assert frame["beside"] > 1e-3 * frame["network"]  # or the two could not be told apart
    assert torch.isclose(torch.tensor(state.run.metrics.rows()[-1].gradient_norm), frame["network"], rtol=1e-6)
