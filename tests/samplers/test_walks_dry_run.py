"""Walks and their Metropolis tests without values, on a device of their own: nothing of theirs is left on the CPU, or is float64
where there is none."""

from contextlib import ExitStack

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.data import GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser
from difflab.networks import network_for
from difflab.samplers import (
    HMC,
    MALA,
    AnnealedLangevin,
    Langevin,
    OneLevel,
    PredictorCorrector,
    grids,
    sample,
)
from difflab.schedules import Flow, Geometric, VPCosine

RING = GaussianMixture.ring()
OVER_LEVELS = [
    AnnealedLangevin(2, convention="v1"),
    PredictorCorrector(),
    PredictorCorrector("reverse diffusion", norms="row", corrections=2),
]
WITHOUT_DENSITY = [Langevin(), MALA(path=3), HMC(path=2, leapfrog=2), *OVER_LEVELS]


def runs(denoiser, sampler, data, dtype, *modes):
    grid = grids.constant(0.5, 3) if isinstance(sampler, OneLevel) else grids.uniform(denoiser.schedule, 3)
    x = torch.zeros(3, *data.shape, device=META, dtype=dtype)
    states = sample(denoiser, sampler, grid, x=x, shape=data.shape)
    with ExitStack() as stack:
        for mode in (dry_run(), *modes):
            stack.enter_context(mode)
        for state in states:
            assert (state.x.device, state.x.dtype, state.x.shape) == (META, dtype, (3, *data.shape))
    if isinstance(sampler, MALA | HMC):
        assert all(part.device == META for part in (state.memory.size, state.memory.probability, state.memory.accepted))


@pytest.mark.parametrize(
    "sampler", [MALA(warm_up=1), HMC(warm_up=0, leapfrog=2), *WITHOUT_DENSITY], ids=lambda s: s.label
)
@pytest.mark.parametrize(("schedule", "dtype"), [(Geometric(), torch.float32), (Flow(), torch.bfloat16)])
def test_walks_stay_on_the_device(sampler, schedule, dtype):
    runs(ExactDenoiser(RING, schedule), sampler, RING, dtype)


@pytest.mark.parametrize("sampler", [MALA(warm_up=1), HMC(leapfrog=2), *WITHOUT_DENSITY], ids=lambda s: s.label)
def test_walks_need_no_float64_there(sampler, monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})
    runs(ExactDenoiser(RING, VPCosine()), sampler, RING, torch.float32, No64())


@pytest.mark.parametrize("data", [RING, digits()], ids=lambda d: d.name)
@pytest.mark.parametrize("sampler", WITHOUT_DENSITY, ids=lambda s: s.label)
def test_walks_by_a_network_stay_on_the_device(sampler, data):
    with META:
        network = NetworkDenoiser(network_for(data, conditional=True), VPCosine())
    runs(Conditioned(network, torch.zeros(3, dtype=torch.int64)), sampler, data, torch.float32)
