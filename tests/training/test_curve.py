import numpy as np
import pytest

from difflab.training import LossCurve


@pytest.mark.parametrize("count", [0, 1, 7, 599, 600, 601, 5000, 123_457])
def test_points_are_means_over_equal_consecutive_blocks(count):
    losses = np.random.default_rng(0).random(count)
    curve = LossCurve()
    for step, loss in enumerate(losses, start=1):
        curve.add(step, loss)
    points = curve.points()
    assert points.dtype == np.float32
    assert points.shape[1] == 2
    assert len(points) <= 600
    if count == 0:
        return
    block = 1
    while count // block >= 600:
        block *= 2
    expected = [
        (np.mean(np.arange(a, min(a + block, count)) + 1), losses[a : a + block].mean()) for a in range(0, count, block)
    ]
    np.testing.assert_allclose(points, expected, rtol=1e-6)


def test_the_overall_mean_is_kept():
    curve = LossCurve(limit=4)
    for step in range(1, 65):
        curve.add(step, float(step % 5))
    points = curve.points()
    assert points[:, 1].mean() == pytest.approx(np.mean([s % 5 for s in range(1, 65)]))
    assert len(points) < 4


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_an_odd_limit_is_refused(limit):
    with pytest.raises(ValueError, match="must be even"):
        LossCurve(limit)
