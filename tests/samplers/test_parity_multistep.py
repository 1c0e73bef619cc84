"""The fast solvers step by step against diffusers', given the same inputs, answers and noise.

At each step diffusers' scheduler gets our samples and what the exact denoiser says of them, so that errors do not add up. Its
integer timestep i is our t = (i + 1) / 1000, where VPLinear is its table. It computes in float32, so that its levels near the
data are off by up to 3e-4 of themselves (`test_the_levels_of_diffusers`); here they are given the digits that float32 holds.
What is left is rounding, a few times 6e-8 of the largest term, which is up to about 10 at the points of the ring and with
the multiples of earlier values in it: 5e-6. A formula that is wrong at all is off by 1e-3 and more.
"""

from itertools import pairwise

import diffusers
import pytest
import torch

from difflab.convergence import Line, measure
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DEIS, IPNDM, DPMSolver, DPMSolverSDE, DPMSolverSingleStep, UniPC, grids, sample
from difflab.samplers.exponential.integrals import distance, moments
from difflab.schedules import EDM, VPLinear

TOLERANCE = 5e-6
DATA = GaussianMixture.ring()
ON_VP, ON_EDM = ExactDenoiser(DATA, VPLinear()), ExactDenoiser(DATA, EDM(0.002, 80.0, 7.0))
TABLE = {"beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear", "prediction_type": "sample"}


def run(sampler, oracle, times):
    """All states of a run from the law of x at times[0]."""
    level, generator = oracle.schedule.level(times[0]), torch.Generator().manual_seed(3)
    x0 = DATA.sample(64, generator=generator)
    x = level.alpha * x0 + level.sigma * torch.randn(64, 2, generator=generator)
    return list(sample(oracle, sampler, times, x=x.float(), generator=generator))


def set_up(cls, steps, **config):
    """diffusers' scheduler, and the times it visits: those of its timesteps, then 0 or the lowest level."""
    peer = cls(**TABLE, **config)
    peer.set_timesteps(steps)
    times = [(int(i) + 1) / 1000 for i in peer.timesteps]
    times.append(0.0 if float(peer.sigmas[-1]) == 0 else 1 / 1000)
    exact = torch.tensor([ON_VP.schedule.level(t).ratio for t in times])
    torch.testing.assert_close(peer.sigmas, exact, rtol=5e-4, atol=0)
    peer.sigmas = exact
    return peer, times


def test_the_levels_of_diffusers():
    """Known fault: 1 - alpha_bar in float32 has an error of 6e-8, a twentieth of a percent of beta_1 = 1e-4."""
    peer = diffusers.DPMSolverMultistepScheduler(**TABLE)
    exact = torch.tensor([ON_VP.schedule.level(k / 1000).ratio for k in range(1, 1001)], dtype=torch.float64)
    off = (((1 - peer.alphas_cumprod) / peer.alphas_cumprod).sqrt().double() / exact - 1).abs()
    assert 5e-5 < float(off.max()) < 5e-4
    assert float(off[50:].max()) < 1e-5


def theirs(peer, states, oracle, answer=lambda k, x, x0: x0, noisy=False):
    """Where diffusers goes from each of our samples."""
    peer.set_begin_index(0)
    found = []
    for k, (before, after) in enumerate(pairwise(states)):
        x0 = oracle(before.x, before.t).mean
        noise = {"variance_noise": torch.zeros_like(x0) if after.z is None else after.z} if noisy else {}
        found.append(peer.step(answer(k, before.x, x0), peer.timesteps[k], before.x, **noise).prev_sample)
    return found


def assert_same(states, found, tolerance=TOLERANCE):
    assert len(found) == len(states) - 1
    for k, x in enumerate(found):
        torch.testing.assert_close(
            states[k + 1].x, x, rtol=0, atol=tolerance, msg=lambda text, k=k: f"step {k}: {text}"
        )


ENDS = [(10, "zero"), (10, "sigma_min"), (20, "zero"), (20, "sigma_min")]  # below 15 steps diffusers finishes low
each_end = pytest.mark.parametrize(("steps", "end"), ENDS)


@each_end
@pytest.mark.parametrize(("points", "rule"), [(1, "midpoint"), (2, "midpoint"), (2, "exact")])
def test_dpm_solver_multistep(points, rule, steps, end):
    solver = "midpoint" if rule == "midpoint" else "heun"
    peer, times = set_up(
        diffusers.DPMSolverMultistepScheduler, steps, solver_order=points, solver_type=solver, final_sigmas_type=end
    )
    states = run(DPMSolver(points, "low", "low" if steps < 15 else "full", rule), ON_VP, times)
    assert_same(states, theirs(peer, states, ON_VP))


