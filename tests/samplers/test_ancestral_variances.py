"""Ancestral sampling with every variance: the tables of the chain, and what each is right for, on data whose law is known."""

import itertools
import math

import numpy as np
import pytest
import torch

from difflab import variances
from difflab.chain import MarkovChain
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, NetworkDenoiser, Posterior
from difflab.mmse import Profile, profile
from difflab.networks import network_for
from difflab.samplers import Ancestral, Noise, State, final, grids, sample
from difflab.samplers.chains.ancestral import VARIANCES
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear, ZeroTerminalSNR

RING = GaussianMixture.ring()
SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20)]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)


class Told:
    """An oracle that also says where the log-variance lies, `fraction` (a number, or a function of x)."""

    def __init__(self, oracle, fraction):
        self.oracle, self.fraction, self.schedule, self.shape = oracle, fraction, oracle.schedule, oracle.shape

    def __call__(self, x_t, t, labels=None):
        fraction = self.fraction(x_t) if callable(self.fraction) else torch.full_like(x_t, self.fraction)
        return Posterior(self.oracle(x_t, t).mean, fraction=fraction)


class Same(Noise):
    """The same number in every draw: two of them tell the mean of a step from its width."""

    def __init__(self, value):
        self.value = value

    def start(self, n, shape):
        return torch.full((n, *shape), self.value)

    def step(self, like, index, substep=0):
        return torch.full_like(like, self.value)


def mean_and_std(sampler, denoiser, x, grid, index):
    """Of the step `index` from each row of x."""
    ends = [
        sampler.step(denoiser, State(x, grid[index], tuple(grid), Same(z), index=index), grid[index + 1]).x
        for z in (0.0, 1.0)
    ]
    return ends[0], ends[1] - ends[0]


@each_schedule
@pytest.mark.parametrize("strided", [False, True])
def test_every_variance_is_its_table_on_a_chain_and_on_a_part_of_it(gaussian, schedule, strided):
    """At each step, that to data too (which is drawn with denoise=False). The chain knows its levels to rel 1e-9 through
    t_of_log_snr, and var = sigma_s^2 (1 - r) loses a factor 1 / (1 - r), here below 100."""
    data = gaussian(0.7, 0.3, schedule)
    chain = MarkovChain(schedule, 40, quiet=True)
    chain = chain.sub([1, 2, 3, 9, 22, 40], quiet=True) if strided else chain
    grid, steps = chain.times.flip(0).tolist(), chain.steps
    k = torch.arange(1, steps + 1)
    error = torch.tensor([math.nan] + [0.3 * (1 - data.gain(t) * float(schedule.alpha(t))) for t in chain.times[1:]])
    fraction = 0.3
    tables = {name: variances.log_vars(chain, name) for name in variances.FIXED}
    tables["optimal"] = variances.optimal(chain, error)
    said = variances.learned(chain, k, torch.full((steps, 1), fraction, dtype=torch.float64))[:, 0]
    tables["learned"] = torch.cat([said.new_full((1,), math.nan), said])
    assert set(tables) == set(VARIANCES)
    x = torch.tensor([[0.4]], dtype=torch.float64)
    for name, table in tables.items():
        denoiser = Told(data.oracle, fraction) if name == "learned" else data.oracle
        for index in range(steps):
            _, std = mean_and_std(Ancestral(name, denoise=False), denoiser, x, grid, index)
            assert 2 * math.log(float(std)) == pytest.approx(float(table[steps - index]), abs=1e-6), (name, index)
    # the variance of Gaussian data is the same at all x_t: given by level it is what the oracle says
    by_level = Ancestral("optimal", False, lambda level: 0.3 / (1 + 0.3 * math.exp(level)))
    for index in range(steps):
        _, std = mean_and_std(by_level, data.oracle, x, grid, index)
        assert 2 * math.log(float(std)) == pytest.approx(float(tables["optimal"][steps - index]), abs=1e-6), index


@pytest.mark.parametrize("schedule", [*SCHEDULES, Flow(), ZeroTerminalSNR(VPLinear())], ids=lambda s: s.name)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_with_the_optimal_variance_gaussian_data_is_exact_in_any_number_of_steps(gaussian, schedule, steps):
    """q(x_s | x_t) of Gaussian data is Gaussian, with the mean and the variance of the step: marginals stay as they are, and
    what arrives at t = 0 is the data. Rounding alone is left: 1e-9 of the least-squares fit that reads the law off."""
    data = gaussian(0.7, 0.3, schedule)
    grid = [*np.linspace(1.0, 0.05, steps), 0.0] if not schedule.reaches_data else np.linspace(1, 0, steps + 1).tolist()
    mean, var = 0.7 * float(schedule.alpha(1.0)), data.marginal_var(1.0)
    law = data.law(Ancestral("optimal", denoise=False), grid)
    for step, s in zip(law, grid[1:], strict=True):
        mean, var = data.propagate([step], mean, var)
        assert mean == pytest.approx(0.7 * float(schedule.alpha(s)), rel=1e-9, abs=1e-9)
        assert var == pytest.approx(data.marginal_var(s), rel=1e-9)
    # no other variance does so: this one is between the two that are right for a point and for white noise
    for name, sign in (("small", -1), ("large", 1)):
        mean, var = 0.7 * float(schedule.alpha(1.0)), data.marginal_var(1.0)
        other = data.law(Ancestral(name), grid)[:-1]
        if other:
            assert sign * (data.propagate(other, mean, var)[1] / data.marginal_var(grid[-2]) - 1) > 1e-3


