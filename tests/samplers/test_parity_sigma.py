"""Euler, Heun, ancestral and EDM steps against diffusers' schedulers in sigma, given the same inputs, answers and noise.

They work on y = x / alpha at the noise level sigma / alpha, which is therefore all that a step of ours may depend on: VPLinear
and EDM give the same numbers. Times are read off from their levels, so that tables need not agree to more than their float32
(which is looked at once); what is left is rounding in float32, a few 1e-7 of the largest number in a step: the noise in y.
"""

from itertools import pairwise

import diffusers
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.predictions import convert
from difflab.samplers import DDIM, Ancestral, EDMStochastic, Euler, Heun, sample
from difflab.schedules import EDM, VPLinear

DATA = GaussianMixture.ring()
VP, VE = VPLinear(), EDM(0.002, 300.0)
ROWS = 16
ROUNDING = 8 * 2**-24  # of the largest number: some products and sums
SCHEDULES = pytest.mark.parametrize("schedule", [VP, VE], ids=lambda s: s.name)


def scheduler(cls, steps, **settings):
    peer = cls(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", **settings)
    peer.set_timesteps(steps)
    return peer


def times_of(schedule, sigmas):
    """Where sigma / alpha is as theirs."""
    sigmas = sigmas.double()
    return torch.cat([schedule.t_of_log_snr(-2 * sigmas[sigmas > 0].log()), sigmas[sigmas == 0]])


def run(sampler, schedule, times):
    """States from samples at the first time."""
    oracle = ExactDenoiser(DATA, schedule)
    x0 = DATA.sample(ROWS, torch.Generator().manual_seed(0))
    level = schedule.level(float(times[0]))
    x = level.alpha * x0 + level.sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    return list(sample(oracle, sampler, times, x=x, generator=torch.Generator().manual_seed(2)))


def eps_of(schedule, x, t):
    alpha, sigma = (a.to(x.dtype) for a in schedule.alpha_sigma(t))
    return convert(ExactDenoiser(DATA, schedule)(x, t).mean, "x0", "eps", x, alpha, sigma)


def y_of(schedule, state):
    return state.x / schedule.level(state.t).alpha


def assert_same(ours, theirs, scale):
    assert theirs.dtype == torch.float32
    assert float((ours - theirs).abs().max()) < ROUNDING * max(1.0, float(scale.abs().max()))


@pytest.fixture
def noise(monkeypatch):
    """Puts noise of ours where diffusers would draw its own."""
    given = {}
    for module in ("euler_discrete", "euler_ancestral_discrete", "edm_euler"):
        monkeypatch.setattr(f"diffusers.schedulers.scheduling_{module}.randn_tensor", lambda *_, **__: given["z"])
    return given


@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_levels_are_those_of_the_chain(spacing):
    """At integer timesteps, to the float32 of their table: 1 - alpha_bar loses the digits of beta_1 = 1e-4 at the lowest."""
    peer = scheduler(diffusers.EulerDiscreteScheduler, 10, timestep_spacing=spacing)
    times = (peer.timesteps.double() + 1) / 1000
    expected = (VP.sigma(times) / VP.alpha(times)).float()
    torch.testing.assert_close(peer.sigmas[:-1], expected, rtol=3e-4, atol=0)
    assert peer.sigmas[-1] == 0


def test_linspace_levels_between_two_of_the_table_are_not_quite_those_of_the_time():
    """At fractional timesteps diffusers interpolates sigma linearly, and tells the network the time: near the data, where sigma
    bends most, the two differ by up to a few percent."""
    peer = scheduler(diffusers.EulerDiscreteScheduler, 2000, timestep_spacing="linspace")
    times = (peer.timesteps.double() + 1) / 1000
    off = peer.sigmas[:-1].double() / (VP.sigma(times) / VP.alpha(times)) - 1
    assert off.abs()[times < 0.002].max() > 0.01
    assert off.abs()[times > 0.01].max() < 1e-3


SETTINGS = [
    {"timestep_spacing": "leading"},
    {"timestep_spacing": "trailing"},
    {"timestep_spacing": "linspace"},
    {"use_karras_sigmas": True},
    {"use_exponential_sigmas": True},
]
each_setting = pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))


