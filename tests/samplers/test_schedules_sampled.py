"""Every schedule can be sampled, those that end on noise alone and those that do not preserve the variance included.

On one-dimensional Gaussian data the law of a sampler is read off without Monte Carlo (conftest.py): mean and variance of what
comes out, started from the prior, against those of the data.
"""

import math

import pytest
import torch

from difflab.chain import MarkovChain
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, Langevin, final, grids, sample
from difflab.samplers.base import prior_std
from difflab.samplers.chains.bridge import bridge
from difflab.schedules import (
    EDM,
    Flow,
    Geometric,
    Learned,
    SubVP,
    Tabulated,
    VPBetaSigmoid,
    VPCosine,
    VPLinear,
    VPLogSNRLinear,
    VPScaledLinear,
    VPSigmoid,
    VPSong,
    ZeroTerminalSNR,
)

ENDS_IN_NOISE = [Flow(), ZeroTerminalSNR(), VPSigmoid(clip_min=0.0)]
EVERY = [
    *ENDS_IN_NOISE,
    VPLinear(),
    VPCosine(),
    VPSong(),
    VPScaledLinear(),
    VPBetaSigmoid(),
    VPLogSNRLinear(12.0, -8.0),
    SubVP(),
    EDM(),
    Geometric(),
    Tabulated((9.0, 2.0, -1.0, -9.0)),
    Tabulated.from_betas(torch.linspace(1e-4, 0.2, 60)),
    Learned(12.0, -8.0).frozen(),
]
by_name = {"ids": lambda s: s.name}
MEAN, VAR = 0.3, 0.25


def law_of(gaussian, schedule, sampler, steps):
    """Mean and variance at the end of a run from the prior."""
    data = gaussian(MEAN, VAR, schedule)
    law = data.law(sampler, grids.uniform(schedule, steps).tolist())
    return data.propagate(law, 0.0, prior_std(schedule, 1.0) ** 2)


@pytest.mark.parametrize("schedule", EVERY, **by_name)
@pytest.mark.parametrize("sampler", [DDIM(), DDIM(0.5), Ancestral()], ids=lambda s: s.label)
def test_the_sampled_law_tends_to_the_datas(schedule, sampler, gaussian):
    """Both methods are of first order: errors at 80 steps are halves of those at 40, down to what the start costs.

    The start is off in mean by alpha(1) MEAN and in variance by alpha(1)^2 VAR + sigma(1)^2 - prior^2, and contracts on the
    way: to the standard deviation of the data over that of the start, where nothing else adds to it.
    """
    (m40, v40), (m80, v80) = (law_of(gaussian, schedule, sampler, n) for n in (40, 80))
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(1.0))
    start = math.hypot(alpha * math.sqrt(VAR), sigma)
    off = alpha * abs(MEAN) * math.sqrt(VAR) / start
    off_var = abs(alpha**2 * VAR + sigma**2 - schedule.prior_std**2) * VAR / start**2
    # a method of first order: 1.5 where the higher ones still count
    assert abs(m80 - MEAN) <= abs(m40 - MEAN) / 1.5 + 2 * off + 1e-9
    assert abs(v80 - VAR) <= abs(v40 - VAR) / 1.5 + 2 * off_var + 1e-9
    assert abs(v80 - VAR) < 0.25 * VAR
    assert abs(m80 - MEAN) < 0.02


@pytest.mark.parametrize("schedule", ENDS_IN_NOISE, **by_name)
def test_the_bridge_from_noise_alone(schedule):
    """x_1 has nothing of x_0, so it says nothing of x_s either: q(x_s | x_1, x_0) is q(x_s | x_0)."""
    for s in (0.999, 0.5, 1e-3, 0.0):
        b = bridge(schedule, 1.0, s)
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(s))
        assert (float(b.c_x), float(b.c_0), float(b.beta)) == (0.0, alpha, 1.0)
        assert float(b.var) == pytest.approx(sigma**2, rel=1e-15)


