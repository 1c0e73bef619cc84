"""Ancestral sampling with every variance, and DDIM upwards, where mixed devices cannot pass: see test_devices.py."""

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.networks import network_for
from difflab.samplers import Ancestral, DDIMInversion, grids, sample
from difflab.samplers.chains.ancestral import VARIANCES
from difflab.schedules import Flow, Geometric, VPCosine

RING = GaussianMixture.ring()
SAMPLERS = [
    *(Ancestral(variance, denoise) for variance in VARIANCES for denoise in (True, False)),
    Ancestral("optimal", posterior_var=lambda log_snr: 0.5),
    DDIMInversion(),
    DDIMInversion(2),
]


@pytest.fixture
def without_float64(monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})


def denoiser_for(sampler, data, schedule):
    """The oracle; where a fraction must be predicted, a network."""
    if getattr(sampler, "variance", None) != "learned":
        return ExactDenoiser(data, schedule)
    with META:
        network = network_for(data, outputs=2)
    return NetworkDenoiser(network, schedule, "v", learned_range=True)


@pytest.mark.parametrize(
    ("data", "schedule"), [(RING, Geometric()), (RING, Flow()), (digits(), VPCosine())], ids=lambda v: v.name
)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)
def test_every_state_stays_on_the_device_in_float32(sampler, schedule, data, without_float64):
    grid = grids.uniform(schedule, 3)
    grid = grid.flip(0) if isinstance(sampler, DDIMInversion) else grid
    states = sample(denoiser_for(sampler, data, schedule), sampler, grid, x=torch.zeros(3, *data.shape, device=META))
    with dry_run(), No64():
        for state in states:
            assert (state.x.device, state.x.dtype, state.x.shape) == (META, torch.float32, (3, *data.shape))
    assert state.t == grid[-1]
