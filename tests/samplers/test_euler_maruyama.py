"""Euler-Maruyama: its step by the published coefficients, and convergence on one Brownian path."""

import math

import pytest
import torch

from difflab.convergence import Gaussian, Line, in_log_snr, law_of
from difflab.samplers import Ancestral, BrownianPath, EulerMaruyama, NoisePool, final, grids, sample
from difflab.schedules import Flow, Geometric, Learned, VPCosine, VPSong


def test_a_step_is_that_of_the_reverse_sde():
    """VPSong: f = -beta / 2 and g^2 = beta (Y. Song et al. 2021, eq. 11), beta linear in t; Geometric: f = 0, eq. 9."""
    x, t, s = torch.randn(40, 1, dtype=torch.float64), 0.6, 0.55
    vp, ve = VPSong(), Geometric(0.01, 50.0)
    beta = vp.beta_min + t * (vp.beta_max - vp.beta_min)
    g2 = 2 * float(ve.sigma(t)) ** 2 * math.log(50.0 / 0.01)
    for schedule, f, squared in ((vp, -beta / 2, beta), (ve, 0.0, g2)):
        oracle = Line().denoiser(schedule)
        state = list(sample(oracle, EulerMaruyama(), [t, s], x=x, noise=NoisePool(5)))[-1]
        due = x + (f * x - squared * oracle.score(x, t)) * (s - t) + math.sqrt(squared * (t - s)) * state.z
        torch.testing.assert_close(state.x, due, rtol=1e-10, atol=1e-10)
        assert torch.equal(state.z, NoisePool(5).step(x, 0))


def test_converges_sample_by_sample_on_one_brownian_path():
    """The noise of this SDE does not depend on x, so that Euler-Maruyama is of strong order 1 (Kloeden & Platen 1992,
    section 10.3). Against 4,096 steps on the same path, whose own error is a 16th of that of the finest.
    """
    schedule, target = VPCosine(), Line()
    oracle, path, x = target.denoiser(schedule), BrownianPath(1), target.start(200, schedule, 0.8)

    def end(steps):
        grid = torch.linspace(0.8, 0.2, steps + 1, dtype=torch.float64)
        return final(sample(oracle, EulerMaruyama(), grid, x=x, noise=path))

    due = end(4096)
    errors = [float((end(steps) - due).square().mean().sqrt()) for steps in (64, 256)]
    assert math.log(errors[0] / errors[1]) / math.log(4) == pytest.approx(1, abs=0.3), errors


def test_a_start_on_noise_alone_takes_ddpms_step():
    """Flow's drift is -inf at t = 1: the first step is the small variance's, the others the SDE's."""
    oracle, grid = Gaussian().denoiser(Flow()), [1.0, 0.9, 0.8]
    first = [list(sample(oracle, m, grid, n=5, noise=NoisePool(1)))[1].x for m in (EulerMaruyama(), Ancestral("small"))]
    torch.testing.assert_close(*first)
    end = list(sample(oracle, EulerMaruyama(), grids.uniform(Flow(), 50), n=5))[-1]
    assert end.x.isfinite().all()


def test_the_last_step_is_the_mean_without_noise():
    oracle = Gaussian().denoiser(VPCosine())
    states = list(sample(oracle, EulerMaruyama(), [0.5, 0.2, 0.0], n=5))
    assert torch.equal(states[-1].x, oracle(states[1].x, 0.2).mean)
    assert states[-1].z is None


def test_steps_too_large_to_be_stable_widen_the_law():
    """It is explicit: with h g^2 / sigma^2 above 2 the walk overshoots, which the law shows; ten times the steps mend it."""
    schedule, target = VPCosine(), Gaussian()
    t, s = schedule.t_of_log_snr(torch.tensor([-4.0, 4.0], dtype=torch.float64)).tolist()
    due = target.law(schedule, s)[1]
    for steps, off in ((2, 1.0), (200, 0.02)):
        law = law_of(EulerMaruyama(), target.denoiser(schedule), in_log_snr(schedule, t, s, steps))
        error = abs(law.after(*target.law(schedule, t))[1] / due - 1)
        assert (error > off) if steps == 2 else (error < off)


def test_follows_a_learned_schedule_as_it_moves():
    """What is remembered of a schedule is remembered of its values."""
    learned = Learned()
    oracle, x = Gaussian().denoiser(learned), torch.zeros(3, 1, dtype=torch.float64)
    before = final(sample(oracle, EulerMaruyama(), [0.5, 0.4], x=x, noise=NoisePool(0)))
    with torch.no_grad():
        learned.log_span.add_(0.5)
    after = final(sample(oracle, EulerMaruyama(), [0.5, 0.4], x=x, noise=NoisePool(0)))
    assert not torch.allclose(before, after)
