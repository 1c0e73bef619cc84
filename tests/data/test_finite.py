"""Finite sets: the digits and moons that ship, and what is refused."""

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, digits, two_moons


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    data = digits()
    assert len(data) == 1797
    assert data.shape == (1, 8, 8)
    assert (data.levels, data.range, data.classes) == (17, (-1.0, 1.0), 10)
    # the levels lie at -1 + j / 8, exactly in float32: bits/dim stand on that
    assert np.array_equal((data.x.reshape(-1, 64) + 1) * 8, pixels)
    assert np.array_equal(data.labels, labels)


@pytest.mark.parametrize("data", [digits(), two_moons()], ids=lambda d: d.name)
def test_knows_its_moments(data):
    x = data.x.astype(float)
    assert data.sigma_data == pytest.approx(x.std(), rel=1e-6)
    assert data.second_moment == pytest.approx((x**2).mean(), rel=1e-6)


def test_two_moons_are_standardised():
    data = two_moons()
    np.testing.assert_allclose(data.x.mean(0), 0, atol=1e-6)
    assert data.x.std() == pytest.approx(1, rel=1e-6)
    assert data.classes == 2


@pytest.mark.parametrize("draw", ["sample", "preview"])
def test_draws_examples_evenly_with_their_labels(draw):
    data = FiniteSet(np.arange(8.0).reshape(4, 2), labels=[0, 1, 1, 2])
    n = 8000
    if draw == "sample":
        x, labels = (a.numpy() for a in data.sample_labelled(n, torch.Generator().manual_seed(0)))
    else:
        x, labels = data.preview(n, 0)
    index = (x[:, 0] / 2).astype(int)
    assert np.array_equal(data.x[index], x)
    assert np.array_equal(data.labels[index], labels)
    assert np.abs(np.bincount(index) / n - 0.25).max() < 5 * (0.1875 / n) ** 0.5


def test_unlabelled():
    data = FiniteSet([[0.5], [1.5]])
    assert data.sample_labelled(2)[1] is None
    assert data.preview(2)[1] is None
    assert data.classes is None
    assert data.range == (0.5, 1.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"x": [1.0, 2.0]}, r"shape \(N, ...\)"),
        ({"x": np.zeros((0, 2))}, r"shape \(N, ...\)"),
        ({"x": [[float("nan")]]}, "must be finite"),
        ({"x": [[0.0]], "labels": [0, 1]}, "1 whole numbers"),
        ({"x": [[0.0]], "labels": [-1]}, "1 whole numbers"),
        ({"x": [[0.0]], "levels": 2**70}, "levels must be a whole number from 2 to 65536, or None .*, but got 118059"),
    ],
)
def test_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        FiniteSet(**arguments)