def with_the_missing_half(found, states, oracle, low):
    """Known fault of diffusers' three points, made up for: its D2 is h^2 times the second divided difference of x_0, half of
    the second derivative that its coefficient, h phi_3(-h), belongs to. (In its single step the factor 2 is there.)

    Half of alpha_s int exp(-(h - u)) u^2 du x_0[t, t_1, t_2] is added to each of its steps of third order.
    """
    levels, values, missing = [oracle.schedule.level(state.t) for state in states], [s.denoised for s in states[1:]], []
    for k in range(2, len(found)):
        if states[k + 1].t == 0 or (low and len(found) - k < 3):
            continue
        (c, b, a, end), (fc, fb, fa) = levels[k - 2 : k + 2], values[k - 2 : k + 1]
        second = ((fa - fb) / distance(b, a) - (fb - fc) / distance(c, b)) / distance(c, a)
        h = distance(a, end)
        missing.append(end.alpha * h**3 * moments(3, -h)[2] * second / 2)
        found[k] = found[k] + missing[-1]
    assert len(missing) >= len(found) - 4
    assert max(float(half.abs().max()) for half in missing) > 1e-3  # it is there, and it matters
    return found


@each_end
def test_dpm_solver_multistep_of_three_points(steps, end):
    peer, times = set_up(diffusers.DPMSolverMultistepScheduler, steps, solver_order=3, final_sigmas_type=end)
    states = run(DPMSolver(3, "low", "low" if steps < 15 else "full"), ON_VP, times)
    assert_same(states, with_the_missing_half(theirs(peer, states, ON_VP), states, ON_VP, steps < 15))


def test_the_third_order_that_diffusers_publishes_is_a_second():
    """As above, from a full start, so that nothing else costs an order."""

    def published(denoiser, state, s):
        exact = DPMSolver(3).step(denoiser, state, s)
        if exact.evaluations == state.evaluations or len(state.memory or ()) < 2 or state.memory[0][0].t == state.t:
            return exact
        t, end = denoiser.schedule.level(state.t), denoiser.schedule.level(s)
        (b, fb), (c, fc) = state.memory
        second = ((exact.denoised - fb) / distance(b, t) - (fb - fc) / distance(c, b)) / distance(c, t)
        h = distance(t, end)
        half = end.alpha * h**3 * moments(3, -h)[2] * second / 2
        return state.moved(exact.x - half, s, exact.denoised, memory=exact.memory)

    assert measure(published, Line()).order == pytest.approx(2, abs=0.3)
    assert measure(DPMSolver(3), Line()).order == pytest.approx(3, abs=0.3)


@each_end
@pytest.mark.parametrize(("points", "rule"), [(1, "midpoint"), (2, "midpoint"), (2, "exact")])
def test_sde_dpm_solver(points, rule, steps, end):
    """diffusers finishes low here too; ours does at t = 0 alone, so that the last step above it is left out."""
    solver = "midpoint" if rule == "midpoint" else "heun"
    peer, times = set_up(
        diffusers.DPMSolverMultistepScheduler,
        steps,
        solver_order=points,
        solver_type=solver,
        final_sigmas_type=end,
        algorithm_type="sde-dpmsolver++",
    )
    states = run(DPMSolverSDE(points, rule), ON_VP, times)
    found = theirs(peer, states, ON_VP, noisy=True)
    if steps < 15 and end == "sigma_min" and points == 2:
        states, found = states[:-1], found[:-1]
    assert_same(states, found)


@pytest.mark.parametrize("solver", ["midpoint", "heun"])
@pytest.mark.parametrize("stages", [2, 3])
def test_dpm_solver_single_step(stages, solver):
    """diffusers' steps of several evaluations span as many of its timesteps; on levels even in log sigma they lie where ours do.

    (On its other spacings the stages lie elsewhere, and with "midpoint" three of them have order 2.)
    """
    count = 5 * stages + 1
    config = {"solver_order": stages, "solver_type": solver, "use_exponential_sigmas": True, "lower_order_final": True}
    peer = diffusers.DPMSolverSinglestepScheduler(**TABLE, **config, final_sigmas_type="zero")
    peer.set_timesteps(count)
    peer.set_begin_index(0)
    times = [*ON_VP.schedule.t_of_log_snr(-2 * peer.sigmas[:-1].double().log()).tolist(), 0.0]
    states = run(DPMSolverSingleStep(stages, "midpoint" if solver == "midpoint" else "exact"), ON_VP, times[::stages])
    for j, before in enumerate(states[:-1]):
        x = before.x
        for k in range(j * stages, min((j + 1) * stages, count)):
            x = peer.step(ON_VP(x, times[k]).mean, peer.timesteps[k], x).prev_sample
        torch.testing.assert_close(states[j + 1].x, x, rtol=0, atol=TOLERANCE)


UNIPC_ENDS = [(10, "zero", True), (20, "zero", True), (10, "sigma_min", True), (20, "sigma_min", False)]


