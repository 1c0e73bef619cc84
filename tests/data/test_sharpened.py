"""Sharpened densities against scipy's quadrature and against what is a Gaussian in closed form."""

import numpy as np
import pytest
import torch
from scipy import integrate

from difflab.data import GaussianMixture, Sharpened

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.0], [0.0], [1.2]], [0.2, 0.5, 0.1])
TWINS = GaussianMixture([0.5, 0.5], [[-1.0], [-1.0]], 0.1)  # either class is as likely everywhere


def unnormalised(data, weight, label):
    """p(x)^(1 - w) (w_y N_y)^w, written from scipy-free formulas for one dimension."""

    def f(x):
        parts = data.weights * np.exp(-((x - data.means[:, 0]) ** 2) / (2 * data.covariances[:, 0, 0]))
        parts = parts / np.sqrt(2 * np.pi * data.covariances[:, 0, 0])
        return parts.sum() ** (1 - weight) * parts[label] ** weight

    return f


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("label", [0, 1])
def test_normaliser_and_moments_in_one_dimension(weight, label):
    law, f = Sharpened(LINE, label, weight), unnormalised(LINE, weight, label)
    z, first, second = (integrate.quad(lambda x, k=k: x**k * f(x), -6, 6, epsabs=1e-13, limit=400)[0] for k in range(3))
    found = law.log_normaliser
    assert abs(found.value - np.log(z)) <= found.error + 1e-10
    assert found.error < 1e-8
    mean, cov = law.moments()
    assert mean[0] == pytest.approx(first / z, abs=1e-8)
    assert cov[0, 0] == pytest.approx(second / z - (first / z) ** 2, abs=1e-8)
    assert law.log_density(np.array([[0.3]]))[0] == pytest.approx(np.log(f(0.3) / z), abs=1e-8)


def test_the_normaliser_in_two_dimensions():
    data = GaussianMixture([0.4, 0.6], [[0.0, 0.0], [0.8, 0.5]], [[0.3, 0.2], [0.25, 0.4]])
    law = Sharpened(data, 1, 2.5)

    def f(y, x):
        return np.exp(law.log_unnormalised(np.array([[x, y]]))[0])

    found = integrate.dblquad(f, -5, 5, -5, 5, epsabs=1e-7)[0]
    assert law.log_normaliser.value == pytest.approx(np.log(found), abs=1e-5)


def test_weight_one_is_the_class_and_weight_nought_the_data():
    x = np.linspace(-3, 3, 40)[:, None]
    one = GaussianMixture([1.0], LINE.means[[2]], LINE.covariances[[2]])
    np.testing.assert_allclose(Sharpened(LINE, 2, 1.0).log_density(x), one.log_density(x), atol=1e-9)
    np.testing.assert_allclose(Sharpened(LINE, 2, 0.0).log_density(x), LINE.log_density(x), atol=1e-9)


@pytest.mark.parametrize(("weight", "n"), [(0.5, 40_000), (3.0, 40_000)])
def test_samples_have_its_moments(weight, n):
    law = Sharpened(LINE, 1, weight)
    x = law.sample(n, torch.Generator().manual_seed(0)).double().numpy()[:, 0]
    mean, cov = law.moments()
    assert x.shape == (n,)
    assert abs(x.mean() - mean[0]) < 4.5 * x.std() / n**0.5
    squares = (x - mean[0]) ** 2
    assert abs(squares.mean() - cov[0, 0]) < 4.5 * squares.std() / n**0.5


def test_samples_follow_its_distribution_function():
    """Kolmogorov's bound: sup |F_n - F| > 1.95 / sqrt(n) has probability 0.1 %; the class itself (w = 1) is further off."""
    law, n = Sharpened(LINE, 0, 4.0), 20_000
    x = np.sort(law.sample(n, torch.Generator().manual_seed(1)).double().numpy()[:, 0])
    line = np.linspace(-5, 4, 20_001)
    cdf = integrate.cumulative_trapezoid(np.exp(law.log_density(line[:, None])), line, initial=0)
    at = np.interp(x, line, cdf)
    assert np.abs(at - np.arange(n) / n).max() < 1.95 / n**0.5
    class_x = np.sort(Sharpened(LINE, 0, 1.0).sample(n, torch.Generator().manual_seed(1)).double().numpy()[:, 0])
    assert np.abs(np.interp(class_x, line, cdf) - np.arange(n) / n).max() > 5 * 1.95 / n**0.5


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: Sharpened("ring", 0, 2.0), TypeError, "a GaussianMixture, but got 'ring'"),
        (lambda: Sharpened(LINE, 3, 2.0), ValueError, "from 0 to 2, but got 3"),
        (lambda: Sharpened(LINE, 0, -0.1), ValueError, "of 0 or more, but got -0.1"),
        (lambda: Sharpened(GaussianMixture.random(dim=4), 0, 2.0).log_normaliser, ValueError, "this one has 4"),
        (lambda: Sharpened(TWINS, 0, 1e8).log_normaliser, ValueError, r"At weight 1e.08 next to nothing is left"),
        (lambda: Sharpened(TWINS, 0, 1e8).moments(), ValueError, r"take a smaller one"),
        (lambda: Sharpened(LINE, 0, 2.0).sample(-1), ValueError, "number of samples"),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
