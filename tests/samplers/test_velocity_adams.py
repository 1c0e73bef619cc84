"""Adams-Bashforth on the circle: its weights, its exactness for Gaussian data, its start and its end."""

from __future__ import annotations

import math

import pytest
import torch
from dry_run import META, dry_run
from scipy.integrate import quad

from difflab.convergence import flow
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.samplers import VelocityAdams, final, sample
from difflab.samplers.exponential.velocity_adams import on_circle, weights
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPSong, ZeroTerminalSNR

RING = GaussianMixture.ring()
SCHEDULES = [VPCosine(), VPSong(), EDM(), Geometric(), Flow(), ZeroTerminalSNR(VPSong())]


def noise(n: int, dim: int = 2) -> torch.Tensor:
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("nodes", "t", "s"),
    [
        ((-0.5,), -0.5, -1.1),
        ((-1.0, -0.2, 0.0), -1.0, -2.5),
        ((0.0, -3.0), 0.0, -3.0),
        ((-6.0, -4.0, -3.0), -6.0, -9.5),
    ],
)
def test_weights_are_the_integrals_of_lagranges_polynomials_over_the_angle(nodes, t, s):
    """scipy's adaptive rule, to 1e-12 of the integral of |L_j| dtheta."""
    for j, found in enumerate(weights(nodes, t, s)):

        def polynomial(u: float, j: int = j) -> float:
            return math.prod((u - other) / (nodes[j] - other) for i, other in enumerate(nodes) if i != j) / math.cosh(u)

        due, _ = quad(polynomial, t, s, epsabs=1e-15, epsrel=1e-13)
        assert found == pytest.approx(due, abs=1e-12 * quad(lambda u: abs(polynomial(u)), s, t)[0])


def test_weights_of_one_value_are_the_angle_between_both_levels():
    t, s = (on_circle(VPCosine().level(time), 0.7) for time in (0.8, 0.3))
    assert weights((t.u,), t.u, s.u)[0] == pytest.approx(s.angle - t.angle, rel=1e-13)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("points", [1, 2, 3])
def test_gaussian_data_of_its_width_needs_one_step(schedule, points):
    """x_s = R_s / R_t x_t is the closed flow of N(0, c^2), zero signal and all: q = 0 there, whatever the steps."""
    std = 0.6
    oracle = ExactDenoiser(GaussianMixture(None, [[0.0]], std**2), schedule)
    x = noise(20, 1)
    low = 0.3
    top, level = schedule.level(1.0), schedule.level(low)
    due = x * math.hypot(std * level.alpha, level.sigma) / math.hypot(std * top.alpha, top.sigma)
    torch.testing.assert_close(
        final(sample(oracle, VelocityAdams(points, std), [1.0, low], x=x)), due, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("points", [1, 2, 3])
@pytest.mark.parametrize("evaluations", [1, 2, 3, 5, 12])
def test_spends_what_it_was_given(points, evaluations):
    oracle, calls = ExactDenoiser(RING, VPCosine()), []

    class Counted:
        schedule, shape, sigma_data = oracle.schedule, oracle.shape, 1.0

        def __call__(self, x_t, t, labels=None):
            calls.append(t)
            return oracle(x_t, t)

    last = None
    for state in sample(Counted(), VelocityAdams(points), evaluations=evaluations, x=noise(4)):
        last = state
    assert last.evaluations == len(calls) == evaluations
    assert last.t == 0


@pytest.mark.parametrize("points", [2, 3])
def test_the_same_levels_give_the_same_samples_on_every_schedule(points):
    """VE, VP and Flow on one sigma / alpha grid, down to the data: to 1e-12, rounding of times included."""
    levels = torch.tensor([5.0, 2.0, 0.8, 0.3, 0.1, 0.02], dtype=torch.float64)
    z, ends = noise(50), []
    for schedule in (EDM(), VPCosine(), Flow()):
        grid = [*schedule.t_of_log_snr(-2 * levels.log()).tolist(), 0.0]
        first = schedule.level(grid[0])
        oracle = ExactDenoiser(RING, schedule)
        ends.append(final(sample(oracle, VelocityAdams(points), grid, x=z * math.hypot(first.alpha, first.sigma))))
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(ends[2], ends[0], rtol=0, atol=1e-12)


def test_goes_with_the_unit_of_the_data():
    """Data, width and start 0.3 times as large, with the noise: everything is, to rounding."""
    small = GaussianMixture(None, RING.means * 0.3, RING.covariances * 0.09)
    ends = []
    for data, scale, schedule in ((RING, 1.0, Geometric(0.01, 50.0)), (small, 0.3, Geometric(0.003, 15.0))):
        x = noise(30) * schedule.sigma_max
        ends.append(final(sample(ExactDenoiser(data, schedule), VelocityAdams(3, scale), evaluations=12, x=x)) / scale)
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-10)


