"""A short run, its checkpoint, and a way to change what is in the file; trainers that end with their test."""

import time

import pytest
import safetensors.torch
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, train


@pytest.fixture
def trained(tmp_path):
    """(the run of a small network on the ring after three steps, its checkpoint)."""
    data = GaussianMixture.ring()
    *_, state = train(NetworkDenoiser.for_data(data, VPCosine(), width=16), data, steps=3, batch=16, device="cpu")
    path = tmp_path / "ring.safetensors"
    state.save(path)
    return state.run, path


@pytest.fixture
def rewritten():
    """rewritten(path, change, **metadata): the file with its tensors changed and entries of its header replaced."""

    def rewrite(path, change=None, **metadata):
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata()
        tensors = safetensors.torch.load_file(path)
        if change is not None:
            change(tensors)
        safetensors.torch.save_file(tensors, path, header | metadata)
        return path

    return rewrite


@pytest.fixture
def make():
    """make(steps, **options): a trainer of a tiny network on the ring; its thread ends after the test."""
    trainers, data = [], GaussianMixture.ring()

    def maker(steps=10**8, **options):
        options = {"batch": 16, "device": "cpu", "generator": torch.Generator().manual_seed(7)} | options
        trainer = Trainer(NetworkDenoiser.for_data(data, VPCosine(), width=8), data, steps=steps, **options)
        trainers.append(trainer)
        return trainer

    yield maker
    for trainer in trainers:
        trainer.stop()
        assert trainer.state in ("stopped", "finished", "failed")


@pytest.fixture
def until():
    """until(condition): wait for it."""

    def waiting(condition, timeout=20.0):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.001)

    return waiting
