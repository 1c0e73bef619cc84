"""Folders of images: what is read of them, pixel by pixel, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from difflab.data import FiniteSet, Streamed, image_folder

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def written(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def pixels_of(data):
    return (data.x.astype(float) + 1) * 127.5


def test_sub_folders_are_classes_in_natural_order_and_pixels_come_back_exactly(tmp_path):
    due = [written(tmp_path / name / f"{i}.png", noise(4, 5)) for name in ("2", "10", "a") for i in (1, 2, 12)]
    (tmp_path / ".ipynb_checkpoints").mkdir()
    written(tmp_path / "a" / ".hidden" / "3.png", noise(4, 5))
    (tmp_path / "a" / "notes.txt").write_text("no image")
    data = image_folder(tmp_path)
    assert isinstance(data, FiniteSet)
    assert data.shape == (1, 4, 5)
    assert (data.levels, data.range, data.classes, data.name) == (256, (-1.0, 1.0), 3, tmp_path.name)
    assert data.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3  # "2" before "10" before "a"
    # 127.5 * 2^-24 is what float32 may be off
    assert np.abs(pixels_of(data)[:, 0] - np.stack(due)).max() < 1e-5


def test_colours_stay_and_greys_join_them(tmp_path):
    colour, grey = written(tmp_path / "1.png", noise(3, 3, 3)), written(tmp_path / "2.png", noise(3, 3))
    data = image_folder(tmp_path)
    assert data.shape == (3, 3, 3)
    assert data.labels is None
    np.testing.assert_allclose(pixels_of(data)[0], np.moveaxis(colour, -1, 0), atol=1e-5)
    np.testing.assert_allclose(pixels_of(data)[1], np.stack([grey] * 3), atol=1e-5)


def test_grey_is_luma(tmp_path):
    colour = written(tmp_path / "1.png", noise(8, 8, 3)).astype(float)
    luma = colour @ [0.299, 0.587, 0.114]
    # rounded to whole levels, with weights of 16 bits: at most 0.51 off
    assert np.abs(pixels_of(image_folder(tmp_path, channels=1))[0, 0] - luma).max() < 0.51


def test_a_size_takes_the_square_at_the_centre(tmp_path):
    wide = np.zeros((6, 10), np.uint8)
    wide[:, 2:8] = 200  # the square
    written(tmp_path / "wide.png", wide)
    written(tmp_path / "tall.png", wide.T.copy())
    data = image_folder(tmp_path, size=3)
    assert data.shape == (1, 3, 3)
    np.testing.assert_allclose(pixels_of(data), 200, atol=1e-5)


def test_resizing_is_lanczos(tmp_path):
    """Halved by the filter's definition: a(x) = sinc(x) sinc(x / 3) for |x| < 3, stretched by 2, weights normalised."""
    pixels = written(tmp_path / "1.png", noise(32, 32)).astype(float)
    place = (np.arange(32) + 0.5) / 2 - (np.arange(16)[:, None] + 0.5)
    weight = np.where(np.abs(place) < 3, np.sinc(place) * np.sinc(place / 3), 0)
    weight /= weight.sum(1, keepdims=True)
    due = np.clip(np.clip(np.rint(pixels @ weight.T), 0, 255).T @ weight.T, 0, 255).T
    # rounded to whole levels between the axes and after them, with weights of 22 bits
    assert np.abs(pixels_of(image_folder(tmp_path, size=16))[0, 0] - due).max() < 0.51