@SCHEDULES
@each_setting
@pytest.mark.parametrize("sampler", [Euler(), DDIM()], ids=lambda s: s.label)
def test_euler_and_ddim_are_the_euler_scheduler(sampler, settings, schedule):
    peer = scheduler(diffusers.EulerDiscreteScheduler, 12, **settings)
    states = run(sampler, schedule, times_of(schedule, peer.sigmas))
    for i, (before, after) in zip(peer.timesteps, pairwise(states), strict=True):
        y = y_of(schedule, before)
        peer.scale_model_input(y, i)
        theirs = peer.step(eps_of(schedule, before.x, before.t), i, y).prev_sample
        assert_same(y_of(schedule, after), theirs, y)


@SCHEDULES
@pytest.mark.parametrize("sampler", [Euler(), Heun()], ids=lambda s: s.label)
def test_a_run_may_end_at_the_lowest_level(sampler, schedule):
    """final_sigmas_type="sigma_min": a grid of ours that ends above zero. Their Heun has no such setting, but its step to the
    last level but one is that of a run which ends there."""
    if isinstance(sampler, Euler):
        peer = scheduler(
            diffusers.EulerDiscreteScheduler, 12, timestep_spacing="trailing", final_sigmas_type="sigma_min"
        )
        states = run(sampler, schedule, times_of(schedule, peer.sigmas))
        before, after = states[-2:]
        peer.set_begin_index(11)
        y = y_of(schedule, before)
        theirs = peer.step(eps_of(schedule, before.x, before.t), peer.timesteps[-1], y).prev_sample
    else:
        peer = scheduler(diffusers.HeunDiscreteScheduler, 12, timestep_spacing="trailing")
        states = run(sampler, schedule, times_of(schedule, peer.sigmas[[*range(0, 22, 2), 21]])[:-1])
        before, after = states[-2:]
        y, theirs = y_of(schedule, before), heuns_step(peer, schedule, before, len(states) - 2)
    assert after.t > 0
    assert_same(y_of(schedule, after), theirs, y)


def heuns_step(peer, schedule, before, k):
    """Two calls: a step of Euler's, then the correction, for which it is told the level it has gone to."""
    first = 2 * k
    peer.set_begin_index(first)
    peer._step_index, peer.dt = None, None
    y = y_of(schedule, before)
    guess = peer.step(eps_of(schedule, before.x, before.t), peer.timesteps[first], y).prev_sample
    if peer.sigmas[first + 1] == 0:
        return guess
    s = float(times_of(schedule, peer.sigmas[first + 1 : first + 2]))
    eps = eps_of(schedule, guess * schedule.level(s).alpha, s)
    return peer.step(eps, peer.timesteps[first + 1], guess).prev_sample


@SCHEDULES
@each_setting
@pytest.mark.parametrize("sampler", [Heun(), EDMStochastic()], ids=lambda s: s.label)
def test_heun_and_edm_without_churn_are_the_heun_scheduler(sampler, settings, schedule):
    """Its list has every level but the ends twice. The correction divides by the level it goes to: rounding of y / sigma_s."""
    peer = scheduler(diffusers.HeunDiscreteScheduler, 12, **settings)
    levels = torch.cat([peer.sigmas[::2], peer.sigmas[-1:]])[:13]
    states = run(sampler, schedule, times_of(schedule, levels))
    assert len(states) == 13
    for k, (before, after) in enumerate(pairwise(states)):
        y = y_of(schedule, before)
        theirs = heuns_step(peer, schedule, before, k)
        stretch = 1.0 if levels[k + 1] == 0 else float(levels[k] / levels[k + 1])
        assert_same(y_of(schedule, after), theirs, stretch * y)


