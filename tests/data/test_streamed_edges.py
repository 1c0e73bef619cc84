"""A streamed set refuses the first value, and the first label, beyond what its source states."""

import numpy as np
import pytest

from difflab.data import Source, Streamed


class Two(Source):
    """The first example is measured; the second is whatever a test says."""

    shape, range, classes = (2,), (-1.0, 1.0), 3

    def __init__(self, value, label):
        self.x, self.labels = np.array([[-1, 1], [0, value]], np.float32), np.array([2, label])

    def __len__(self):
        return 2

    def fetch(self, index):
        return self.x[index], self.labels[index]


@pytest.mark.parametrize("value", [np.nextafter(np.float32(-1), -2), np.nextafter(np.float32(1), 2)])
def test_a_value_just_outside_the_range_is_refused(value):
    with pytest.raises(ValueError, match=r"^Example 1 of streamed set lies outside the range \(-1\.0, 1\.0\)\.$"):
        Streamed(Two(value, 0))
    Streamed(Two(np.nextafter(value, np.float32(0)), 0))


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_is_no_class_is_refused(label):
    with pytest.raises(ValueError, match=r"^The labels of streamed set must be whole numbers from 0 to 2\.$"):
        Streamed(Two(0, label))
