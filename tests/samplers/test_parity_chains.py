"""Ancestral sampling, DDIM and its inversion step by step against diffusers', given the same inputs, answers and noise.

Its timestep i is our level k = i + 1, t = (i + 1) / 1000: there VPLinear is DDPM's table. At each step it gets our samples, our
noise, and what the exact denoiser says of them as eps, so that errors do not add up. Once with its table in float64, where 1 -
alpha_bar keeps 12 digits at the lowest level: what is left is rounding, 1e-9. And once as it is, in float32: there alpha_bar is
off by a few 1e-7 of itself and sigma by 3e-4 (of the lowest, 0.01, where 1 - alpha_bar loses the digits of beta_1 = 1e-4). An
error d of a level moves what eps says of x_0 by d (sigma / alpha)_t, that is x_s by d alpha_s (sigma / alpha)_t, and sigma_s eps
by d sigma_s. Ancestral sampling has its posterior from differences of alpha_bar besides: with e the rounding of numbers near 1,
beta / sigma_t^2 x_0 and sigma_s^2 / sigma_t^2 x_t are each off by 2 e / sigma_t^2, and a standard deviation of sqrt(beta) by
e / sqrt(beta).
"""

from itertools import pairwise

import diffusers
import pytest
import torch

from difflab.chain import MarkovChain, ddpm_betas
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.predictions import convert
from difflab.samplers import DDIM, Ancestral, DDIMInversion, final, grids, sample
from difflab.schedules import VPLinear

VP = VPLinear()
CHAIN = MarkovChain(VP, 1000)
ORACLE = ExactDenoiser(GaussianMixture.ring(), VP)
ROWS = 16
RULES = {"leading": grids.leading, "trailing": grids.trailing, "linspace": grids.linspace}
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
each_precision = pytest.mark.parametrize("dtype", PRECISIONS.values(), ids=PRECISIONS)


class Told:
    """The oracle, and a fraction that differs from coordinate to coordinate, as a network with a learned range has it."""

    schedule, shape = VP, (2,)

    def __call__(self, x_t, t, labels=None):
        return Posterior(ORACLE(x_t, t).mean, fraction=torch.sigmoid(x_t + t))


def scheduler(cls, dtype, steps, **settings):
    peer = cls(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False, **settings)
    if dtype == torch.float64:
        peer.alphas_cumprod = (1 - ddpm_betas()).cumprod(0)
        if settings.get("set_alpha_to_one") is False:
            peer.final_alpha_cumprod = peer.alphas_cumprod[0]
    peer.set_timesteps(steps)
    return peer


def eps_of(x, t, x0):
    alpha, sigma = (a.to(x.dtype) for a in VP.alpha_sigma(t))
    return convert(x0, "x0", "eps", x, alpha, sigma)


def start(t, dtype):
    x0 = ORACLE.data.sample(ROWS, torch.Generator().manual_seed(0))
    level = VP.level(t)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(1))
    return (level.alpha * x0 + level.sigma * noise).to(dtype)


def run(sampler, times, dtype, denoiser=ORACLE):
    x = start(float(times[0]), dtype)
    return list(sample(denoiser, sampler, times, x=x, generator=torch.Generator().manual_seed(2)))


def steps_of(peer, sampler, times, dtype, denoiser=ORACLE):
    """(their timestep, the state before, the state after): all of a run, or, of a long one, a dozen steps by themselves."""
    if len(times) < 50:
        states = run(sampler, times, dtype, denoiser)
        return list(zip(peer.timesteps, pairwise(states), strict=True))
    chosen = [*range(3), *range(3, len(times) - 4, 200), *range(len(times) - 4, len(times) - 1)]
    return [(peer.timesteps[j], tuple(run(sampler, times[j : j + 2], dtype, denoiser))) for j in chosen]


def tolerance(peer, t, s, dtype, differences=False):
    """As derived above, from how far its table is off; eps, x and z are below 6 here."""
    if dtype == torch.float64:
        return 1e-9
    (_, alpha, sigma, _), there = VP.level(t), VP.level(s)
    k = [round(1000 * time) - 1 for time in (t, s)]
    table = (1 - ddpm_betas()).cumprod(0)
    off = (peer.alphas_cumprod.double() / table - 1).abs()[k[0]]
    low = [((1 - peer.alphas_cumprod.double()) / (1 - table)).sqrt().sub(1).abs()[i] for i in k if i >= 0]
    most = 6 * float((off + low[0]) * there.alpha * sigma / alpha + max(low) * there.sigma) + 4e-6
    if differences and s > 0:
        beta = float(1 - table[k[0]] / table[k[1]])
        most += 6 * 2**-23 * (4 / sigma**2 + 1 / beta**0.5)
    return most


