"""A training step waits for no device: it reads no tensor back, so a GPU is kept busy, and CUDA graphs can hold what it does.

No accelerator is at hand. Two things stand in: "meta", where whole steps are watched for tensors that are read or copied back
to the CPU; and fake tensors that say they are on "cuda", for the optimiser. What neither can show is CUDA itself.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.device import sent
from difflab.objectives.objective import OBJECTIVES, TIMES
from difflab.schedules import VPCosine
from difflab.training import prepare
from difflab.training.optimiser import adamw, options_for, set_rate
from difflab.training.run import Run

DATA = {"ring": GaussianMixture.ring(), "digits": digits()}
READS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::is_nonzero",
    "aten::equal",
    "aten::unique",
    "aten::masked_select",
}


class Crossings(TorchDispatchMode):
    """Notes what reads a tensor on `kind` as a number, or makes one on the CPU out of it (`back`); and what takes a tensor
    from the CPU there (`there`)."""

    def __init__(self, kind="meta"):
        super().__init__()
        self.kind, self.back, self.there = kind, [], []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        before, after = (
            {t.device.type for t in tree_leaves(part) if isinstance(t, torch.Tensor)} for part in ((args, kwargs), out)
        )
        name = func._schema.name
        if self.kind in before and ("cpu" in after or name in READS):
            self.back.append(name)
        elif "cpu" in before and self.kind in after | before:
            self.there.append(name)
        return out


def stepped(data="ring", **settings):
    """(what crossed, the run): in the second and third step of the run, which draw nothing where blocks are longer."""
    with torch.device("meta"):
        denoiser = NetworkDenoiser.for_data(DATA[data], VPCosine(), width=16, conditional=data == "digits")
    run = prepare(denoiser, DATA[data], steps=200, batch=8, device="meta", **settings)
    with FakeTensorMode(allow_non_fake_inputs=True):
        run.descend(run.loss())
        with Crossings() as seen:
            for _ in range(2):
                run.descend(run.loss())
    return seen, run


@pytest.mark.parametrize(
    ("data", "weighting", "times"),
    [*(("ring", w, "stratified") for w in OBJECTIVES), *((data, "elbo", times) for data in DATA for times in TIMES)],
)
def test_a_step_reads_nothing_back(data, weighting, times):
    seen, run = stepped(data, weighting=weighting, times=times)
    assert run.step == 3
    assert seen.back == []
    if run.blocks.size > 2:
        assert seen.there == []  # what a step needs was sent with its block
    else:  # times that learn: one batch is drawn at a time; examples, labels and the table of times are sent, for each step
        assert set(seen.there) == {"aten::_to_copy"}


@pytest.mark.parametrize("settings", [
    {"clip_gradient": 1.0}, {"averages": (0.05, 0.1)}, {"decay": "cosine", "weight_decay": 0.1}, {"precision": "bfloat16"},
])  # fmt: skip
def test_nor_does_any_setting(settings):
    seen, run = stepped(**settings)
    assert (seen.back, seen.there, run.step) == ([], [], 3)


@pytest.mark.parametrize("careless", [
    lambda loss: loss * float(loss.detach()), lambda loss: loss if bool(loss > 0) else -loss, lambda loss: loss.cpu().to("meta"),
])  # fmt: skip
def test_what_waits_would_be_noticed(monkeypatch, careless):
    original = Run.loss
    monkeypatch.setattr(Run, "loss", lambda self: careless(original(self)))
    try:
        seen, _ = stepped()
    except DataDependentOutputException:  # fake tensors have no value to read
        return
    assert seen.back


@pytest.mark.parametrize(("kind", "fused", "capturable"), [
    ("cpu", True, False), ("cuda", True, True), ("mps", False, False), ("meta", False, False),
])  # fmt: skip
def test_how_adamw_runs(kind, fused, capturable):
    assert options_for(torch.device(kind)) == {"fused": fused, "capturable": capturable}


def test_the_optimiser_s_step_on_cuda_stays_there(monkeypatch):
    """On fake tensors that are on "cuda", up to the one kernel, which has no fake: what it is called with is noted."""
    called = []
    monkeypatch.setattr(torch, "_fused_adamw_", lambda *lists, **options: called.append((lists, options)))
    device = torch.device("cuda")
    with FakeTensorMode(), torch.no_grad(), Crossings("cuda") as seen:
        weights = [
            torch.nn.Parameter(torch.empty(4, 3, device=device)),
            torch.nn.Parameter(torch.empty(3, device=device)),
        ]
        optimizer = adamw([{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.0}], 1e-3, 0.1, device)
        rates = [group["lr"] for group in optimizer.param_groups]
        for step in range(3):
            for weight in weights:
                weight.grad = torch.empty_like(weight)
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            set_rate(optimizer, 1e-3 / (1 + step))
            optimizer.step()
    assert seen.back == []
    assert len(called) == 6
    for i, (lists, options) in enumerate(called):
        assert options["lr"] is rates[i % 2]  # the same memory in every step
        passed = [t for part in (lists, options) for t in tree_leaves(part) if isinstance(t, torch.Tensor)]
        assert len(passed) == 6  # weight, gradient, both moments, step count, rate
        assert {t.device.type for t in passed} == {"cuda"}


def test_the_rate_is_a_plain_number_elsewhere_and_the_one_that_was_set():
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = adamw([{"params": [weight]}], 1e-3, 0.0, torch.device("cpu"))
    weight.grad = torch.full((3,), 2.0, dtype=torch.float64)
    set_rate(optimizer, 0.25)
    optimizer.step()
    # Adam's first step is the rate, but for eps = 1e-8 beside the gradient of 2
    torch.testing.assert_close(weight.detach(), torch.full((3,), 0.75, dtype=torch.float64), rtol=0, atol=2e-9)
    assert optimizer.param_groups[0]["lr"] == 0.25


def test_what_is_sent_to_a_gpu_is_pinned_first(monkeypatch):
    x = torch.arange(3.0)
    assert sent(x, torch.device("cpu")) is x
    asked = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: asked.append("pinned") or self)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, device, non_blocking=False: asked.append((device.type, non_blocking))
    )
    sent(x, torch.device("cuda"))
    assert asked == ["pinned", ("cuda", True)]
