"""Exponential tilts against the tilted density itself, against Kalman's update, and against quadrature."""

import numpy as np
import pytest
from scipy import integrate

from difflab.data import GaussianMixture, Tilt

LINEAR = np.array([0.7, -1.1, 0.4])
QUADRATIC = np.array([[0.5, 0.2, 0.0], [0.2, 0.1, -0.1], [0.0, -0.1, 0.8]])


def test_the_tilted_density_is_density_times_tilt_over_its_mean():
    data = GaussianMixture.random(components=5, dim=3, seed=1)
    tilt = Tilt(LINEAR, QUADRATIC)
    x = data.preview(50, 0)[0].astype(float)
    log_tilt = x @ LINEAR - np.einsum("ni,ij,nj->n", x, QUADRATIC, x) / 2
    expected = data.log_density(x) + log_tilt - data.log_mean_tilt(tilt)
    # float64: log-densities of a few tens, and a matrix inverse of condition < 1e3
    np.testing.assert_allclose(data.tilted(tilt).log_density(x), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("quadratic", [0.0, 1.3, -0.5])
def test_the_mean_tilt_in_one_dimension_is_the_integral(quadratic):
    """The components' variances are 0.3 and 0.8: a tilt down to -1/0.8 has a finite mean."""
    data = GaussianMixture([0.3, 0.7], [[-1.0], [0.6]], [0.3, 0.8])
    tilt = Tilt([0.9], quadratic)

    def integrand(x):
        return np.exp(data.log_density(np.array([[x]]))[0] + 0.9 * x - quadratic * x * x / 2)

    found = integrate.quad(integrand, -15, 15, epsabs=1e-13, limit=200)[0]
    assert np.exp(data.log_mean_tilt(tilt)) == pytest.approx(found, rel=1e-10)


def test_one_gaussian_in_information_form():
    """C'^-1 = C^-1 + Q and C'^-1 m' = C^-1 m + b: inverses where the code has Cholesky roots."""
    data = GaussianMixture.random(components=1, dim=3)
    (m,), (c,) = data.means, data.covariances
    precision = np.linalg.inv(c) + QUADRATIC
    tilted = data.tilted(Tilt(LINEAR, QUADRATIC))
    np.testing.assert_allclose(tilted.covariances[0], np.linalg.inv(precision), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(tilted.means[0], np.linalg.solve(precision, np.linalg.solve(c, m) + LINEAR), rtol=1e-9)


def test_a_linear_observation_is_a_tilt():
    data = GaussianMixture.random(components=4, dim=3)
    matrix, value, noise = np.array([[1.0, -0.5, 0.2], [0.3, 0.8, 0.0]]), np.array([0.4, -0.7]), np.array([0.2, 0.1])
    seen = data.observed(matrix, value, noise)
    tilted = data.tilted(Tilt(matrix.T @ (value / noise), matrix.T @ np.diag(1 / noise) @ matrix))
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(tilted, name), getattr(seen, name), rtol=1e-8, atol=1e-11)


def test_tilting_twice_is_the_square():
    data, tilt = GaussianMixture.random(dim=3), Tilt(LINEAR, QUADRATIC)
    twice, square = data.tilted(tilt).tilted(tilt), data.tilted(2 * tilt)
    np.testing.assert_allclose(twice.means, square.means, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(twice.weights, square.weights, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Tilt(3.0), ValueError, "one number for each coordinate"),
        (lambda: Tilt([1.0], [[1.0, 2.0]]), ValueError, "quadratic part of a tilt must be"),
        (lambda: Tilt([np.nan]), ValueError, "must be finite"),
        (lambda: Tilt([0.0, 0.0], [[1.0, 2.0], [0.0, 1.0]]), ValueError, "must be symmetric"),
        (lambda: Tilt([1.0]) * 10**400, ValueError, "power of a number, but got 1000"),
        (lambda: Tilt([1.0]).log_value(3.0), ValueError, r"must be \(n, 1\), but got \(\)"),
        (lambda: Tilt([1.0]).log_value("x"), ValueError, "must be real numbers, but got 'x'"),
        (lambda: Tilt([1.0]).of_gaussian(0.0, 1.0), ValueError, r"covariance \(1, 1\), but got \(\) and \(\)"),
        (lambda: Tilt([1.0]).of_gaussian([0.0], [[-1.0]]), ValueError, "must be positive definite"),
        (lambda: Tilt([1.0]) * "2", ValueError, "power of a number"),
        (lambda: GaussianMixture.ring().tilted(Tilt([1.0])), ValueError, "1 coordinates, and ring of 8 has 2"),
        (lambda: GaussianMixture.ring().tilted([1.0, 0.0]), TypeError, "is tilted by a Tilt"),
        (lambda: GaussianMixture([1.0], [[0.0]], 1.0).tilted(Tilt([0.0], -1.0)), ValueError, "grows faster"),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
