"""The optimiser's step in one call, against torch's own step: equal to the bit, whatever happens between two of them."""

import copy

import pytest
import torch
from torch import nn

from difflab.training.update import Update

STEPS = 5


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 2))


def pair(**options):
    """(a network, what steps it, its optimiser) by torch and by `Update`."""
    ours = network()
    theirs = copy.deepcopy(ours)
    one, other = (torch.optim.AdamW(m.parameters(), lr=1e-2, **{"fused": True} | options) for m in (theirs, ours))
    return (theirs, one.step, one), (ours, Update(other), other)


def gradients(model, step, skip=None):
    g = torch.Generator().manual_seed(step)
    for name, p in model.named_parameters():
        p.grad = None if name == skip else torch.randn(p.shape, generator=g)


def assert_equal(one, other, *optimisers):
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        first, second = (o.state[p] for o, p in zip(optimisers, (a, b), strict=True))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-4}, {"amsgrad": True}, {"fused": False}]
)
def test_steps_are_those_of_torch_to_the_bit(options):
    (theirs, step, one), (ours, update, other) = pair(**options)
    start = copy.deepcopy(ours)
    for k in range(STEPS):
        for group in (one.param_groups[0], other.param_groups[0]):
            group["lr"] = 1e-2 / (k + 1)
        for model, take in ((theirs, step), (ours, update)):
            gradients(model, k)
            take()
    assert_equal(theirs, ours, one, other)
    assert not torch.equal(start[0].weight, ours[0].weight)


def test_a_state_put_in_place_of_its_own_is_taken_up():
    """As `Run.restore` does, between two steps."""
    (theirs, step, one), (ours, update, other) = pair()
    for k in range(STEPS):
        if k == 2:
            for model, optimiser in ((theirs, one), (ours, other)):
                for p in model.parameters():
                    moments = {m: torch.full_like(p, 0.5) for m in ("exp_avg", "exp_avg_sq")}
                    optimiser.state[p] = {"step": torch.tensor(7.0), **moments}
        for model, take in ((theirs, step), (ours, update)):
            gradients(model, k)
            take()
    assert_equal(theirs, ours, one, other)
    assert float(other.state[ours[0].weight]["step"]) == 7 + STEPS - 2


def test_a_parameter_without_a_gradient_is_left_alone():
    (theirs, step, one), (ours, update, other) = pair()
    for k in range(STEPS):
        for model, take in ((theirs, step), (ours, update)):
            gradients(model, k, skip="2.bias" if k in (1, 3) else None)
            take()
    assert_equal(theirs, ours, one, other)
    assert float(other.state[ours[2].bias]["step"]) == STEPS - 2


def test_torchs_step_is_asked_only_to_make_the_state(monkeypatch):
    _, (ours, update, other) = pair()
    asked = []
    step = other.step
    monkeypatch.setattr(other, "step", lambda: (asked.append(1), step()))
    for k in range(STEPS):
        gradients(ours, k)
        update()
    assert len(asked) == 1
