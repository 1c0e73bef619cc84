"""Euler, Heun, EDM, Euler-Maruyama and RK45 where mixed devices cannot pass (see test_devices.py), and in half precision."""

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.convergence import Plane
from difflab.data import GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser
from difflab.networks import network_for
from difflab.samplers import RK45, EDMStochastic, Euler, EulerMaruyama, Heun, NoisePool, sample
from difflab.schedules import Flow, Geometric, VPCosine

RING = GaussianMixture.ring()
SAMPLERS = [Euler(), Heun(), EDMStochastic(2.0), EulerMaruyama(), RK45()]
GRIDS = [[1.0, 0.0], [1.0, 0.6, 0.2, 0.0], [0.9, 0.5, 0.1]]
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: s.label)


@pytest.fixture
def without_float64(monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})


def oracle_of(data, schedule):
    return ExactDenoiser(data, schedule)


def network_of(data, schedule):
    with META:
        return NetworkDenoiser(network_for(data, conditional=True), schedule, "v")


each_case = pytest.mark.parametrize(
    ("make", "data", "schedule"),
    [(oracle_of, RING, Geometric()), (oracle_of, digits(), Flow()), (network_of, RING, VPCosine())],
    ids=lambda v: getattr(v, "name", None) or v.__name__,
)


@each_case
@each_sampler
def test_stays_on_the_device(sampler, make, data, schedule):
    labels = torch.zeros(3, dtype=torch.int64, device=META)
    denoiser = Conditioned(make(data, schedule), labels)
    for grid in GRIDS[1:]:
        states = sample(denoiser, sampler, grid, x=torch.zeros(3, *data.shape, device=META))
        with dry_run():
            for state in states:
                assert (state.x.device, state.x.dtype, state.x.shape) == (META, torch.float32, (3, *data.shape))


@each_case
@each_sampler
def test_needs_no_float64_on_the_device(sampler, make, data, schedule, without_float64):
    states = sample(make(data, schedule), sampler, GRIDS[1], x=torch.zeros(3, *data.shape, device=META))
    with dry_run(), No64():
        assert [state.x.device for state in states] == [META] * 4


@each_sampler
@pytest.mark.parametrize("schedule", [VPCosine(), Flow(), Geometric()], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_stays_in_its_dtype_and_near_its_run_in_float64(sampler, schedule, dtype):
    """Rounding of x at every step: three of them, each magnified by what is left of the flow, by less than 10 in all."""
    oracle, x = Plane().denoiser(schedule), Plane().start(20, schedule, 0.6)
    ends = []
    for start in (x, x.to(dtype)):
        states = list(sample(oracle, sampler, [0.6, 0.5, 0.4, 0.3], x=start, noise=NoisePool(0)))
        assert all(state.x.dtype == start.dtype for state in states)
        ends.append(states[-1].x.double())
    assert float((ends[0] - ends[1]).abs().max()) < 10 * torch.finfo(dtype).eps * float(x.abs().max()) + 1e-5


@each_sampler
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_takes_an_empty_batch(sampler, grid):
    states = list(sample(ExactDenoiser(RING, Flow()), sampler, grid, n=0))
    assert states[-1].x.shape == (0, 2)
    assert states[-1].evaluations >= len(grid) - 1