@each_schedule
def test_small_is_exact_for_a_point_and_large_for_white_noise(gaussian, schedule):
    """The optimal variance is "small" where Var[x_0 | x_t] = 0. It is "large" where x_t is white noise of the step's own
    width, x_s | x_t as wide as x_t | x_s: unit variance, where variance is preserved."""
    grid = grids.uniform(schedule, 6).tolist()
    x = torch.tensor([[0.4]], dtype=torch.float64)
    for index in range(5):
        point = gaussian(0.7, 1e-14, schedule).oracle
        _, best = mean_and_std(Ancestral("optimal"), point, x, grid, index)
        _, small = mean_and_std(Ancestral("small"), point, x, grid, index)
        torch.testing.assert_close(best, small, rtol=1e-6, atol=0)
        if schedule.variance_preserving:
            white = gaussian(0.0, 1.0, schedule).oracle
            _, best = mean_and_std(Ancestral("optimal"), white, x, grid, index)
            _, large = mean_and_std(Ancestral("large"), white, x, grid, index)
            torch.testing.assert_close(best, large, rtol=1e-9, atol=0)


def test_the_optimal_variance_of_a_level_is_the_average_over_x_t():
    """Analytic-DPM's one number: a Profile, or any function of the log-SNR; clipped to [0, sigma^2 / alpha^2]."""
    schedule, dim = VPCosine(), 2
    data, oracle = RING, ExactDenoiser(RING, schedule)
    levels = torch.linspace(-12, 12, 49, dtype=torch.float64)
    curve = profile(oracle, data, levels, n=512, generator=torch.Generator().manual_seed(0))
    grid, x = [0.8, 0.5, 0.2], torch.randn(5, 2, dtype=torch.float64)

    def width(posterior_var, t=0):
        return mean_and_std(Ancestral("optimal", posterior_var=posterior_var), oracle, x, grid, t)[1]

    for index, t in enumerate(grid[:-1]):
        level = float(schedule.log_snr(t))
        v = float(curve.at(torch.tensor(level))[0]) / dim
        torch.testing.assert_close(width(curve, index), width(curve, index)[:1, :1].expand(5, 2))
        torch.testing.assert_close(
            width(curve, index), width(lambda at, v=v, level=level: v if at == level else 1e9, index)
        )
        # what it averages is what the oracle says of each sample
        drawn = schedule.alpha(t) * data.sample(20_000, torch.Generator().manual_seed(1)).double()
        drawn = drawn + schedule.sigma(t) * torch.randn(drawn.shape, generator=torch.Generator().manual_seed(2))
        own = oracle(drawn, t).var
        error = 4 * (float(own.mean(1).std()) / 20_000**0.5 + float(curve.at(torch.tensor(level))[1]) / dim)
        assert v == pytest.approx(float(own.mean()), abs=error)
    assert torch.equal(width(lambda level: -1.0), width(lambda level: 0.0))
    most = float(schedule.sigma(0.8) / schedule.alpha(0.8)) ** 2
    torch.testing.assert_close(width(lambda level: 1e9), width(lambda level: most))


def test_ddpms_rule_for_step_1_changes_no_sample_unless_the_last_step_is_drawn():
    oracle, grid = ExactDenoiser(RING, VPCosine()), grids.uniform(VPCosine(), 6)

    def run(**knobs):
        return final(sample(oracle, Ancestral(**knobs), grid, n=30, generator=torch.Generator().manual_seed(0)))

    for kind in ("small", "large"):
        assert torch.equal(run(variance=f"ddpm_{kind}"), run(variance=kind))
        drawn = run(variance=f"ddpm_{kind}", denoise=False)
        assert (drawn - run(variance=kind, denoise=False)).abs().min() > 0


@each_schedule
def test_a_learned_fraction_of_0_is_small_and_of_1_is_large(schedule):
    oracle = ExactDenoiser(RING, schedule)
    grid = grids.uniform(schedule, 6)
    for fraction, name in ((0.0, "small"), (1.0, "large")):
        learned, fixed = (
            final(sample(denoiser, Ancestral(kind), grid, n=50, generator=torch.Generator().manual_seed(0)))
            for denoiser, kind in ((Told(oracle, fraction), "learned"), (oracle, name))
        )
        torch.testing.assert_close(learned, fixed, rtol=1e-5, atol=1e-5)