def assert_same(ours, theirs, most):
    assert float((ours - theirs).abs().max()) < most


@pytest.fixture
def noise(monkeypatch):
    """Puts noise of ours where diffusers would draw its own."""
    given = {}
    monkeypatch.setattr("diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *_, **__: given["z"])
    return given


SPACED = [("leading", 1000), ("leading", 10), ("trailing", 10), ("trailing", 7), ("linspace", 9)]
each_spacing = pytest.mark.parametrize(("spacing", "steps"), SPACED)


@each_precision
@each_spacing
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("fixed_small", "small"),
        ("fixed_small_log", "small"),
        ("fixed_large", "large"),
        ("learned_range", "learned"),
    ],
)
def test_ancestral_is_the_ddpm_scheduler(theirs, ours, spacing, steps, dtype, noise):
    peer = scheduler(diffusers.DDPMScheduler, dtype, steps, variance_type=theirs, timestep_spacing=spacing)
    denoiser = Told() if ours == "learned" else ORACLE
    for i, (before, after) in steps_of(peer, Ancestral(ours), RULES[spacing](CHAIN, steps), dtype, denoiser):
        told = denoiser(before.x, before.t)
        output = eps_of(before.x, before.t, told.mean)
        if told.fraction is not None:
            output = torch.cat([output, 2 * told.fraction - 1], dim=1)
        noise["z"] = torch.zeros_like(before.x) if after.z is None else after.z
        found = peer.step(output, i, before.x).prev_sample
        assert found.dtype == after.x.dtype == dtype
        assert_same(after.x, found, tolerance(peer, before.t, after.t, dtype, differences=True))


def test_fixed_large_log_of_diffusers_is_nan(noise):
    """A fault: it takes the square root of log beta, a negative number. Its log of a variance is as one should take it, but the
    step halves and exponentiates that of "learned_range" alone. What it was meant to be is our "large"."""
    peer = scheduler(diffusers.DDPMScheduler, torch.float64, 10, variance_type="fixed_large_log")
    before, after = run(Ancestral("large"), grids.leading(CHAIN, 10), torch.float64)[:2]
    noise["z"] = after.z
    found = peer.step(eps_of(before.x, before.t, after.denoised), peer.timesteps[0], before.x).prev_sample
    assert found.isnan().all()
    assert float(peer._get_variance(peer.timesteps[0])) == pytest.approx(
        float(torch.log(1 - (1 - ddpm_betas()).cumprod(0)[900] / (1 - ddpm_betas()).cumprod(0)[800])), rel=1e-9
    )
    assert after.x.isfinite().all()


def test_learned_of_diffusers_takes_the_variance_itself(noise):
    """Its variance_type "learned" is another parametrisation, the variance and no fraction: given beta it is "large"."""
    peer = scheduler(diffusers.DDPMScheduler, torch.float64, 10, variance_type="learned")
    before, after = run(Ancestral("large"), grids.leading(CHAIN, 10), torch.float64)[:2]
    noise["z"] = after.z
    alpha_bar = (1 - ddpm_betas()).cumprod(0)
    beta = torch.full_like(before.x, float(1 - alpha_bar[900] / alpha_bar[800]))
    output = torch.cat([eps_of(before.x, before.t, after.denoised), beta], dim=1)
    assert_same(after.x, peer.step(output, peer.timesteps[0], before.x).prev_sample, 1e-9)


@each_precision
@pytest.mark.parametrize(("spacing", "steps"), [("leading", 1000), ("leading", 10), ("leading", 7), ("trailing", 10)])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim_is_the_ddim_scheduler(eta, spacing, steps, dtype):
    peer = scheduler(diffusers.DDIMScheduler, dtype, steps, timestep_spacing=spacing)
    for i, (before, after) in steps_of(peer, DDIM(eta), RULES[spacing](CHAIN, steps), dtype):
        z = torch.zeros_like(before.x) if after.z is None else after.z
        eps = eps_of(before.x, before.t, ORACLE(before.x, before.t).mean)
        found = peer.step(eps, int(i), before.x, eta=eta, variance_noise=z).prev_sample
        assert_same(after.x, found, tolerance(peer, before.t, after.t, dtype))


