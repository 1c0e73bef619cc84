"""What crosses to the browser is the data itself, once, and reproducible."""

import numpy as np
import pytest

from difflab.data import FiniteSet, GaussianMixture, digits, two_moons
from difflab.scenes.forward_noising import ForwardNoising
from difflab.schedules import Geometric, VPCosine


def test_points_and_noise_have_the_laws_they_claim() -> None:
    ring = GaussianMixture.ring()
    scene = ForwardNoising(ring, n=50_000, seed=3)
    for x in (scene.x0, scene.eps):
        assert x.shape == (50_000, 2)
        # mean of n draws of variance 1: standard error 1/sqrt(n); five of them
        assert np.abs(x.mean(0)).max() < 5 / np.sqrt(50_000)
    assert scene.x0.var() == pytest.approx(1.0, abs=0.02)
    # Var of a sample variance of n normal numbers is 2/n
    assert scene.eps.var() == pytest.approx(1.0, abs=5 * np.sqrt(2 / 100_000))
    nearest = np.linalg.norm(scene.x0[:, None] - ring.means[None], axis=2)
    np.testing.assert_array_equal(nearest.argmin(1), scene.labels)


def test_the_same_seed_gives_the_same_picture() -> None:
    first, second, other = (ForwardNoising("ring", n=100, seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(first.x0, second.x0)
    np.testing.assert_array_equal(first.eps, second.eps)
    assert not np.array_equal(first.eps, other.eps)


def test_numbers_are_those_of_the_schedule() -> None:
    scene = ForwardNoising("ring", Geometric(0.1, 10.0), t=0.5)
    numbers = scene.numbers()
    assert numbers["alpha"] == 1.0
    assert numbers["sigma"] == pytest.approx(1.0)
    assert numbers["log_snr"] == pytest.approx(0.0, abs=1e-12)
    scene.t = 0.0
    assert scene.numbers()["log_snr"] == float("inf")


def test_images_keep_their_shape_and_grey_levels() -> None:
    scene = ForwardNoising(digits(), VPCosine())
    assert (scene.kind, list(scene.image_shape), list(scene.range)) == ("images", [8, 8], [-1.0, 1.0])
    assert scene.x0.shape == (100, 64)
    assert scene.mixture is None
    assert set(np.unique((scene.x0 + 1) * 8)) <= set(range(17))


def test_changing_the_data_changes_everything_that_shows_it() -> None:
    scene = ForwardNoising("ring", n=10)
    scene.show(two_moons())
    scene.settle()
    rows = {tuple(row) for row in two_moons().x}
    assert {tuple(row) for row in scene.x0} <= rows
    assert scene.mixture is None


def test_what_cannot_be_drawn_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="points in the plane or images"):
        ForwardNoising(FiniteSet(np.zeros((4, 3))))
    with pytest.raises(ValueError, match="draws grey images, but finite set has 3 channels"):
        ForwardNoising(FiniteSet(np.zeros((4, 3, 8, 8))))
    with pytest.raises(ValueError, match="no data named 'circle'"):
        ForwardNoising("circle")
    with pytest.raises(TypeError, match="must be a data set or one of"):
        ForwardNoising(np.zeros((4, 2)))