def test_fractions_and_variances_are_of_each_coordinate_and_no_row_sees_another():
    schedule, grid = VPCosine(), [0.9, 0.5]
    oracle = ExactDenoiser(RING, schedule)
    x = torch.randn(6, 2, dtype=torch.float64)
    for denoiser, name in ((oracle, "optimal"), (Told(oracle, torch.sigmoid), "learned")):
        _, std = mean_and_std(Ancestral(name), denoiser, x, grid, 0)
        assert torch.unique(std).numel() == std.numel()
        apart = torch.cat([mean_and_std(Ancestral(name), denoiser, row, grid, 0)[1] for row in x.split(1)])
        torch.testing.assert_close(std, apart, rtol=1e-9, atol=0)


def test_on_a_mixture_the_optimal_variance_gains_an_order(gaussian):
    """The law itself, no Monte Carlo: p_s(x') = sum over a fine grid of p_t(x) N(x'; mean(x), std(x)^2), by the trapezoidal
    rule, which is as good as exact here (the spacing, 0.02, is a tenth of the narrowest step). In one dimension two moments of
    q(x_s | x_t) are right with the optimal variance, and its third is of the third order in the step."""
    schedule = VPCosine()
    oracle = ExactDenoiser(GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], 0.1), schedule)
    x = torch.linspace(-6, 6, 601, dtype=torch.float64)[:, None]
    spacing = float(x[1] - x[0])

    def distance(name, steps, end=0.2):
        """Total variation between the law arrived at, from the true one at t = 1, and the true one at `end`."""
        grid = torch.linspace(1, end, steps + 1, dtype=torch.float64).tolist()
        p = oracle.log_prob(x, 1.0).exp()
        for index in range(steps):
            mean, std = mean_and_std(Ancestral(name), oracle, x, grid, index)
            kernel = (-((x - mean.T) / std.T).square() / 2).exp() / (std.T * math.sqrt(2 * math.pi))
            p = spacing * kernel @ p
        return spacing * float((p - oracle.log_prob(x, end).exp()).abs().sum()) / 2

    for name, least, most in (("small", 0.8, 1.2), ("large", 0.8, 1.2), ("optimal", 1.6, 2.3)):
        errors = [distance(name, steps) for steps in (10, 20, 40)]
        orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
        assert all(least < order < most for order in orders), (name, errors, orders)


@pytest.mark.parametrize("name", VARIANCES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_samples_stay_in_their_dtype(name, dtype):
    denoiser = Told(ExactDenoiser(RING, VPCosine()), 0.5)
    denoiser = denoiser if name == "learned" else denoiser.oracle
    x = torch.randn(4, 2).to(dtype)
    for state in sample(denoiser, Ancestral(name, denoise=False), [1.0, 0.5, 0.1, 0.0], x=x):
        assert state.x.dtype == dtype
    assert len(final(sample(denoiser, Ancestral(name, denoise=False), [1.0, 0.5, 0.0], n=0))) == 0


NETWORK = NetworkDenoiser(network_for(RING), VPCosine(), "v")


def one_step(sampler, denoiser=NETWORK, grid=(1.0, 0.5)):
    return final(sample(denoiser, sampler, list(grid), n=2, shape=(2,)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Ancestral(3), ValueError, "'learned' or 'optimal', but got 3"),
        (lambda: Ancestral(denoise="no"), ValueError, "denoise must be True or False, but got 'no'"),
        (lambda: Ancestral("small", posterior_var=lambda _: 1.0), ValueError, "but the variance is 'small'"),
        (lambda: Ancestral("optimal", posterior_var=0.3), TypeError, "an mmse.Profile or a function .* but got 0.3"),
        (
            lambda: one_step(Ancestral("optimal")),
            ValueError,
            r"needs Var\[x_0 \| x_t\], which this denoiser does not know",
        ),
        (
            lambda: one_step(Ancestral("learned")),
            ValueError,
            r"predicts where it lies \(learned_range=True\), but this one",
        ),
        (
            lambda: one_step(Ancestral("optimal", posterior_var=lambda _: math.nan)),
            ValueError,
            "a number at every level, but at a log-SNR of .* it is nan",
        ),
        (
            lambda: one_step(Ancestral("ddpm_large", denoise=False), grid=(1.0, 0.0)),
            ValueError,
            "the variance of step 2 for step 1, to data, but this grid has one step",
        ),
        (
            lambda: one_step(
                Ancestral(
                    "optimal", posterior_var=Profile(*torch.tensor([[0.0], [1.0], [0.1]]).double(), 2, 1.0, False)
                )
            ),
            ValueError,
            "This profile was measured for log-SNR from 0 to 0",
        ),
    ],
)
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_labels_say_every_choice():
    told = [
        Ancestral(v, d, p).label
        for v in VARIANCES
        for d in (True, False)
        for p in ((None, abs) if v == "optimal" else (None,))
    ]
    assert len(set(told)) == len(told)
    assert all(v in label for v, label in zip(VARIANCES, told[::2], strict=False))
