"""Deformed copies of images: what a rotation, a shear, a stretch and a shift do to the moments of a blob is known."""

import numpy as np
import pytest

from difflab.data import FiniteSet, GaussianMixture, deformed, digits

HEIGHT, WIDTH = 24, 40  # not square: an angle must be one in pixels
SPREAD = np.array([4.0, 2.0])  # standard deviations of the blob along the columns and the rows, in pixels
COPIES = 400


def blob() -> FiniteSet:
    """One upright Gaussian in the middle of the image, so smooth that cubic interpolation errs by less than 1e-3 of it."""
    rows, columns = np.indices((HEIGHT, WIDTH)) - np.array([HEIGHT - 1, WIDTH - 1])[:, None, None] / 2
    x = np.exp(-(columns**2) / (2 * SPREAD[0] ** 2) - rows**2 / (2 * SPREAD[1] ** 2))
    return FiniteSet(x[None, None], range=(0.0, 1.0))


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (n, 2) in pixels from the middle and covariance (n, 2, 2) of images (n, 1, h, w); columns first, then rows."""
    mass = x[:, 0] / x.sum((1, 2, 3))[:, None, None]
    rows, columns = np.indices((HEIGHT, WIDTH)) - np.array([HEIGHT - 1, WIDTH - 1])[:, None, None] / 2
    places = np.stack([columns, rows]).reshape(2, -1)
    flat = mass.reshape(len(x), -1)
    centre = flat @ places.T
    second = np.einsum("nm,im,jm->nij", flat, places, places)
    return centre, second - centre[:, :, None] * centre[:, None, :]


def copies(**amounts: float) -> tuple[np.ndarray, np.ndarray]:
    """Moments of the deformed blobs, the original left out."""
    return moments(deformed(blob(), COPIES, **({"rotation": 0, "stretch": 0, "shear": 0} | amounts)).x[1:])


def assert_uniform(u: np.ndarray, most: float, within: float) -> None:
    """`u` fills [-most, most]. In units of `most` 400 uniform draws have a standard deviation of 0.577 +- 0.013 and a mean of
    0 +- 0.029, and none lies in the outer 2 % of the interval at either end with probability 0.98^400 = 3e-4."""
    assert np.all(np.abs(u) <= most + within)
    assert u.max() > 0.96 * most
    assert u.min() < -0.96 * most
    assert u.std() == pytest.approx(most / np.sqrt(3), rel=0.1)
    assert abs(u.mean()) < 0.1 * most


def test_nothing_moves_where_nothing_is_asked():
    data = digits()
    still = deformed(data, 2, rotation=0, stretch=0, shear=0)
    assert len(still) == 3 * len(data)
    # at the pixels themselves the cubic weights are 0 and 1 but for float32's rounding, which the levels take away
    np.testing.assert_array_equal(still.x, np.concatenate([data.x] * 3))
    np.testing.assert_array_equal(still.labels, np.concatenate([data.labels] * 3))


def test_a_rotation_keeps_the_spread_and_turns_the_axes():
    centre, cov = copies(rotation=20.0)
    np.testing.assert_allclose(centre, 0, atol=0.02)
    np.testing.assert_allclose(np.linalg.eigvalsh(cov), np.broadcast_to((SPREAD**2)[::-1], (COPIES, 2)), rtol=0.03)
    angle = np.degrees(np.arctan2(2 * cov[:, 0, 1], cov[:, 0, 0] - cov[:, 1, 1]) / 2)
    assert_uniform(angle, 20.0, within=0.3)


def test_a_stretch_scales_either_axis_by_itself():
    centre, cov = copies(stretch=0.3)
    np.testing.assert_allclose(centre, 0, atol=0.02)
    np.testing.assert_allclose(cov[:, 0, 1], 0, atol=0.02)
    scale = np.log(cov[:, [0, 1], [0, 1]] / SPREAD**2) / 2
    assert_uniform(scale[:, 0], 0.3, within=0.02)
    assert_uniform(scale[:, 1], 0.3, within=0.02)
    assert abs(np.corrcoef(scale.T)[0, 1]) < 0.2  # four standard errors of 400 independent pairs


def test_a_shear_moves_columns_by_rows():
    _, cov = copies(shear=0.4)
    # y(u) = x(S u) has covariance S^-1 C S^-T: rows keep their variance, columns move by -k times the row
    np.testing.assert_allclose(cov[:, 1, 1], SPREAD[1] ** 2, rtol=0.02)
    assert_uniform(-cov[:, 0, 1] / SPREAD[1] ** 2, 0.4, within=0.02)
    np.testing.assert_allclose(np.linalg.det(cov), np.prod(SPREAD**2), rtol=0.03)


def test_a_shift_is_in_pixels():
    centre, cov = copies(shift=3.0)
    np.testing.assert_allclose(cov, np.broadcast_to(np.diag(SPREAD**2), cov.shape), atol=0.25)  # little is cut off
    for axis in range(2):
        assert_uniform(centre[:, axis], 3.0, within=0.1)


def test_copies_stay_on_the_levels_and_in_the_range_and_keep_what_they_come_with():
    data = digits()
    more = deformed(data, 3, shift=1.0)
    assert more.levels == 17
    assert more.range == (-1.0, 1.0)
    assert more.shape == data.shape
    assert more.classes == 10
    np.testing.assert_array_equal(more.x[: len(data)], data.x)
    np.testing.assert_array_equal(more.labels.reshape(4, -1), np.broadcast_to(data.labels, (4, len(data))))
    assert not np.array_equal(more.x[len(data) : 2 * len(data)], more.x[2 * len(data) : 3 * len(data)])
    vectors = np.arange(2.0 * len(data)).reshape(-1, 2)
    again = deformed(FiniteSet(data.x, vectors=vectors), 1)
    np.testing.assert_array_equal(again.vectors, np.concatenate([vectors, vectors]).astype(np.float32))


def test_the_seed_says_which():
    one, same, other = (deformed(blob(), 4, seed=seed).x for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(digits(copies=2)) == 3 * len(digits())
    assert digits(copies=2) is digits(copies=2)
    np.testing.assert_array_equal(digits(copies=2).x, deformed(digits(), 2).x)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: deformed("digits"), r"Only the images of a FiniteSet can be deformed, but got 'digits'\."),
        (lambda: deformed(GaussianMixture.ring()), "Only the images of a FiniteSet"),
        (lambda: deformed(FiniteSet(np.zeros((3, 2)))), r"takes images .* but got examples of shape \(2,\)\."),
        (
            lambda: deformed(FiniteSet(np.zeros((2, 1, 4, 4)), weights=[0.5, 0.5])),
            r"but got examples of shape \(1, 4, 4\) with weights\.",
        ),
        (lambda: deformed(blob(), 0), "copies must be a whole number from 1 to 1000, but got 0"),
        (lambda: deformed(blob(), 1.5), "copies must be a whole number from 1 to 1000, but got 1.5"),
        (lambda: deformed(blob(), rotation=181), "rotation must be a number from 0 to 180, but got 181"),
        (lambda: deformed(blob(), stretch=-0.1), "stretch must be a number from 0 to 1, but got -0.1"),
        (lambda: deformed(blob(), shear=float("nan")), "shear must be a number from 0 to 1, but got nan"),
        (lambda: deformed(blob(), shift=25), f"shift must be a number from 0 to {HEIGHT}, but got 25"),
        (
            lambda: deformed(blob(), 2**70),
            "copies must be a whole number from 1 to 1000, but got 1180591620717411303424",
        ),
        (lambda: digits(copies=[2]), r"copies must be a whole number of at least 0, but got \[2\]"),
        (lambda: digits(copies=False), "copies must be a whole number of at least 0, but got False"),
        (lambda: digits(copies=-1), "copies must be a whole number of at least 0, but got -1"),
    ],
)
def test_what_cannot_be_deformed_is_refused(wrong, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        wrong()
