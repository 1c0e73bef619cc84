import math

import numpy as np
import pytest
import torch

from difflab.networks.embedding import Condition


def test_the_level_is_coded_by_sines_and_cosines_of_a_geometric_ladder_of_rates():
    condition = Condition(width=8, waves=4)
    condition.level = torch.nn.Identity()
    level = torch.tensor([0.3, -1.7])
    code = condition(level)
    ratio = (8.0 / 0.25) ** (1 / 3)
    for j in range(4):
        rate = 0.25 * ratio**j
        for i, value in enumerate(level.tolist()):
            assert math.isclose(code[i, j].item(), math.sin(rate * value), abs_tol=1e-5)
            assert math.isclose(code[i, 4 + j].item(), math.cos(rate * value), abs_tol=1e-5)


def test_no_labels_is_the_row_after_the_last_class():
    condition = Condition(width=8, classes=3)
    level = torch.randn(5)
    assert torch.equal(condition(level), condition(level, torch.full((5,), 3)))
    assert not torch.allclose(condition(level), condition(level, torch.zeros(5, dtype=torch.int64)))


def test_one_level_serves_all_rows():
    condition = Condition(width=8, classes=3)
    labels = torch.tensor([0, 2, 1])
    torch.testing.assert_close(
        condition(torch.tensor([0.5]), labels), condition(torch.full((3,), 0.5), labels), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "labels", "error", "sentence"),
    [
        ({"classes": 3}, [0, 1], TypeError, "labels of a network are a tensor of whole numbers, but got"),
        ({"classes": 3}, 1, TypeError, "tensor of whole numbers, but got 1"),
        ({"classes": 3}, torch.tensor([0.0, 1.0]), ValueError, r"but got \(2,\) of torch.float32"),
        ({"classes": 3}, torch.tensor([True, False]), ValueError, "of torch.bool"),
        ({"classes": 3}, torch.zeros(2, 3, dtype=torch.int64), ValueError, r"but got \(2, 3\)"),
        ({"vector": 3}, np.zeros((2, 3)), TypeError, "vectors of a network are a tensor of numbers, but got array"),
        ({"vector": 3}, torch.zeros(3), ValueError, r"have the shape \(n, 3\), but got \(3,\)"),
        ({"vector": 3}, torch.zeros(2, 2), ValueError, r"but got \(2, 2\)"),
    ],
)
def test_conditions_of_another_kind_are_refused(options, labels, error, sentence):
    with pytest.raises(error, match=sentence):
        Condition(width=8, **options)(torch.zeros(2), labels)
