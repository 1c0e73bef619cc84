"""The arithmetic of power-function profiles against integrals, exact fractions and published pairs."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad

from difflab.training.power_profiles import decay_at, gamma_of, inner_product, nearest, sigma_rel_of


def profile(tau, t, gamma):
    return (gamma + 1) * tau**gamma / t ** (gamma + 1)


@pytest.mark.parametrize(("sigma_rel", "gamma"), [(0.05, 16.97), (0.10, 6.94)])
def test_the_paper_s_two_lengths(sigma_rel, gamma):
    """Karras et al. 2024, section 3.2, to the digits that it prints."""
    assert gamma_of(sigma_rel) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 6.94, 16.97, 300.0])
def test_a_length_is_the_standard_deviation_of_its_profile(gamma):
    t = 3.0
    mean = quad(lambda x: x * profile(x, t, gamma), 0, t)[0]
    variance = quad(lambda x: (x - mean) ** 2 * profile(x, t, gamma), 0, t)[0]
    assert sigma_rel_of(gamma) == pytest.approx(math.sqrt(variance) / t, rel=1e-6)  # of quad


@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.5, 1.0, 6.94, 16.97, 300.0, 1e5])
def test_there_and_back(gamma):
    """The slope of gamma over sigma_rel magnifies a rounding of 2e-16 by (gamma + 2) / gamma^2-ish near 0, where both are
    1 / sqrt(12): absolutely it stays below 1e-12 there, relatively below 1e-12 elsewhere."""
    assert gamma_of(sigma_rel_of(gamma)) == pytest.approx(gamma, rel=1e-12, abs=1e-12)


def test_inner_products_are_the_integrals():
    for (ta, ga), (tb, gb) in [((2.0, 3.0), (5.0, 1.5)), ((5.0, 16.97), (4.9, 6.94)), ((1.0, 0.0), (1.0, 0.0))]:
        expected = quad(lambda x, ta=ta, ga=ga, tb=tb, gb=gb: profile(x, ta, ga) * profile(x, tb, gb), 0, min(ta, tb))[
            0
        ]
        assert float(inner_product(ta, ga, tb, gb)) == pytest.approx(expected, rel=1e-9)
        assert float(inner_product(tb, gb, ta, ga)) == pytest.approx(expected, rel=1e-9)


def test_following_weights_that_rest_between_steps_is_exact():
    """The shares of the steps in the recursion with eq. 127 are the profile's integrals over (k - 1, k], in exact fractions."""
    gamma, n = 3, 12
    shares = [Fraction(0)] * (n + 1)
    for k in range(1, n + 1):
        beta = (1 - Fraction(1, k)) ** (gamma + 1)
        assert decay_at(k, gamma) == pytest.approx(float(beta), rel=1e-14)
        shares = [beta * share for share in shares]
        shares[k] += 1 - beta
    assert shares == [Fraction(0)] + [Fraction(k**4 - (k - 1) ** 4, n**4) for k in range(1, n + 1)]


def test_the_nearest_is_a_minimum_among_sums_to_one():
    """No step along the plane of sums to one comes nearer; the distance is that of the profiles on a fine grid."""
    steps, gammas = np.array([400.0, 700.0, 700.0, 1000.0]), np.array([7.0, 7.0, 17.0, 17.0])
    shares, miss = nearest(steps, gammas, 1000.0, 10.0)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    tau = (np.arange(200_000) + 0.5) / 200
    rows = np.where(tau <= steps[:, None], profile(tau, steps[:, None], gammas[:, None]), 0)
    due = profile(tau, 1000.0, 10.0)

    def distance(x):
        return math.sqrt(((x @ rows - due) ** 2).sum() / (due**2).sum())

    assert miss == pytest.approx(distance(shares), rel=1e-4)  # of the grid: 1e5 points over each jump
    for away in np.random.default_rng(0).normal(size=(20, 4)):
        assert distance(shares + 1e-2 * (away - away.mean())) > miss


def test_what_was_followed_is_found_again():
    steps, gammas = np.repeat([300.0, 600.0, 1000.0], 2), np.tile([gamma_of(0.05), gamma_of(0.1)], 3)
    shares, miss = nearest(steps, gammas, 1000.0, gamma_of(0.1))
    assert shares == pytest.approx([0, 0, 0, 0, 0, 1], abs=1e-9)
    assert miss < 1e-7  # the root of a rounding of 1e-16


@pytest.mark.parametrize("length", [0, -0.1, 0.2887, float("nan"), "0.1", None, True])
def test_what_is_no_length_is_refused(length):
    with pytest.raises(ValueError, match=r"length of an average.*above 0, and at most 1/sqrt\(12\) = 0.2886, but got"):
        gamma_of(length)


@pytest.mark.parametrize("gamma", [-0.1, float("inf"), "1"])
def test_what_is_no_exponent_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma, the exponent of a profile"):
        sigma_rel_of(gamma)
