"""The bridge between any two times against the textbook, the chain, and the marginals it must keep."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from difflab.chain import MarkovChain
from difflab.samplers.chains.bridge import bridge
from difflab.schedules import Geometric, VPCosine, VPLinear

SCHEDULES = [VPLinear(), VPCosine(), Geometric()]
TIMES = st.floats(1e-3, 1.0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_is_the_chains_posterior_on_its_times(schedule):
    chain = MarkovChain(schedule, 30)
    for k in range(2, 31):
        b = bridge(schedule, float(chain.times[k]), float(chain.times[k - 1]))
        assert float(b.c_x) == pytest.approx(float(chain.posterior_x[k]), rel=1e-6)
        assert float(b.c_0) == pytest.approx(float(chain.posterior_x0[k]), rel=1e-6)
        assert math.log(b.var) == pytest.approx(float(chain.posterior_log_var[k]), abs=1e-6)
        assert float(b.beta) == pytest.approx(float(chain.beta[k]), rel=1e-6)


@settings(deadline=None)
@given(TIMES, TIMES, st.sampled_from(SCHEDULES))
def test_keeps_the_marginal_and_agrees_with_bayes(t, s, schedule):
    t, s = max(t, s), min(t, s)
    b = bridge(schedule, t, s)
    torch.testing.assert_close(b.c_x * b.alpha_t + b.c_0, b.alpha_s, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(b.c_x**2 * b.sigma_t**2 + b.var, b.sigma_s**2, rtol=1e-9, atol=1e-14)
    # the forward step has a = alpha_t / alpha_s and noise beta; Bayes' rule for Gaussians adds precisions
    a = b.alpha_t / b.alpha_s
    torch.testing.assert_close(a**2 * b.sigma_s**2 + b.beta, b.sigma_t**2, rtol=1e-9, atol=1e-14)
    if b.var > 0:  # not between two times of one level: the cosine's log-SNR ends at its floor before t = 1
        torch.testing.assert_close(1 / b.var, 1 / b.sigma_s**2 + a**2 / b.beta, rtol=1e-9, atol=0)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_ends_on_x0(schedule):
    b = bridge(schedule, 0.2, 0.0)
    assert (float(b.c_x), float(b.c_0), float(b.var)) == (0.0, 1.0, 0.0)
    assert float(b.beta) == pytest.approx(float(schedule.sigma(0.2)) ** 2, rel=1e-12)
