"""VE = VP = Flow: on one grid of sigma / alpha a sampler takes the same steps of y = x / alpha, whatever the schedule.

x_t = alpha (x_0 + (sigma / alpha) eps): all that a schedule adds to y is its own time and a scale (Kingma et al. 2021, section
4; Karras et al. 2022, appendix C.3). A method of more than that would sample another law on another schedule.
"""

import math

import pytest
import torch
from test_orders import VARIANTS

from difflab.convergence import Plane
from difflab.samplers import RK45, SAMPLERS, Ancestral, NoisePool, OneLevel, sample
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPSong

TARGET = Plane()
VE, OTHERS = Geometric(0.01, 50.0), [VPCosine(), VPSong(), Flow(), EDM()]
LEVELS = torch.logspace(math.log10(20.0), math.log10(0.03), 13, dtype=torch.float64)

# Class name -> why the schedule counts.
EXCUSED = {
    "EulerMaruyama": "follows the reverse SDE in the schedule's own time, as published: test_euler_maruyama.py",
    "DDIMInversion": "runs upwards: test_ddim_inversion.py",
    **dict.fromkeys(
        (name for name, cls in SAMPLERS.items() if issubclass(cls, OneLevel)),
        "walks in x itself, in steps of its own units, at one level",
    ),
}
# the large variance is sigma_t^2 (1 - r): noise in units of x, not of x / alpha
EVERY = [cls() for name, cls in SAMPLERS.items() if name not in EXCUSED] + [
    m for m in VARIANTS if m != Ancestral("large")
]


def run(sampler, schedule, last):
    """y of every state; the same start and noise on every schedule."""
    times = schedule.t_of_log_snr(-2 * LEVELS.log()).tolist()
    grid = [*times, 0.0] if last else times
    y = LEVELS[0] * torch.randn(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    states = sample(TARGET.denoiser(schedule), sampler, grid, x=schedule.alpha(grid[0]) * y, noise=NoisePool(4))
    return [state.x / schedule.alpha(state.t) for state in states]


@pytest.fixture(scope="module")
def on_ve():
    known = {}

    def get(sampler, last):
        if (sampler, last) not in known:
            known[sampler, last] = run(sampler, VE, last)
        return known[sampler, last]

    return get


@pytest.mark.parametrize("schedule", OTHERS, ids=lambda s: s.name)
@pytest.mark.parametrize("sampler", EVERY, ids=lambda m: m.label)
def test_every_step_is_the_same_whatever_the_schedule(sampler, schedule, on_ve):
    """To 1e-12 of the size of y, which is that of its noise where it starts: twelve steps of float64. RK45, which goes down to
    each schedule's own lowest level at s = 0, is compared above it."""
    last = not isinstance(sampler, RK45)
    for due, found in zip(on_ve(sampler, last), run(sampler, schedule, last), strict=True):
        assert float((found - due).abs().max()) < 1e-12 * max(1.0, float(due.abs().max()))


def test_a_method_of_the_schedules_own_time_would_be_noticed():
    def euler_in_t(denoiser, state, s):
        t, schedule = state.t, denoiser.schedule
        (alpha, sigma), (alpha_rate, sigma_rate) = schedule.alpha_sigma(t), schedule.rates(t)
        x0 = denoiser(state.x, t).mean
        return state.x + (s - t) * (alpha_rate * x0 + sigma_rate * (state.x - alpha * x0) / sigma)

    ends = [run(euler_in_t, schedule, False)[-1] for schedule in (VE, Flow())]
    assert float((ends[0] - ends[1]).abs().max()) > 0.01


def test_nobody_is_excused_who_is_not_there():
    assert set(EXCUSED) <= set(SAMPLERS)