@each_precision
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_without_set_alpha_to_one_ddim_ends_at_the_lowest_level(eta, dtype):
    """Stable Diffusion's setting, with an offset of 1: our grid that ends at level 1, above data."""
    peer = scheduler(
        diffusers.DDIMScheduler, dtype, 10, timestep_spacing="leading", set_alpha_to_one=False, steps_offset=1
    )
    grid = torch.cat([grids.leading(CHAIN, 10, offset=1)[:-1], CHAIN.times[1:2]])
    states = run(DDIM(eta), grid, dtype)
    assert states[-1].t == pytest.approx(0.001)
    for i, (before, after) in zip(peer.timesteps.tolist(), pairwise(states), strict=True):
        z = torch.zeros_like(before.x) if after.z is None else after.z
        eps = eps_of(before.x, before.t, ORACLE(before.x, before.t).mean)
        found = peer.step(eps, i, before.x, eta=eta, variance_noise=z).prev_sample
        assert_same(after.x, found, tolerance(peer, before.t, after.t, dtype))


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_without_set_alpha_to_one_and_no_offset_ddims_last_step_is_none(eta):
    """A fault of that setting: the last step leads from level 1 to level 1, and what comes out still carries its noise."""
    peer = scheduler(diffusers.DDIMScheduler, torch.float64, 10, set_alpha_to_one=False)
    x = start(0.001, torch.float64)
    eps = eps_of(x, 0.001, ORACLE(x, 0.001).mean)
    assert peer.timesteps[-1] == 0
    found = peer.step(eps, 0, x, eta=eta, variance_noise=torch.ones_like(x)).prev_sample
    torch.testing.assert_close(found, x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("spacing", "steps", "missed", "end"),
    [("trailing", 7, 5, 0), ("trailing", 300, 100, -1), ("linspace", 10, 9, -100), ("leading", 7, 0, -142)],
)
def test_ddim_of_diffusers_misses_its_next_level_where_steps_do_not_divide_the_chain(spacing, steps, missed, end):
    """A fault: it steps down by floor(1000 / N), whatever the next of its timesteps is: of 7 trailing steps from 999 to 857,
    where the next is 856, and the last ends at timestep 0, which is level 1 and not data. At every step that follows a missed one
    the network is told a level that its input does not have. The steps themselves are ours, to the levels they lead to."""
    peer = scheduler(diffusers.DDIMScheduler, torch.float64, steps, timestep_spacing=spacing)
    listed = peer.timesteps.tolist()
    reached = [i - 1000 // steps for i in listed]
    assert sum(a != b for a, b in zip(listed[1:], reached, strict=False)) == missed
    assert reached[-1] == end
    for i, down in list(zip(listed, reached, strict=True))[:: max(1, steps // 10)]:
        t, s = CHAIN.times[i + 1], CHAIN.times[max(down + 1, 0)]
        before, after = run(DDIM(), [t, s], torch.float64)
        found = peer.step(eps_of(before.x, before.t, after.denoised), i, before.x).prev_sample
        assert_same(after.x, found, 1e-9)


@each_precision
@pytest.mark.parametrize(("spacing", "steps"), [("leading", 10), ("leading", 7), ("trailing", 10), ("leading", 1000)])
def test_ddim_inversion_is_the_inverse_scheduler(spacing, steps, dtype):
    """Given eps at the level that x has. At data that is 0, the limit for any density; a pipeline of theirs would ask its
    network there, as for all steps, at the level it goes to, which x does not have."""
    peer = scheduler(diffusers.DDIMInverseScheduler, dtype, steps, timestep_spacing=spacing)
    for i, (before, after) in steps_of(peer, DDIMInversion(), RULES[spacing](CHAIN, steps).flip(0), dtype):
        eps = torch.zeros_like(before.x) if before.t == 0 else eps_of(before.x, before.t, after.denoised)
        found = peer.step(eps, int(i), before.x).prev_sample
        most = 1e-9 if dtype == torch.float64 else tolerance(peer, max(before.t, 0.001), after.t, dtype)
        assert_same(after.x, found, most)


def test_a_correction_from_where_it_is_would_be_the_inverse_schedulers_own_use():
    """As its pipelines use it: eps at (x_t, s). That is one plain fixed-point iteration for the inverse of DDIM's step from s,
    started from x_t itself: y_t + (rho_s - rho_t) eps(x_t, s)."""
    peer = scheduler(diffusers.DDIMInverseScheduler, torch.float64, 10)
    t, s = float(CHAIN.times[101]), float(CHAIN.times[201])
    x, here, there = start(t, torch.float64), VP.level(t), VP.level(s)
    eps = eps_of(x, s, ORACLE(x, s).mean)
    found = peer.step(eps, 200, x).prev_sample
    expected = there.alpha * (x / here.alpha + (there.ratio - here.ratio) * eps)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert (found - final(sample(ORACLE, DDIMInversion(), [t, s], x=x))).abs().max() > 0.01
