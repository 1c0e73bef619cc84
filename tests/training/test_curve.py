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


def test_an_hour_of_training_is_as_many_points():
    """A million steps: never more than the limit held, whenever one looks, and the last block ends on the last step."""
    curve = LossCurve()
    most = 0
    for step in range(1, 10**6 + 1):
        curve.add(step, 1.0 / step)
        if step % 997 == 0:
            most = max(most, len(curve.points()), len(curve._losses))
    points = curve.points()
    assert max(most, len(points)) <= 600
    assert len(points) > 300
    whole, left = divmod(10**6, 2048)  # 600 blocks of 1,024 end before 10^6, 600 of 2,048 after it
    assert len(points) == whole + 1
    assert points[-1, 0] == 10**6 - (left - 1) / 2
