"""Guidance, few-step models and their losses on a device without values: nothing stays on the CPU, nothing is float64."""

from contextlib import nullcontext

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.data import GaussianMixture, Sharpened, digits
from difflab.denoisers import Conditioned, ConsistencyDenoiser, ExactDenoiser, MeanFlowDenoiser, NetworkDenoiser
from difflab.denoisers.guidance import (
    Autoguidance,
    BayesClassifier,
    ClassifierFree,
    ClassifierGuidance,
    Interval,
    SharpenedDenoiser,
)
from difflab.networks import network_for
from difflab.objectives import ConsistencyTraining, MeanFlowTraining
from difflab.samplers import DDIM, Consistency, MeanFlow, sample
from difflab.schedules import EDM, VPCosine

RING = GaussianMixture.ring()
ORACLE = ExactDenoiser(RING, VPCosine())
GUIDED = {
    "classifier": ClassifierGuidance(ORACLE, BayesClassifier(ORACLE)),
    "classifier-free": ClassifierFree(ORACLE, 2.0),
    "autoguidance": Autoguidance(ORACLE, ExactDenoiser(GaussianMixture.ring(std=0.4), VPCosine()), 2.0),
    "interval": Interval(ClassifierFree(ORACLE, 2.0), sigma=(0.1, 2.0)),
}


@pytest.fixture
def without_float64(monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})


@pytest.mark.parametrize("name", GUIDED)
def test_guidance(name, without_float64):
    labels = torch.zeros(3, dtype=torch.int64)  # Conditioned brings them to where x is
    x = torch.zeros(3, 2, device=META)
    states = sample(Conditioned(GUIDED[name], labels), DDIM(), [0.9, 0.5, 0.0], x=x)
    with dry_run(), No64():
        assert [s.x.device for s in states] == [META] * 3
        found = GUIDED[name](x, torch.full((3,), 0.5, device=META), labels.to(META)).mean
        assert (found.device, found.dtype, found.shape) == (META, torch.float32, (3, 2))


def test_the_sharpened_denoiser(without_float64):
    denoiser = SharpenedDenoiser(Sharpened(RING, 1, 2.0), VPCosine(), nodes=8)
    with dry_run(), No64():
        found = denoiser(torch.zeros(3, 2, device=META), 0.5)
        assert (found.mean.device, found.mean.dtype, found.var.shape) == (META, torch.float32, (3, 2))


def models(data):
    with META:
        f = ConsistencyDenoiser(NetworkDenoiser(network_for(data, conditional=True), EDM(), "edm"))
        u = MeanFlowDenoiser(network_for(data, conditional=True, levels=2))
    return [(f, ConsistencyTraining(), Consistency()), (u, MeanFlowTraining(), MeanFlow())]


@pytest.mark.parametrize("data", [RING, digits()], ids=lambda d: d.name)
@pytest.mark.parametrize("which", [0, 1], ids=["consistency", "mean flow"])
def test_few_step_models(data, which, without_float64):
    model, objective, sampler = models(data)[which]
    x0, labels = torch.zeros(4, *data.shape, device=META), torch.zeros(4, dtype=torch.int64, device=META)
    states = sample(Conditioned(model, labels), sampler, [1.0, 0.5, 0.0], x=x0)
    # forward-mode derivatives keep Python's numbers as float64 ones of no dimension, on "meta" here: only devices are looked at
    with dry_run(), nullcontext() if which else No64():
        loss = objective.loss(model, x0, labels)
        loss.backward()
        assert (loss.device, loss.dtype) == (META, torch.float32)
        assert all(p.grad is not None and p.grad.device == META for p in model.parameters())
    with dry_run(), No64():
        assert [s.x.device for s in states] == [META] * 3