@pytest.mark.parametrize("schedule", EVERY, **by_name)
def test_the_bridge_is_the_chains_posterior(schedule):
    if isinstance(schedule, VPCosine):
        return  # its chains clip betas; test_bridge.py has it at times of its own
    chain = MarkovChain(schedule, 12, quiet=True)
    for k in range(2, 13):
        b = bridge(schedule, float(chain.times[k]), float(chain.times[k - 1]))
        for ours, theirs in [(b.c_x, chain.posterior_x), (b.c_0, chain.posterior_x0), (b.beta, chain.beta)]:
            assert ours == pytest.approx(float(theirs[k]), rel=1e-9)
        assert math.log(b.var) == pytest.approx(float(chain.posterior_log_var[k]), abs=1e-9)


@pytest.mark.parametrize("schedule", ENDS_IN_NOISE, **by_name)
@pytest.mark.parametrize("sampler", [DDIM(), Ancestral(), Ancestral("large")], ids=lambda s: s.label)
def test_samples_in_float32_from_noise_alone(schedule, sampler):
    oracle = ExactDenoiser(GaussianMixture.ring(), schedule)
    g = torch.Generator().manual_seed(0)
    states = list(sample(oracle, sampler, grids.uniform(schedule, 30), n=200, generator=g))
    # at alpha = 0 the best guess is the mean of the data, whatever x is
    torch.testing.assert_close(states[1].denoised, torch.zeros(200, 2), rtol=0, atol=1e-6)
    radius = states[-1].x.norm(dim=1)
    assert abs(float(radius.mean()) / float(torch.from_numpy(oracle.data.means).norm(dim=1).mean()) - 1) < 0.1


def test_langevin_walks_at_noise_alone():
    """There p_t is the prior itself, N(0, 1), whose score is -x: stationary variance 1 / (1 - a / 2)."""
    oracle = ExactDenoiser(GaussianMixture([1.0], [[0.7]], 0.2), Flow())
    g = torch.Generator().manual_seed(0)
    x = final(sample(oracle, Langevin(0.5), grids.constant(1.0, 30), n=20_000, generator=g))
    # 4 standard errors of a variance from 20,000 samples, 4 sqrt(2 / 20000) = 0.04
    assert float(x.var()) == pytest.approx(1 / (1 - 0.25), rel=0.04)


@pytest.mark.parametrize("schedule", EVERY, **by_name)
def test_the_start_has_the_variance_of_unit_data(schedule):
    """Below t = 1 exactly; at t = 1 up to what L_T counts, for data of unit variance there too."""
    for t in (0.2, 0.5, 0.9):
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
        assert prior_std(schedule, t) ** 2 == pytest.approx(alpha**2 + sigma**2, rel=1e-12)
    assert prior_std(schedule, 1.0) == schedule.prior_std
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(1.0))
    assert schedule.prior_std**2 == pytest.approx(alpha**2 + sigma**2, rel=2e-3)


@pytest.mark.parametrize("schedule", EVERY, **by_name)
def test_grids_visit_the_lowest_level_where_there_is_one(schedule):
    for grid in (grids.uniform(schedule, 6), grids.of_chain(MarkovChain(schedule, 6, quiet=True))):
        assert len(grid) == 7
        assert float(grid[-1]) == 0
        # a cosine chain of six steps clips its betas, and so ends at a higher log-SNR
        assert float(grid[0]) == 1 or isinstance(schedule, VPCosine)
        assert (float(grid[-2]) < 1e-6) == (not schedule.reaches_data)


@pytest.mark.parametrize(("t", "s"), [(0.2, 0.3), (1.2, 0.1), (0.5, -0.1), (math.nan, 0.1), (0.5, math.nan)])
def test_the_bridge_refuses_what_is_none(t, s):
    with pytest.raises(ValueError, match=r"from t down to s, 0 <= s <= t <= 1, but got t = "):
        bridge(VPCosine(), t, s)