def test_sixteen_bits_become_the_nearest_of_eight(tmp_path):
    deep = np.array([[0, 128, 129, 257, 32_768, 65_535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    data = image_folder(tmp_path)
    assert data.shape == (1, 1, 6)
    np.testing.assert_allclose(
        pixels_of(data).ravel(), [0, 0, 1, 1, 128, 255], atol=1e-5
    )  # 128 / 257 < 1/2 < 129 / 257


def test_what_is_transparent_lies_on_white(tmp_path):
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 3] = [0, 255, 51]  # alpha 0, 1, 1/5 of black
    written(tmp_path / "1.png", rgba)
    np.testing.assert_allclose(pixels_of(image_folder(tmp_path, channels=1)).ravel(), [255, 0, 204], atol=1e-5)


def test_images_stand_upright(tmp_path):
    upright = noise(16, 24)
    lying = Image.fromarray(np.rot90(upright).copy())  # turn it by 90 degrees clockwise to see it
    exif = lying.getexif()
    exif[0x0112] = 6
    lying.save(tmp_path / "1.png", exif=exif)
    data = image_folder(tmp_path)
    assert data.shape == (1, 16, 24)
    np.testing.assert_allclose(pixels_of(data)[0, 0], upright, atol=1e-5)


def test_streamed_from_the_files_it_is_the_same(tmp_path):
    for i in range(30):
        written(tmp_path / str(i % 3) / f"{i}.png", noise(5, 4, 3))
    held, streamed = image_folder(tmp_path), image_folder(tmp_path, memory_limit=30 * 60 * 4 - 1)
    assert isinstance(streamed, Streamed)
    assert isinstance(image_folder(tmp_path, memory_limit=30 * 60 * 4), FiniteSet)
    index = np.array([7, 0, 29, 7])
    x, labels = streamed.fetch(index)
    assert np.array_equal(x, held.x[index])
    assert np.array_equal(labels, held.labels[index])
    # fewer images than are measured at most: all of them
    assert (streamed.sigma_data, streamed.second_moment) == (held.sigma_data, held.second_moment)
    assert (streamed.range, streamed.levels, streamed.classes, len(streamed)) == ((-1.0, 1.0), 256, 3, 30)


def folder_with(tmp_path, *names, content=None):
    for name in names:
        written(tmp_path / name, noise(2, 2))
    if content is not None:
        (tmp_path / "bad.png").write_bytes(content)
    return tmp_path


def cut(tmp_path):
    written(tmp_path / "whole.png", noise(64, 64))
    return (tmp_path / "whole.png").read_bytes()[:2000]


@pytest.mark.parametrize(
    ("make", "options", "error", "sentence"),
    [
        (lambda p: p / "none", {}, FileNotFoundError, "There is no folder .*none"),
        (lambda p: 3, {}, TypeError, "given as its path, but got 3"),
        (lambda p: p, {}, ValueError, "has no images in it: no .bmp, .gif"),
        (lambda p: folder_with(p, "a/1.png", "2.png"), {}, ValueError, "images beside its sub-folders, 2.png say"),
        (
            lambda p: [folder_with(p, "a/1.png"), (p / "b").mkdir()][0],
            {},
            ValueError,
            "b has no images in it, and each",
        ),
        (
            lambda p: folder_with(p, content=b"no image"),
            {},
            ValueError,
            "bad.png cannot be read as an image: cannot ident",
        ),
        (
            lambda p: folder_with(p, content=cut(p)),
            {},
            ValueError,
            "bad.png cannot be read as an image: image file is tr",
        ),
        (lambda p: folder_with(p, "1.png"), {"size": 0}, ValueError, "size must be a whole number from 1 to .* got 0"),
        (lambda p: folder_with(p, "1.png"), {"size": (2, 2)}, ValueError, r"size must be .* got \(2, 2\)"),
        (lambda p: folder_with(p, "1.png"), {"channels": 4}, ValueError, "channels must be 1 for grey, 3 .* got 4"),
        (lambda p: folder_with(p, "1.png"), {"channels": 1.0}, ValueError, "channels must be 1 for grey, .* got 1.0"),
        (lambda p: folder_with(p, "1.png"), {"memory_limit": "1G"}, ValueError, "memory_limit must be .* got '1G'"),
    ],
)
def test_refused_in_one_sentence(tmp_path, make, options, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        image_folder(make(tmp_path), **options)
    assert "\n" not in str(caught.value)


def test_images_of_different_sizes_are_named(tmp_path):
    written(tmp_path / "1.png", noise(2, 3))
    written(tmp_path / "2.png", noise(3, 2))
    with pytest.raises(
        ValueError, match=r"1.png 2 x 3 and 2.png 3 x 2 \(height x width\): give the size= that all shall"
    ):
        image_folder(tmp_path)


def test_an_image_that_is_damaged_later_is_named_when_it_is_drawn(tmp_path):
    for i in range(3):
        written(tmp_path / f"{i}.png", noise(2, 2))
    data = image_folder(tmp_path, memory_limit=0)
    (tmp_path / "1.png").write_bytes(b"gone")
    data.fetch(np.array([0, 2]))
    with pytest.raises(ValueError, match=r"1.png cannot be read as an image"):
        data.fetch(np.array([0, 1]))
