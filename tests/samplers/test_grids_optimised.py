"""The optimised grids against closed forms on Gaussian data, brute force and scipy, and on draws they have not seen."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from difflab.convergence import flow
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, NetworkDenoiser, Posterior
from difflab.networks import MLP
from difflab.samplers import DDIM, Ancestral, DDIMInversion, final, grids, sample
from difflab.samplers.exponential.dpm_solver import DPMSolver
from difflab.samplers.flows.heun import Heun
from difflab.samplers.grids.align_your_steps import klub
from difflab.samplers.grids.cheapest import cheapest, price
from difflab.schedules import EDM, Flow, VPCosine

VAR, DIM = 0.5, 2
GAUSSIAN = GaussianMixture(None, [[0.0] * DIM], VAR)
RING = GaussianMixture.ring()
LOW, HIGH = 0.02, 80.0


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def levels(schedule, times):
    return [schedule.level(t).ratio for t in times.tolist()]


def oracle(data=GAUSSIAN, schedule=None):
    return ExactDenoiser(data, VPCosine() if schedule is None else schedule)


# -- the search itself


@pytest.mark.parametrize("gamma", [1.0, 1.15, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_dynamic_programming_is_brute_force(steps, gamma):
    cost = torch.rand(9, 9, generator=seeded(steps), dtype=torch.float64)
    ways = [[0, *middle, 8] for middle in combinations(range(1, 8), steps - 1)]
    due = min(ways, key=lambda way: price(cost, way, gamma))
    found, total = cheapest(cost, steps, gamma)
    assert found == due
    assert total == pytest.approx(
        sum(gamma**k * cost[i, j].item() for k, (i, j) in enumerate(pairwise(due))), rel=1e-12
    )


# -- Align Your Steps: on N(0, c) in D dimensions mmse(snr) = D c / (1 + c snr), so the bound is known


def bound(ratios):
    """1/2 sum of (snr' - snr) mmse(snr) - integral of mmse, in nats."""
    snr = np.asarray(ratios, dtype=float) ** -2
    left = sum((b - a) * DIM * VAR / (1 + VAR * a) for a, b in pairwise(snr))
    return (left - DIM * math.log((1 + VAR * snr[-1]) / (1 + VAR * snr[0]))) / 2


def best_bound(steps):
    def of(shares):
        fallen = np.cumsum(np.exp(shares)) / np.exp(shares).sum()
        return bound([HIGH, *(HIGH * (LOW / HIGH) ** fallen)])

    return min(minimize(of, np.random.default_rng(k).normal(size=steps), tol=1e-10).fun for k in range(3))


def test_the_bound_on_a_step_is_the_closed_form():
    """From exact distances E|D_i - D_j|^2 = |mmse_i - mmse_j|. What is left is the trapezoid's error over cells of d log SNR =
    2 log(4000) / 399 = 0.042: 0.042^2 / 12 = 1.5e-4 of the integral, which is at most three times the bound of a long step."""
    row = torch.logspace(math.log10(HIGH), math.log10(LOW), 400, dtype=torch.float64)
    mmse = DIM * VAR / (1 + VAR * row**-2)
    cost = klub(row, (mmse[:, None] - mmse).abs())
    for way in ([0, 399], [0, 200, 399], [0, 150, 220, 300, 350, 399]):
        assert price(cost, way) == pytest.approx(bound(row[way]), rel=5e-4)


def test_the_bound_is_one():
    """KL(true law at LOW || law that stochastic DDIM reaches), both Gaussian, is below it: on N(0, VAR) a step from r to s maps
    y = x / alpha to k y + (1 - k) D + N(0, s^2 (1 - k)), k = s^2 / r^2, and D = VAR / (VAR + r^2) y."""
    found = grids.align_your_steps(oracle(), 5, n=512, sigma_min=LOW, sigma_max=HIGH, generator=seeded())
    for ratios in ([*levels(VPCosine(), found.times)[:-1], LOW], [*np.geomspace(HIGH, LOW, 6)], [HIGH, 1.0, LOW]):
        reached = VAR + HIGH**2
        for r, s in pairwise(ratios):
            k = s**2 / r**2
            reached = (k + (1 - k) * VAR / (VAR + r**2)) ** 2 * reached + s**2 * (1 - k)
        too_wide = (VAR + LOW**2) / reached
        divergence = DIM * (too_wide - 1 - math.log(too_wide)) / 2
        assert 0 < divergence < bound(ratios)


@pytest.mark.parametrize("schedule", [VPCosine(), Flow()], ids=lambda s: s.name)
def test_align_your_steps_finds_the_least_bound(schedule):
    """Its estimate, of 2,048 points in 2 dimensions, has a standard error of sqrt(2 / 4096) = 2.2 % at most; the bound at the
    grid it found is flat to first order: 1 % off by its 200 levels, a factor 1.04 apart, and by the noise together."""
    denoiser, best = oracle(schedule=schedule), []
    for steps in (3, 6):
        found = grids.align_your_steps(denoiser, steps, n=2048, sigma_min=LOW, sigma_max=HIGH, generator=seeded())
        ratios = levels(schedule, found.times)
        assert ratios[-1] == 0
        assert len(ratios) == steps + 1
        best.append(best_bound(steps))
        assert bound([*ratios[:-1], LOW]) == pytest.approx(best[-1], rel=0.01)
        assert found.value == pytest.approx(best[-1], rel=0.09)
        even = [HIGH * (LOW / HIGH) ** (k / steps) for k in range(steps + 1)]
        assert found.before == pytest.approx(bound(even), rel=0.1)  # its levels are even to half a level
        assert found.value < found.before
    assert best[1] < best[0]


def test_the_bound_of_an_oracle_is_that_of_its_mmse_curve():
    """On the ring too, whose mmse is known from the oracle's variances: D is a martingale. Both are averages over 2,048
    points; mmse's have at most 5 % (their spread is below 2 times their mean)."""
    denoiser, steps = oracle(RING), 5
    found = grids.align_your_steps(denoiser, steps, n=2048, sigma_min=LOW, generator=seeded(1))
    x0 = RING.sample(2048, seeded(2)).double()
    noise = torch.randn(x0.shape, generator=seeded(3), dtype=torch.float64)
    ratios = [*levels(denoiser.schedule, found.times)[:-1], LOW]
    fine = np.geomspace(ratios[0], ratios[-1], 201)

    def mmse(ratio):
        t = float(denoiser.schedule.t_of_log_snr(-2 * math.log(ratio)))
        return denoiser(denoiser.schedule.level(t).alpha * (x0 + ratio * noise), t).var.sum(1).mean().item()

    left = sum((b**-2 - a**-2) * mmse(a) for a, b in pairwise(ratios))
    curve = np.array([mmse(r) for r in fine])
    due = (left - np.sum((curve[1:] + curve[:-1]) / 2 * np.diff(fine**-2))) / 2
    assert found.value == pytest.approx(due, rel=0.1)


def test_align_your_steps_takes_examples():
    network = NetworkDenoiser(MLP((2,), width=16, depth=1), VPCosine())
    found = grids.align_your_steps(network, 4, RING.sample(64, seeded()), levels=30, generator=seeded())
    assert found.evaluations == 30
    assert final(sample(network, Ancestral(), found.times, n=3, quiet=True)).shape == (3, 2)


# -- GITS: on Gaussian data the flow takes x / alpha to r' as sqrt((c + r'^2) / (c + r^2)) and Euler as 1 + (r' - r) r / (c + r^2)


def test_gits_is_the_best_of_all_parts_of_its_levels():
    denoiser, count, steps, gamma = oracle(), 9, 4, 1.3
    start = denoiser.schedule.t_of_log_snr(-2 * math.log(HIGH)).item()
    x = torch.randn(50, DIM, generator=seeded(), dtype=torch.float64)
    found = grids.gits(
        denoiser, steps, x=x, levels=count, gamma=gamma, sigma_min=LOW, sigma_max=HIGH, generator=seeded()
    )
    row = [*np.geomspace(HIGH, LOW, count), 0.0]
    size = x.norm(dim=1).mean().item() / denoiser.schedule.level(start).alpha
    exact = [size * math.sqrt((VAR + r**2) / (VAR + HIGH**2)) for r in row]
    exact[-1] = exact[-2] * VAR / (VAR + LOW**2)  # the fine path ends on E[x_0 | x] of its lowest level

    def error(i, j):
        return abs(exact[i] * (1 + (row[j] - row[i]) * row[i] / (VAR + row[i] ** 2)) - exact[j])

    def total(way):
        return sum(gamma**k * error(i, j) for k, (i, j) in enumerate(pairwise(way)))

    best = min(([0, *middle, count] for middle in combinations(range(1, count), steps - 1)), key=total)
    assert levels(denoiser.schedule, found.times) == pytest.approx([row[i] for i in best], rel=1e-6)
    # two Runge-Kutta steps of log r = 0.52 from level to level err by about 0.52^5 / 120
    assert found.value == pytest.approx(total(best), rel=1e-3)
    assert found.evaluations == (count - 1) * 8 + 1 + count  # the path, its end, and D once at each level


def test_gits_counts_the_jumps_of_the_sampler():
    """Heun's here: brute force over its local errors, each a run of one step from the path."""
    denoiser, count = oracle(), 7
    x = torch.randn(20, DIM, generator=seeded(), dtype=torch.float64)
    options = {"x": x, "levels": count, "sigma_min": 0.05, "sigma_max": 5.0}
    by_heun = grids.gits(denoiser, 3, Heun(), **options)
    row = torch.tensor(np.geomspace(5.0, 0.05, count))
    times = [*denoiser.schedule.t_of_log_snr(-2 * row.log()).tolist(), 0.0]
    path = [x, *(flow(denoiser, x, times[0], t, steps=100) for t in times[1:-1])]
    path.append(denoiser(path[-1], times[-2]).mean)

    def error(i, j):
        landed = final(sample(denoiser, Heun(), [times[i], times[j]], x=path[i]))
        return (landed - path[j]).norm(dim=1).mean().item() / denoiser.schedule.level(times[j]).alpha

    errors = {(i, j): error(i, j) for i in range(count) for j in range(i + 1, count + 1)}
    ways = [[0, *middle, count] for middle in combinations(range(1, count), 2)]
    totals = {tuple(way): sum(1.15**k * errors[pair] for k, pair in enumerate(pairwise(way))) for way in ways}
    best = min(totals, key=totals.get)
    assert by_heun.times.tolist() == pytest.approx([times[i] for i in best], rel=1e-6)
    assert by_heun.value == pytest.approx(totals[best], rel=0.05)  # its path takes steps of 0.38 in log r, ours of 0.05


# -- LD3: on N(0, c) a step of DDIM from the angle a = atan(r / sqrt(c)) to b falls short by cos(a - b), so equal angles are best


@pytest.mark.parametrize("schedule", [VPCosine(), EDM(), Flow()], ids=lambda s: s.name)
@pytest.mark.parametrize("steps", [2, 5])
def test_ld3_finds_equal_angles_on_gaussian_data(schedule, steps):
    """1 - prod cos is flat there: levels to 1 % are what an end after gains of 1e-5 in log distance leaves, and what x_0 counts
    for that was aimed at from sigma_min."""
    x = torch.randn(64, DIM, generator=seeded(), dtype=torch.float64)
    found = grids.ld3(oracle(schedule=schedule), steps, DDIM(), x=x)
    width = math.sqrt(VAR)
    angles = [math.atan(HIGH / width) * (1 - k / steps) for k in range(steps)]
    assert levels(schedule, found.times)[:-1] == pytest.approx([width * math.tan(a) for a in angles], rel=0.01)
    gap = x.norm(dim=1).mean().item() / math.hypot(HIGH, width) * width / schedule.level(found.times[0].item()).alpha
    due = gap * (1 - math.cos(math.atan(HIGH / width) / steps) ** steps)
    assert found.value == pytest.approx(due, rel=1e-3)
    assert found.value < found.before


@pytest.mark.parametrize("sampler", [DDIM(), Heun(), DPMSolver(2)], ids=lambda s: s.label)
def test_ld3_finds_what_scipy_finds(sampler):
    """By Nelder and Mead, without gradients and on another parameterisation, from several starts, on the same distances. Three
    variances, which no two levels can suit exactly."""
    variances = torch.tensor([0.02, 0.3, 1.0], dtype=torch.float64)
    denoiser = oracle(GaussianMixture(None, [[0.0] * 3], [variances.tolist()]))
    schedule = denoiser.schedule
    x = torch.randn(16, 3, generator=seeded(), dtype=torch.float64)
    found = grids.ld3(denoiser, 3, sampler, x=x, sigma_max=8.0)
    first = found.times[0].item()
    ends = x * (variances / (variances + 64)).sqrt() / schedule.level(first).alpha

    def distance(logs):
        if not (math.log(8) > logs[0] > logs[1] > math.log(0.002)):
            return 10.0
        times = [first, *schedule.t_of_log_snr(-2 * torch.tensor(logs, dtype=torch.float64)).tolist(), 0.0]
        return (final(sample(denoiser, sampler, times, x=x)) - ends).norm(dim=1).mean().item()

    starts = ([0.7, -0.7], [0.0, -2.0], [1.0, -1.5])
    best = min(minimize(distance, s, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9}).fun for s in starts)
    ours = distance([math.log(r) for r in levels(schedule, found.times)[1:-1]])
    # it ends after a gain of 1e-5 in log distance, a fraction of what is left; and it aimed from sigma_min, 1e-6 away
    assert ours == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize(
    ("sampler", "gain"), [(DDIM(), 2.0), (DPMSolver(2), 5.0), (Heun(), 5.0)], ids=lambda s: getattr(s, "label", None)
)
def test_ld3_gains_on_starts_it_has_not_seen(sampler, gain):
    """The ring, 5 steps, against even steps of log-SNR, mean distance to the flow's ends."""
    denoiser = oracle(RING)
    found = grids.ld3(denoiser, 5, sampler, n=128, iterations=8, sigma_min=LOW, generator=seeded())
    plain = grids.log_snr(denoiser.schedule, 5, sigma_min=LOW)
    assert plain[0] == found.times[0]
    x = next(sample(denoiser, DDIM(), found.times, n=500, generator=seeded(1), quiet=True)).x
    ends = flow(denoiser, x.double(), plain[0].item(), 0.0, steps=100)
    missed = [(final(sample(denoiser, sampler, g, x=x)) - ends).norm(dim=1).mean().item() for g in (plain, found.times)]
    assert missed[1] * gain < missed[0]
    # 128 starts stand for all: their mean has a spread of about 10 %
    assert missed[1] == pytest.approx(found.value, rel=0.5)


