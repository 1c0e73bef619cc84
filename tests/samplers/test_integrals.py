"""The weights of exponential integrators against 50 digits of mpmath, and against what they must integrate exactly."""

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difflab.samplers.exponential.integrals import distance, moments, through_two, weights, whole
from difflab.schedules import VPCosine

RATES = [-2.0, -1.0, 0.0, 1.0]


def exactly(nodes, h, rate):
    """The weights by quadrature of each Lagrange polynomial, in 50 digits."""
    with mpmath.workdps(50):
        u = [mpmath.mpf(node) for node in nodes]
        h, rate = mpmath.mpf(h), mpmath.mpf(rate)

        def of(j):
            def integrand(v):
                others = [(v - u[i]) / (u[j] - u[i]) for i in range(len(u)) if i != j]
                return mpmath.exp(rate * (h - v)) * mpmath.fprod(others)

            return mpmath.quad(integrand, [0, h / 2, h])

        return [float(of(j)) for j in range(len(u))]


@pytest.mark.parametrize("z", [0.0, 1e-300, 1e-12, 1e-4, 0.1, 1.0, 1.999, 2.001, 5.0, 30.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_moments_hold_float64(z, sign):
    """M_k is a confluent hypergeometric function, 1F1(1; k + 2; z) / (k + 1). Each step of either recursion loses less than a bit
    or two: 1e-14 is 45 roundings."""
    found = moments(4, sign * z)
    with mpmath.workdps(50):
        for k, value in enumerate(found):
            assert value == pytest.approx(
                float(mpmath.hyp1f1(1, k + 2, sign * mpmath.mpf(z)) / (k + 1)), rel=1e-14, abs=0
            )


nodes_behind = st.lists(st.floats(0.05, 2.0), min_size=0, max_size=3)


@given(nodes_behind, st.floats(1e-3, 4.0), st.sampled_from(RATES))
def test_weights_integrate_every_polynomial_that_the_nodes_determine(gaps, h, rate):
    """sum_j w_j u_j^k = h^(k+1) M_k(rate h), up to roundings of the terms, which may be far larger than their sum."""
    nodes = [0.0]
    for gap in gaps:
        nodes.append(nodes[-1] - gap)
    found = weights(tuple(nodes), h, rate)
    for k in range(len(nodes)):
        terms = [w * (u / h) ** k for w, u in zip(found, nodes, strict=True)]
        assert math.fsum(terms) == pytest.approx(h * moments(4, rate * h)[k], abs=1e-12 * sum(map(abs, terms)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("nodes", [(0.0, -0.3), (0.0, 0.7, -0.3), (0.0, -0.3, -0.9, -1.0)])
def test_weights_are_integrals_of_lagranges_polynomials(nodes, rate):
    assert weights(nodes, 0.7, rate) == pytest.approx(exactly(nodes, 0.7, rate), rel=1e-13, abs=0)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 1.0])
def test_small_steps_lose_no_digits(scale, rate):
    """The closed forms through exp(h) - 1 - h - ... lose all of them at 1e-6."""
    nodes = tuple(scale * u for u in (0.0, -0.9, -2.2, -3.0))
    assert weights(nodes, scale, rate) == pytest.approx(exactly(nodes, scale, rate), rel=1e-12, abs=0)


def test_even_steps_without_an_exponential_are_adams_bashforths():
    due = [(1.0,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24)]
    for coefficients in due:
        nodes = tuple(-0.25 * j for j in range(len(coefficients)))
        assert weights(nodes, 0.25, 0.0) == pytest.approx([0.25 * b for b in coefficients], rel=1e-13, abs=0)


@pytest.mark.parametrize("rate", RATES)
def test_the_whole_is_the_sum(rate):
    assert whole(0.7, rate) == pytest.approx(sum(weights((0.0, -0.2, -0.5), 0.7, rate)), rel=1e-13, abs=0)
    assert whole(math.inf, -1.0) == 1.0


def test_two_values_at_the_middle():
    """A line through f(0) = 1 and f(node) = 1 + node, taken at h / 2, is 1 + h / 2."""
    w = through_two(-0.4, 0.6, 1.0, 1.0)
    assert w[0] + w[1] * (1 - 0.4) == pytest.approx(1.3, rel=1e-14, abs=0)


def test_distance_is_half_the_log_snr():
    schedule = VPCosine()
    t, s = schedule.level(0.8), schedule.level(0.3)
    assert distance(t, s) == pytest.approx(math.log(s.alpha / s.sigma) - math.log(t.alpha / t.sigma), rel=1e-13, abs=0)
    assert distance(schedule.level(0.5), schedule.level(0.0)) == math.inf