@pytest.mark.parametrize(("steps", "end", "low"), UNIPC_ENDS)
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("points", [1, 2, 3])
def test_unipc(points, variant, steps, end, low):
    """Known fault: diffusers' last step to 0 is nan with "bh1", whose B(h) = h is infinite there. (So it is without
    lower_order_final, or raises.)"""
    config = {"solver_order": points, "solver_type": variant, "lower_order_final": low, "final_sigmas_type": end}
    peer, times = set_up(diffusers.UniPCMultistepScheduler, steps, **config)
    states = run(UniPC(points, variant, start="low", finish="low" if low else "full"), ON_VP, times)
    found = theirs(peer, states, ON_VP)
    if end == "zero" and variant == "bh1":
        assert found[-1].isnan().all()
        found[-1] = states[-1].denoised  # ours gives x_0
    assert_same(states, found)


def test_unipc_without_its_corrector():
    peer, times = set_up(
        diffusers.UniPCMultistepScheduler,
        12,
        solver_order=3,
        disable_corrector=list(range(12)),
        final_sigmas_type="zero",
    )
    states = run(UniPC(3, corrector=False, start="low", finish="low"), ON_VP, times)
    assert_same(states, theirs(peer, states, ON_VP))


@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize("points", [1, 2, 3])
def test_deis(points, steps):
    """diffusers' DEIS ends at its lowest level always. Known fault: its integrals are differences of antiderivatives of the size
    rho log^2 rho, up to 4,000 at rho = 157, so that in float32 it is off by some 1e-5; it gets its levels in float64 here."""
    peer, times = set_up(diffusers.DEISMultistepScheduler, steps, solver_order=points)
    states = run(DEIS(points, "low", "low" if steps < 15 else "full"), ON_VP, times)
    if points == 3 and steps == 20:
        off = max(
            float((x - after.x).abs().max()) for x, after in zip(theirs(peer, states, ON_VP), states[1:], strict=True)
        )
        assert TOLERANCE < off < 1e-4
        peer, times = set_up(diffusers.DEISMultistepScheduler, steps, solver_order=points)
    peer.sigmas = torch.tensor([ON_VP.schedule.level(t).ratio for t in times], dtype=torch.float64)
    assert_same(states, [x.float() for x in theirs(peer, states, ON_VP)])


def test_ipndm():
    """diffusers' IPNDM takes its levels sigma as betas, and what it calls the model's output is v = alpha eps - sigma x_0."""
    times = torch.linspace(0.9, 0.02, 13, dtype=torch.float64).tolist()
    levels = [ON_VP.schedule.level(t) for t in times]
    peer = diffusers.IPNDMScheduler(trained_betas=[level.sigma for level in levels])
    peer.set_timesteps(12)
    states = run(IPNDM(4), ON_VP, times)

    def v(k, x, x0):
        return (levels[k].alpha * x - x0) / levels[k].sigma

    assert_same(states, theirs(peer, states, ON_VP, v))


EDM_SIGMA_DATA = 0.5


def preconditioned(peer):
    """x_0 as the output F of Karras's network, which diffusers' EDM schedulers undo: x_0 = c_skip x + c_out F."""

    def answer(k, x, x0):
        sigma = float(peer.sigmas[k])
        c_skip = EDM_SIGMA_DATA**2 / (sigma**2 + EDM_SIGMA_DATA**2)
        c_out = sigma * EDM_SIGMA_DATA / (sigma**2 + EDM_SIGMA_DATA**2) ** 0.5
        return (x0 - c_skip * x) / c_out

    return answer


#: x is up to 300 in size at sigma = 80 and float32 keeps 6e-8 of it, four or five roundings a step
EDM_TOLERANCE = 2e-4


EDM_METHODS = [
    (p, rule, noisy) for p, rule in [(1, "midpoint"), (2, "midpoint"), (2, "exact")] for noisy in (False, True)
]


@pytest.mark.parametrize("steps", [10, 20])
@pytest.mark.parametrize(("points", "rule", "noisy"), [*EDM_METHODS, (3, "midpoint", False)])
def test_edm_dpm_solver_multistep(points, rule, noisy, steps, monkeypatch):
    peer = diffusers.EDMDPMSolverMultistepScheduler(
        solver_order=points,
        solver_type="midpoint" if rule == "midpoint" else "heun",
        algorithm_type="sde-dpmsolver++" if noisy else "dpmsolver++",
        sigma_data=EDM_SIGMA_DATA,
    )
    peer.set_timesteps(steps)
    times = grids.karras(ON_EDM.schedule, steps).tolist()
    sampler = DPMSolverSDE(points, rule) if noisy else DPMSolver(points, "low", "low" if steps < 15 else "full", rule)
    states = run(sampler, ON_EDM, times)
    draws = iter([torch.zeros(64, 2) if state.z is None else state.z for state in states[1:]])
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_edm_dpmsolver_multistep.randn_tensor", lambda *shape, **options: next(draws)
    )
    found = theirs(peer, states, ON_EDM, preconditioned(peer))
    if points == 3:
        found = with_the_missing_half(found, states, ON_EDM, steps < 15)
    assert_same(states, found, EDM_TOLERANCE)