# -- what all have in common

SEARCHES = {
    "align_your_steps": lambda denoiser, steps, **o: grids.align_your_steps(denoiser, steps, **o),
    "gits": lambda denoiser, steps, **o: grids.gits(denoiser, steps, **o),
    "ld3": lambda denoiser, steps, **o: grids.ld3(denoiser, steps, DDIM(), iterations=2, **o),
}
each = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)


@each
def test_nothing_but_the_generator_matters(search):
    def found(state):
        torch.manual_seed(state)
        return search(oracle(RING), 4, n=50, generator=seeded(5))

    first = found(0)
    torch.set_default_dtype(torch.float64)
    try:
        second = found(1)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(first.times, second.times)
    assert first.value == second.value
    assert first.times.dtype == torch.float64
    assert first.seconds > 0
    assert "4 steps" in repr(first)
    assert search(oracle(RING), 4, n=50, generator=seeded(6)).value != first.value


@each
@pytest.mark.parametrize("schedule", [EDM(), Flow()], ids=lambda s: s.name)
def test_one_step_and_levels_of_ones_own(search, schedule):
    for steps in (1, 2):
        found = search(oracle(schedule=schedule), steps, n=20, sigma_max=10.0, generator=seeded())
        assert found.times.shape == (steps + 1,)
        assert found.times[-1] == 0
        assert schedule.level(found.times[0].item()).ratio == pytest.approx(10.0)


