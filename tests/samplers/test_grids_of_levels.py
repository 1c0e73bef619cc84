"""Grids laid on levels: the published formulas, the same levels on every schedule, tables of one's own."""

import math

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, grids, sample
from difflab.schedules import (
    EDM,
    FIRST_T,
    Flow,
    Geometric,
    SubVP,
    VPCosine,
    VPLinear,
    VPLogSNRLinear,
    VPSigmoid,
    VPSong,
    ZeroTerminalSNR,
)

SCHEDULES = [
    VPCosine(),
    VPLinear(),
    VPSong(),
    VPSigmoid(),
    VPLogSNRLinear(),
    SubVP(),
    EDM(),
    Geometric(),
    Flow(),
    ZeroTerminalSNR(),
]
by_name = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)


def levels(schedule, times):
    """sigma / alpha, by the schedule's tensors."""
    alpha, sigma = schedule.alpha_sigma(times)
    return sigma / alpha


def published(steps, low, high, rho=7.0):
    """Karras et al. 2022, eq. 5, number by number."""
    top, bottom = high ** (1 / rho), low ** (1 / rho)
    return [(top + i / (steps - 1) * (bottom - top)) ** rho for i in range(steps)] + [0.0]


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
@pytest.mark.parametrize("schedule", [EDM(), Geometric()], ids=lambda s: s.name)
def test_karras_is_the_published_formula(schedule, rho):
    found = levels(schedule, grids.karras(schedule, 18, rho))
    lowest = levels(schedule, torch.tensor(FIRST_T, dtype=torch.float64)).item()
    assert lowest == pytest.approx(schedule.sigma_min, rel=3e-8)  # d log sigma / dt < 30 there, times FIRST_T
    due = torch.tensor(published(18, lowest, schedule.sigma_max, rho), dtype=torch.float64)
    # where rho = 1, 80 rounded to 1e-14 is subtracted from until 0.002 is left: 7e-12
    torch.testing.assert_close(found, due, rtol=1e-11, atol=0)


@pytest.mark.parametrize("rho", [1, 3, 7, 13.0])
def test_karras_ends_are_not_rounded(rho):
    """Powers and their roots miss an end by a rounding: two grids of one range begin and end on the very same times."""
    for schedule in (VPCosine(), Flow(), Geometric()):
        for steps in (2, 5, 18, 40):
            found, due = grids.karras(schedule, steps, rho), grids.log_snr(schedule, steps)
            assert (found[0], found[-2]) == (due[0], due[-2])


def test_karras_is_edm_even_in_time():
    torch.testing.assert_close(grids.karras(EDM(), 18), grids.uniform(EDM(), 18), rtol=0, atol=1e-8)


@by_name
def test_log_snr_rises_by_equal_parts(schedule):
    grid = grids.log_snr(schedule, 24)
    differences = schedule.log_snr(grid[:-1]).diff()
    # log-SNRs of up to 13 have 2e-15; near t = 1, where a schedule is steep, a rounding of t is up to 200 times as much
    torch.testing.assert_close(differences, differences.mean().expand_as(differences), rtol=0, atol=1e-12)


@by_name
@pytest.mark.parametrize("lay", [grids.karras, grids.log_snr], ids=["karras", "log_snr"])
def test_levels_are_the_same_on_every_schedule(schedule, lay):
    asked = {"sigma_min": 0.02, "sigma_max": 10.0}
    found, due = levels(schedule, lay(schedule, 9, **asked)), levels(EDM(), lay(EDM(), 9, **asked))
    torch.testing.assert_close(found, due, rtol=1e-11, atol=0)
    assert found[0].item() == pytest.approx(10.0)
    assert found[-2].item() == pytest.approx(0.02)
    assert found[-1] == 0