def test_the_end_is_straight_in_the_angle():
    """From 0.02 on, width of a component 0.07, the line leaves (0.02 / 0.07)^4 / 8 of 0.07, 6e-5, for what a jump to
    E[x_0] misses (0.02 / 0.07)^2 / 2 of it, 3e-3."""
    oracle = ExactDenoiser(RING, EDM())
    x = noise(200) * 80
    times = oracle.schedule.t_of_log_snr(-2 * torch.linspace(math.log(80), math.log(0.02), 120).double()).tolist()
    due = flow(oracle, x, 1.0, 0.0)
    states = list(sample(oracle, VelocityAdams(), [1.0, *times[1:], 0.0], x=x))
    error = (states[-1].x - due).norm(dim=1).median()
    jump = (oracle(states[-2].x, times[-1]).mean - due).norm(dim=1).median()
    assert error < 2e-4 < jump


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("evaluations", [1, 2, 3, 20, 400])
def test_default_grids_fall_from_noise_to_data(schedule, evaluations):
    grid = VelocityAdams().default_grid(schedule, evaluations)
    assert len(grid) == evaluations + 1
    assert grid[0] == 1
    assert grid[-1] == 0
    assert (grid.diff() < 0).all()


def test_default_grids_stay_on_a_schedule_of_few_levels():
    """From sigma / alpha = 0.5 to 0.2 there is still a grid of ten steps."""
    narrow = Geometric(0.2, 0.5)
    grid = VelocityAdams().default_grid(narrow, 10)
    assert (grid.diff() < 0).all()
    x = final(sample(ExactDenoiser(RING, narrow), VelocityAdams(), grid, x=noise(5)))
    assert x.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_stays_what_it_is(dtype):
    """Within 30 roundings of the float64 run: 12 steps of a few operations, each amplified by no more than a few."""
    oracle, x = ExactDenoiser(RING, VPCosine()), noise(200).to(dtype)
    coarse = final(sample(oracle, VelocityAdams(), evaluations=12, x=x))
    fine = final(sample(oracle, VelocityAdams(), evaluations=12, x=x.double()))
    assert coarse.dtype == dtype
    assert (coarse.double() - fine).norm(dim=1).median() < 30 * torch.finfo(dtype).eps


def test_a_run_cut_in_two_starts_again_from_no_memory():
    """Order 3 from any point of a grid: the second half restarts, and is no further from the flow than the first was allowed."""
    oracle, x = ExactDenoiser(RING, VPCosine()), noise(200)
    grid = VelocityAdams().default_grid(oracle.schedule, 30).tolist()
    half = final(sample(oracle, VelocityAdams(), grid[:16], x=x))
    end = final(sample(oracle, VelocityAdams(), grid[15:], x=half))
    due = flow(oracle, x, 1.0, 0.0)
    assert (end - due).norm(dim=1).median() < 2e-3


@pytest.mark.parametrize("points", [2, 3])
def test_on_a_device_of_no_values(points):
    class Away:
        schedule, shape, device = VPCosine(), (2,), META

        def __call__(self, x_t, t, labels=None):
            return Posterior(x_t * 0.5)

    states = sample(Away(), VelocityAdams(points), evaluations=6, n=3)
    with dry_run():
        assert final(states).device == META


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"points": 0}, "VelocityAdams has 1 to 3 points, but got points=0"),
        ({"points": 4}, "VelocityAdams has 1 to 3 points, but got points=4"),
        ({"width": 0}, "a number above 0, but got 0"),
        ({"width": math.nan}, "a number above 0, but got nan"),
        ({"width": "1"}, "a number above 0, but got '1'"),
    ],
)
def test_refuses(knobs, words):
    with pytest.raises(ValueError, match=words):
        VelocityAdams(**knobs)


@pytest.mark.parametrize("points", [2, 3])
def test_ends_on_what_the_denoiser_says_where_the_data_are_far(points):
    """Of sigma / alpha = 1 the velocity is not straight down to the data: the end is E[x_0 | x_t]. Nearer it is not."""
    oracle, x = ExactDenoiser(GaussianMixture.ring(), VPCosine()), torch.randn(20, 2, dtype=torch.float64)
    *_, before, last = sample(oracle, VelocityAdams(points), [1.0, 0.8, 0.65, 0.5, 0.0], x=x)
    torch.testing.assert_close(last.x, oracle(before.x, 0.5).mean, rtol=0, atol=1e-12)
    *_, before, last = sample(oracle, VelocityAdams(points), [1.0, 0.8, 0.65, 0.15, 0.0], x=x)
    assert (last.x - oracle(before.x, 0.15).mean).abs().max() > 1e-4


@pytest.mark.parametrize("width", [0.5, 2.0])
@pytest.mark.parametrize("evaluations", [2, 5, 20])
def test_its_grid_ends_where_it_says(width, evaluations):
    """sigma / alpha = 0.3 width / evaluations^1.2, then the data."""
    grid = VelocityAdams(3, width).default_grid(VPCosine(), evaluations)
    assert (grid[0], grid[-1], len(grid)) == (1, 0, evaluations + 1)
    found = math.exp(-float(VPCosine().log_snr(grid[-2])) / 2)
    assert found == pytest.approx(0.3 * width / evaluations**1.2, rel=1e-6)
