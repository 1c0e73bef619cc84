"""What crosses to the browser is the data itself, once, and reproducible."""

import gc
import weakref

import numpy as np
import pytest
import traitlets

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
    with pytest.raises(ValueError, match="draws grey or RGB images, but finite set has 2 channels"):
        ForwardNoising(FiniteSet(np.zeros((4, 2, 8, 8))))
    with pytest.raises(ValueError, match="no data named 'circle'"):
        ForwardNoising("circle")
    with pytest.raises(TypeError, match="must be a data set or one of"):
        ForwardNoising(np.zeros((4, 2)))


def test_numbers_out_of_reach_are_refused_in_one_sentence() -> None:
    for n in (0, 2.5, True, 2_000_001):
        with pytest.raises(ValueError, match="n must be a whole number of points from 1 to 2,000,000"):
            ForwardNoising(n=n)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="whole number of images from 1 to 10,000"):
        ForwardNoising("digits", n=20_000)
    scene = ForwardNoising(n=10)
    with pytest.raises(traitlets.TraitError, match="whole number of points from 1"):
        scene.n = 3_000_000
    with pytest.raises(traitlets.TraitError, match="out of points, density, paths, but got 'lines'"):
        scene.layers = ["lines"]
    with pytest.raises(traitlets.TraitError, match="a sample from 0 to 9, or -1 for none, but got 10"):
        scene.picked = 10
    assert (scene.n, scene.layers, scene.picked) == (10, ["points", "density", "paths"], -1)


def test_another_seed_or_size_draws_other_samples_once() -> None:
    scene = ForwardNoising(n=100)
    first = scene.x0
    scene.seed = 3
    scene.settle()
    np.testing.assert_array_equal(scene.x0, ForwardNoising(n=100, seed=3).x0)
    assert not np.array_equal(scene.x0, first)
    scene.picked = 80
    scene.n = 50
    scene.settle()
    assert (scene.x0.shape, scene.eps.shape, scene.labels.shape) == ((50, 2), (50, 2), (50,))
    assert scene.picked == -1  # it is gone
    again = scene.x0
    scene.seed, scene.n = 3, 50
    scene.settle()
    assert scene.x0 is again


def test_a_preset_brings_everything_back() -> None:
    scene = ForwardNoising(
        n=300, seed=4, layers=["points", "paths"], colour="category", picked=7, paths=3, ink=2.0, t=0.4
    )
    again = ForwardNoising.from_dict(scene.to_dict())
    again.settle()
    assert again.to_dict() == scene.to_dict()
    np.testing.assert_array_equal(again.x0, scene.x0)


def test_a_crowd_crosses_in_half_the_bytes_and_stays_in_place() -> None:
    few, crowd = ForwardNoising(n=1000), ForwardNoising(n=400_000)
    assert (few.x0.dtype, crowd.x0.dtype, crowd.eps.dtype) == (np.float32, np.float16, np.float16)
    exact, _ = GaussianMixture.ring().preview(400_000, 0)
    # a float16 has 11 bits: half of the last one, 2^-11 of a size below 4, is 0.001 data units: 0.15 of 450 pixels over 6
    assert np.abs(crowd.x0.astype(float) - exact).max() <= 2.0**-11 * 2


def test_the_share_of_the_data_is_a_ratio_of_variances() -> None:
    wide = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [[[3.0, 0.5], [0.5, 1.0]]] * 2)
    scene = ForwardNoising(wide, Geometric(0.1, 10.0), n=200_000, t=0.4, picked=5)
    numbers = scene.numbers()
    # per coordinate: (3 + 1 of the two means) and 1, so 2.5 on average
    assert scene.variance == pytest.approx(2.5)
    assert numbers["data_share"] == pytest.approx(2.5 / (2.5 + numbers["sigma"] ** 2))
    x_t = numbers["alpha"] * scene.x0.astype(float) + numbers["sigma"] * scene.eps.astype(float)
    # the variance of a sample variance of n is near 2 v^2 / n; this is a mean of two, and five of its errors
    assert scene.x0.astype(float).var(0).mean() / x_t.var(0).mean() == pytest.approx(numbers["data_share"], rel=0.02)
    assert [numbers["point_x"], numbers["point_y"]] == pytest.approx(list(x_t[5]))


def test_colour_images_keep_their_channels() -> None:
    x = np.random.default_rng(0).random((5, 3, 4, 6), dtype=np.float32)
    scene = ForwardNoising(FiniteSet(x, labels=[0, 1, 2, 0, 1], range=(0.0, 1.0)), n=7)
    assert (scene.kind, scene.image_shape, scene.categories) == ("images", [4, 6, 3], 3)
    rows = {row.tobytes() for row in x.reshape(5, -1)}
    assert {row.tobytes() for row in scene.x0} <= rows
    scene.show(GaussianMixture.ring())
    scene.settle()
    assert (scene.kind, scene.n, scene.categories, len(scene.x0)) == ("points", 20_000, 8, 20_000)


def test_scenes_that_are_closed_leave_nothing_behind() -> None:
    tracked = []
    for i in range(50):
        scene = ForwardNoising(n=1000, seed=i)
        scene.seed = i + 1
        scene.settle()
        tracked.append(weakref.ref(scene))
        scene.close()
    del scene
    gc.collect()
    assert sum(ref() is not None for ref in tracked) <= 1  # the publisher's last one, until it writes again