@each
def test_networks_in_float32(search):
    """Of Gaussian data's linear denoiser, as a network of which the last digits are lost: the same grids as the oracle's, to
    what 1e-7 of the samples' size turns in a gradient's central difference of 2e-3, and in the search that follows it."""

    class Rounded:
        schedule, shape, data = VPCosine(), (DIM,), GAUSSIAN

        def __call__(self, x_t, t, labels=None):
            assert x_t.dtype == torch.float32
            return Posterior(oracle()(x_t, t).mean * (1 + 1e-7 * torch.sin(1e5 * x_t)))

    exact, found = (search(denoiser, 4, n=64, generator=seeded()) for denoiser in (oracle(), Rounded()))
    for level, due in zip(levels(VPCosine(), found.times)[:-1], levels(VPCosine(), exact.times)[:-1], strict=True):
        assert level == pytest.approx(due, rel=0.02)


class Broken:
    schedule, shape = VPCosine(), (2,)
    data = GAUSSIAN

    def __call__(self, x_t, t, labels=None):
        return Posterior(x_t * (math.nan if t < 0.5 else 0.1))


@each
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f: f(oracle(), 0), ValueError, "at least 1, but got 0"),
        (lambda f: f(oracle(), 3, n=0), ValueError, "n must be a whole number, 1 or more, but got 0"),
        (lambda f: f(oracle(), 3, generator=3), TypeError, "generator must be a torch.Generator"),
        (lambda f: f(VPCosine(), 3), TypeError, "A denoiser is called with"),
        (lambda f: f(oracle(), 3, sigma_min=1, sigma_max=0.5), ValueError, "sigma_min < sigma_max"),
        (lambda f: f(oracle(schedule=EDM()), 3, sigma_max=100), ValueError, "sigma_max = 100 is no level"),
        (lambda f: f(Broken(), 3, n=4), FloatingPointError, "nan or inf at t = 0"),
    ],
)
def test_searches_refuse_in_one_sentence(search, call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(search)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: grids.align_your_steps(Broken(), 3, [1.0]), TypeError, "a DataSet or a tensor of examples"),
        (lambda: grids.align_your_steps(oracle(), 3, torch.zeros(0, 2)), ValueError, "needs examples"),
        (lambda: grids.align_your_steps(oracle(), 3, torch.zeros(4, 3)), ValueError, "must have the shape"),
        (
            lambda: grids.align_your_steps(oracle(), 9, levels=9),
            ValueError,
            "levels must be a whole number, 10 or more",
        ),
        (lambda: grids.gits(oracle(), 9, levels=8), ValueError, "levels must be a whole number, 9 or more, but got 8"),
        (lambda: grids.gits(oracle(), 3, levels=10**400), ValueError, "levels must be at most 10,000, but got 1000"),
        (lambda: grids.gits(oracle(), 3, gamma=1e308), ValueError, "above 0 and at most 10, but got 1e.308"),
        (lambda: grids.gits(oracle(), 3, x=torch.zeros(4, DIM, device="meta")), ValueError, "x holds none"),
        (lambda: grids.align_your_steps(oracle(), 3, torch.zeros(4, DIM, device="meta")), ValueError, "needs examples"),
        (lambda: grids.ld3(oracle(), 10**6, DDIM()), ValueError, "at most 1,000, but got 1000000"),
        (lambda: grids.gits(oracle(), 3, gamma=0), ValueError, "gamma, .* above 0 and at most 10, but got 0"),
        (lambda: grids.gits(oracle(), 3, Ancestral()), ValueError, "draws noise: find one with align_your_steps"),
        (lambda: grids.gits(oracle(), 3, "DDIM"), TypeError, "a sampler such as DDIM.., but got 'DDIM'"),
        (lambda: grids.ld3(oracle(), 3, DDIM(0.5)), ValueError, "draws noise: find one with align_your_steps"),
        (lambda: grids.gits(oracle(), 3, DDIMInversion()), ValueError, "DDIM inversion runs from data to noise"),
        (lambda: grids.ld3(oracle(), 3, DDIM), TypeError, "a sampler such as DDIM"),
        (
            lambda: grids.ld3(oracle(), 3, DDIM(), iterations=-1),
            ValueError,
            "iterations must be a whole number, 0 or more",
        ),
        (lambda: grids.ld3(oracle(), 3, DDIM(), x=torch.zeros(0, 2)), ValueError, "x holds none"),
        (lambda: grids.ld3(oracle(), 3, DDIM(), x=torch.zeros(4, 3)), ValueError, "must have the shape"),
    ],
)
def test_one_search_refuses_in_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert str(caught.value).endswith(".")