@by_name
@pytest.mark.parametrize("lay", [grids.karras, grids.log_snr], ids=["karras", "log_snr"])
@pytest.mark.parametrize("steps", [1, 2, 5, 100])
def test_grids_are_float64_and_fall_to_the_data(schedule, lay, steps):
    grid = lay(schedule, steps)
    assert grid.dtype == torch.float64
    assert grid.shape == (steps + 1,)
    assert grid[-1] == 0
    grids.check_decreasing(grid.tolist())
    above = lay(schedule, steps, to_data=False)
    assert above.shape == (steps + 1,)
    assert above[-1] > 0
    assert above[0] == grid[0]
    grids.check_decreasing(above.tolist())
    lowest = levels(schedule, above)[-1].item()
    assert lowest == pytest.approx(levels(schedule, lay(schedule, max(2, steps)))[-2].item(), rel=1e-9)


@by_name
def test_own_ends_where_the_schedule_has_two_else_karras(schedule):
    grid = grids.karras(schedule, 6)
    first, last = levels(schedule, grid)[0].item(), levels(schedule, grid)[-2].item()
    if schedule.reaches_data:
        assert first == pytest.approx(80.0, rel=1e-9)
        assert last == pytest.approx(0.002, rel=1e-9)
    else:
        assert grid[0] == 1
        assert last == pytest.approx(schedule.level(1e-9).ratio, rel=1e-12)


@pytest.mark.parametrize("schedule", [Flow(), ZeroTerminalSNR()], ids=lambda s: s.name)
def test_zero_terminal_snr_starts_at_a_finite_level(schedule):
    """And a run from there is the run of every other schedule: on N(0, 1) a step of DDIM from angle a = atan(sigma / alpha) to b
    multiplies x / sqrt(alpha^2 + sigma^2) by cos(a - b)."""
    oracle, grid = ExactDenoiser(GaussianMixture(None, [[0.0]], 1.0), schedule), grids.karras(schedule, 7)
    assert grid[0] < 1
    states = list(sample(oracle, DDIM(), grid, x=torch.ones(1, 1, dtype=torch.float64)))
    angles = torch.tensor([*published(7, 0.002, 80.0)], dtype=torch.float64).atan()
    radius = torch.hypot(*schedule.alpha_sigma(grid[0]))
    assert states[-1].x.item() == pytest.approx((angles.diff().cos().prod() / radius).item(), rel=1e-9)


def test_tables_of_times_levels_and_log_snr():
    for schedule in (VPCosine(), EDM()):
        times = torch.tensor([1.0, 0.6, 0.3, 0.0]).double()
        assert torch.equal(grids.tabulated(schedule, times), times)
        assert torch.equal(grids.tabulated(schedule, times[:-1].tolist()), times[:-1])  # it may end above the data
        by_level = grids.tabulated(schedule, levels(schedule, times), of="sigma")
        torch.testing.assert_close(by_level, times, rtol=1e-12, atol=0)
        by_log_snr = grids.tabulated(schedule, schedule.log_snr(times), of="log_snr")
        torch.testing.assert_close(by_log_snr, times, rtol=1e-12, atol=0)
    # as published, in float32: Align Your Steps for Stable Diffusion
    table = torch.tensor([14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029])
    found = grids.tabulated(VPLinear(), table, of="sigma")
    torch.testing.assert_close(levels(VPLinear(), found), table.double(), rtol=1e-12, atol=0)
    ends = torch.tensor([80.0, 0.002, 0.0], dtype=torch.float32)  # 0.002 in float32 is above, 80 is itself
    assert grids.tabulated(EDM(), ends, of="sigma").tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-7)


