"""No accelerator is at hand: whole training steps in a dry run on the device "meta", where mixing devices is an error."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from difflab.data import FiniteSet, GaussianMixture, digits, two_moons
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import Geometric, VPCosine, VPLinear
from difflab.training import train
from difflab.training.run import Run

TWO_DEVICES = r"found (at least two devices|two different devices),? (meta(:0)?(,| and) cpu|cpu(,| and) meta)"

CASES = {
    "ring": (GaussianMixture.ring(), VPCosine(), {}, {}),
    "ring with classes": (GaussianMixture.ring(), VPLinear(), {"conditional": True}, {"clip_gradient": 1.0}),
    "moons": (two_moons(), Geometric(), {"prediction": "eps"}, {}),
    "digits": (digits(), VPCosine(), {"conditional": True}, {"decay": "cosine"}),
    "digits by a DiT": (digits(), VPCosine(), {"conditional": True, "network": "DiT", "dropout": 0.1}, {}),
    "digits with dropout": (digits(), VPCosine(), {"conditional": True, "dropout": 0.1}, {}),
    "points with vectors": (FiniteSet(two_moons().x, vectors=two_moons().x), VPCosine(), {"conditional": True}, {}),
    "digits without classes": (digits(), VPLinear(), {"prediction": "x0"}, {"weight_decay": 0.1}),
}


def dry_run(data, schedule, options, settings):
    with FakeTensorMode():
        with torch.device("meta"):
            denoiser = NetworkDenoiser.for_data(data, schedule, width=16, **options)
        return list(train(denoiser, data, steps=3, batch=8, device="meta", **settings))


@pytest.mark.parametrize("name", CASES)
def test_training_stays_on_its_device(name):
    states = dry_run(*CASES[name])
    assert [s.step for s in states] == [1, 2, 3]
    assert states[-1].loss.device.type == "meta"
    run = states[-1].run
    assert all(p.device.type == "meta" for p in run.parameters)
    assert all(p.device.type == "meta" for p in run.ema.module.parameters())


def test_a_tensor_left_on_the_cpu_would_be_noticed(monkeypatch):
    original = Run.loss

    def careless(self):
        return original(self) * torch.ones(1, device="cpu").expand(2).sum(0, keepdim=True)

    monkeypatch.setattr(Run, "loss", careless)
    with pytest.raises(RuntimeError, match=TWO_DEVICES):
        dry_run(*CASES["ring"])


def test_noise_drawn_on_the_cpu_would_be_noticed(monkeypatch):
    monkeypatch.setattr(
        "difflab.objectives.noised.draw_noise", lambda x0, generator: torch.randn(x0.shape, device="cpu")
    )
    with pytest.raises(RuntimeError, match=TWO_DEVICES):
        dry_run(*CASES["digits"])