@SCHEDULES
@pytest.mark.parametrize("settings", SETTINGS[:3], ids=lambda s: s["timestep_spacing"])
@pytest.mark.parametrize("sampler", [Ancestral("small"), DDIM(1.0)], ids=lambda s: s.label)
def test_ancestral_with_the_small_variance_is_the_euler_ancestral_scheduler(sampler, settings, schedule, noise):
    """A method of no other name here: its step down to sigma_down = sigma_s^2 / sigma_t, with noise sigma_up^2 = sigma_s^2 -
    sigma_down^2 on top, in y. It is alpha_s times the bridge's c_x, c_0 and var."""
    peer = scheduler(diffusers.EulerAncestralDiscreteScheduler, 12, **settings)
    states = run(sampler, schedule, times_of(schedule, peer.sigmas))
    for i, (before, after) in zip(peer.timesteps, pairwise(states), strict=True):
        y = y_of(schedule, before)
        peer.scale_model_input(y, i)
        noise["z"] = torch.zeros_like(y) if after.z is None else after.z
        theirs = peer.step(eps_of(schedule, before.x, before.t), i, y).prev_sample
        assert_same(y_of(schedule, after), theirs, y)


@pytest.mark.parametrize("sigma_schedule", ["karras", "exponential"])
@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_euler_is_the_edm_euler_scheduler(sigma_schedule, final):
    """Its network predicts Karras' F. On "sigma_min" it visits the lowest level twice, a last step of no size."""
    peer = diffusers.EDMEulerScheduler(sigma_schedule=sigma_schedule, final_sigmas_type=final)
    peer.set_timesteps(12)
    schedule, levels = EDM(0.002, 80.0), peer.sigmas if final == "zero" else peer.sigmas[:-1]
    states = run(Euler(), schedule, times_of(schedule, levels))
    for i, (before, after) in zip(peer.timesteps, pairwise(states), strict=False):
        peer.scale_model_input(before.x, i)
        alpha, sigma = (a.float() for a in schedule.alpha_sigma(before.t))
        f = convert(after.denoised, "x0", "edm", before.x, alpha, sigma, sigma_data=peer.config.sigma_data)
        assert_same(after.x, peer.step(f, i, before.x).prev_sample, before.x)


@pytest.mark.parametrize("churn", [0.2, 100.0])
@pytest.mark.parametrize("cls", [diffusers.EulerDiscreteScheduler, diffusers.EDMEulerScheduler])
def test_churn_of_diffusers_asks_the_network_before_the_noise_is_added(cls, churn, noise):
    """A fault: step(model_output, ..., s_churn) is given what the network says of x at sigma, and takes it for what it would say
    of the noisier x at sigma-hat. Given the latter, its last step is that of our EDMStochastic. Given the former, as pipelines
    must, the last step leaves the new noise, sqrt(sigma-hat^2 - sigma^2) of it, in the samples."""
    schedule = EDM(0.002, 80.0)
    peer = cls() if cls is diffusers.EDMEulerScheduler else scheduler(cls, 1, timestep_spacing="trailing")
    peer.set_timesteps(1)
    sigma = 1.0
    peer.sigmas = torch.tensor([sigma, 0.0])
    before, after = run(EDMStochastic(churn=churn), schedule, times_of(schedule, peer.sigmas))
    noise["z"] = after.z
    risen = sigma * (1 + min(churn, 2**0.5 - 1))
    added = (risen**2 - sigma**2) ** 0.5

    def stepped(x, level):
        """Theirs from `before`, told what is known of x at this level."""
        x0 = ExactDenoiser(DATA, schedule)(x, float(times_of(schedule, torch.tensor([level]))[0])).mean
        kind, sigma_data = ("edm", peer.config.sigma_data) if cls is diffusers.EDMEulerScheduler else ("eps", 1.0)
        one, at = torch.ones(()), torch.tensor(level)
        output = convert(x0, "x0", kind, x, one, at, sigma_data=sigma_data)
        peer._step_index = 0
        peer.is_scale_input_called = True
        return peer.step(output, peer.timesteps[0], before.x, s_churn=churn).prev_sample

    assert_same(after.x, stepped(before.x + added * after.z, risen), before.x)
    wrong = stepped(before.x, sigma)
    if cls is diffusers.EulerDiscreteScheduler:
        x0 = ExactDenoiser(DATA, schedule)(before.x, before.t).mean
        left = added * after.z - (risen - sigma) * (before.x - x0) / sigma
        assert_same(wrong, x0 + left, before.x)
    assert (wrong - after.x).abs().max() > 0.1