COSINE = VPCosine()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: grids.karras(COSINE, 0), ValueError, "at least 1, but got 0"),
        (lambda: grids.log_snr(COSINE, 2.5), ValueError, "at least 1, but got 2.5"),
        (lambda: grids.karras(COSINE, True), ValueError, "at least 1, but got True"),
        (lambda: grids.karras("VPCosine", 3), TypeError, "needs a Schedule such as VPCosine"),
        (lambda: grids.log_snr(VPCosine, 3), TypeError, "needs a Schedule such as VPCosine"),
        (lambda: grids.tabulated("EDM", [1.0, 0.0]), TypeError, "needs a Schedule such as VPCosine"),
        (lambda: grids.karras(COSINE, 3, rho=0.5), ValueError, "rho of at least 1, but got 0.5"),
        (lambda: grids.karras(COSINE, 3, rho=math.inf), ValueError, "rho of at least 1, but got inf"),
        (
            lambda: grids.karras(COSINE, 3, sigma_min=2, sigma_max=1),
            ValueError,
            "sigma_min < sigma_max, but .* 2 and 1",
        ),
        (lambda: grids.log_snr(COSINE, 3, sigma_min=0), ValueError, "sigma_min is a level .* above 0, but got 0"),
        (lambda: grids.log_snr(COSINE, 3, sigma_max=math.inf), ValueError, "sigma_max is a level .* finite"),
        (
            lambda: grids.log_snr(EDM(), 3, sigma_max=100),
            ValueError,
            "sigma_max = 100 is no level of EDM.* 0.002 to 80",
        ),
        (lambda: grids.tabulated(COSINE, [0.0, 0.5, 1.0]), ValueError, "0.5 follows 0.0; .* take DDIMInversion"),
        (lambda: grids.tabulated(COSINE, [1.0, 0.5, 0.5]), ValueError, "decrease strictly"),
        (lambda: grids.tabulated(COSINE, [1.5, 0.5]), ValueError, r"lie in \[0, 1\], .* but one is 1.5"),
        (lambda: grids.tabulated(COSINE, [0.5, -0.5]), ValueError, r"lie in \[0, 1\], .* but one is -0.5"),
        (
            lambda: grids.karras(COSINE, 3, 1e300),
            ValueError,
            "rho of at least 1, but got 1e.300; beyond 100,000",
        ),
        (lambda: grids.karras(COSINE, 3, to_data="no"), ValueError, "to_data must be True or False, but got 'no'"),
        (lambda: grids.log_snr(COSINE, 3, to_data=None), ValueError, "to_data must be True or False, but got None"),
        (lambda: grids.log_snr(COSINE, 3, sigma_min=10**400), ValueError, "a finite number above 0, but got 1000"),
        (
            lambda: grids.tabulated(COSINE, torch.ones(2, device="meta")),
            ValueError,
            "on the meta device, which has none",
        ),
        (lambda: grids.tabulated(COSINE, [[1.0, 0.5], [0.2, 0.0]]), ValueError, r"one row of numbers, .* \(2, 2\)"),
        (lambda: grids.tabulated(COSINE, [1.0, 0.0], of=["t"]), ValueError, r"but got of=\['t'\]"),
        (lambda: grids.tabulated(COSINE, [0.5]), ValueError, "at least two times, but has 1"),
        (lambda: grids.tabulated(COSINE, []), ValueError, "at least two times, but has 0"),
        (lambda: grids.tabulated(COSINE, [math.nan, 0.0]), ValueError, "a nan among them"),
        (lambda: grids.tabulated(COSINE, ["a", "b"]), ValueError, "must be real numbers"),
        (
            lambda: grids.tabulated(COSINE, [1.0, 0.0], of="beta"),
            ValueError,
            '"log_snr" or "sigma", but got of=\'beta\'',
        ),
        (
            lambda: grids.tabulated(EDM(), [1.0, 2.0], of="sigma"),
            ValueError,
            "sigma must fall strictly; .* DDIMInversion",
        ),
        (
            lambda: grids.tabulated(EDM(), [3, 1], of="log_snr"),
            ValueError,
            "log_snr must rise strictly; .* DDIMInversion",
        ),
        (
            lambda: grids.tabulated(EDM(), [90.0, 1.0], of="sigma"),
            ValueError,
            "sigma = 90 is no level of EDM.* 0.002 to 80",
        ),
        (lambda: grids.tabulated(EDM(), [-1.0, 90.0], of="log_snr"), ValueError, "log_snr = 90 is no level of EDM"),
        (lambda: grids.tabulated(EDM(), [1.0, -1.0], of="sigma"), ValueError, "sigma = -1 is no level of EDM"),
    ],
)
def test_refuses_in_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
