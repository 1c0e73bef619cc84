"""Arrays in memory and in files: what becomes of their numbers, and what is refused."""

import numpy as np
import pytest
import torch

from difflab.data import ArraySource, FiniteSet, Streamed, array_file

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(20, 3)).astype(np.float32)
LABELS = RNG.permutation(np.arange(20) % 4)
VECTORS = RNG.normal(size=(20, 2)).astype(np.float32)
PIXELS = RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)


def saved(tmp_path, x, name="x.npy", **more):
    path = tmp_path / name
    np.savez(path, x=x, **more) if name.endswith("npz") else np.save(path, x)
    return path


@pytest.mark.parametrize("limit", [10**9, 0], ids=["held", "streamed"])
def test_a_npy_is_its_examples(tmp_path, limit):
    data = array_file(saved(tmp_path, FLOATS), memory_limit=limit)
    assert isinstance(data, Streamed if limit == 0 else FiniteSet)
    assert (len(data), data.shape, data.name, data.levels, data.classes) == (20, (3,), "x", None, None)
    assert data.range == (FLOATS.min(), FLOATS.max())
    assert data.sigma_data == pytest.approx(FLOATS.astype(float).std(), rel=1e-6)
    x = data.x if limit else data.fetch(np.arange(20))[0]
    assert np.array_equal(x, FLOATS)


@pytest.mark.parametrize("limit", [10**9, 0], ids=["held", "streamed"])
@pytest.mark.parametrize("key", ["labels", "vectors"])
def test_conditions_lie_in_a_file_beside_it(tmp_path, limit, key):
    due = {"labels": LABELS, "vectors": VECTORS}[key]
    beside = saved(tmp_path, due, "beside.npy")
    data = array_file(saved(tmp_path, FLOATS), memory_limit=limit, **{key: beside})
    assert (data.classes, data.vector) == ((4, None) if key == "labels" else (None, 2))
    got = data.fetch(np.arange(20))[1] if limit == 0 else data.conditions
    assert got.dtype == (np.int64 if key == "labels" else np.float32)
    assert np.array_equal(got, due)


@pytest.mark.parametrize("key", ["labels", "vectors"])
def test_a_npz_has_all_in_one(tmp_path, key):
    due = {"labels": LABELS, "vectors": VECTORS}[key]
    data = array_file(saved(tmp_path, FLOATS, "x.npz", **{key: due}))
    assert np.array_equal(data.x, FLOATS)
    assert np.array_equal(data.conditions, due)


@pytest.mark.parametrize(
    ("pixels", "due"),
    [
        (PIXELS, np.moveaxis(PIXELS, -1, 1)),
        (np.moveaxis(PIXELS, -1, 1), np.moveaxis(PIXELS, -1, 1)),
        (PIXELS[..., 0], PIXELS[:, None, :, :, 0]),
        (PIXELS[..., :1], PIXELS[:, None, :, :, 0]),
    ],
    ids=["NHWC", "NCHW", "NHW", "NHW1"],
)
@pytest.mark.parametrize("limit", [10**9, 0], ids=["held", "streamed"])
def test_uint8_is_pixels_on_256_levels(tmp_path, pixels, due, limit):
    data = array_file(saved(tmp_path, pixels), memory_limit=limit)
    assert (data.shape, data.levels, data.range) == (due.shape[1:], 256, (-1.0, 1.0))
    x = data.fetch(np.arange(20))[0] if limit == 0 else data.x
    assert x.dtype == np.float32
    assert np.abs((x.astype(float) + 1) * 127.5 - due).max() < 1e-5  # 127.5 * 2^-24


def test_uint8_with_a_range_stays_numbers(tmp_path):
    data = array_file(saved(tmp_path, PIXELS % 2), range=(0, 1), levels=2)
    assert (data.shape, data.levels, data.range) == ((4, 5, 3), 2, (0.0, 1.0))
    assert np.array_equal(data.x, PIXELS % 2)


def test_a_file_in_fortran_s_order_and_another_byte_order_is_read_as_well(tmp_path):
    other = np.asfortranarray(FLOATS).astype(">f8")
    data = array_file(saved(tmp_path, other), memory_limit=0)
    x = data.fetch(np.array([3, 3, 19]))[0]
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert np.array_equal(x, FLOATS[[3, 3, 19]])


@pytest.mark.parametrize(
    ("x", "options", "sentence"),
    [
        (np.zeros(3), {}, r"x must have examples of the shape \(N, ...\), but got \(3,\)"),
        (np.zeros((0, 3)), {}, r"x must have examples of the shape \(N, ...\), but got \(0, 3\)"),
        (np.zeros((3, 2), complex), {}, "x must be an array of real numbers, but got dtype..complex128"),
        (np.array([["a"]]), {}, "x must be an array of real numbers, but got dtype"),
        (
            np.array([[None]]),
            {},
            "x.npy cannot be read as a .npy file of numbers: Array can't be memory-mapped: Python objects",
        ),
        (np.zeros((3, 4), np.uint8), {}, r"uint8, which is read as pixels, .* but got \(3, 4\): reshape it"),
        (np.zeros((3, 4, 4, 4), np.uint8), {}, r"with 1 or 3 channels, but got \(3, 4, 4, 4\)"),
        (np.zeros((3, 4, 4), np.uint8), {"levels": 17}, "pixels, which take 256 levels: levels= goes with a range="),
        (FLOATS, {"levels": 1}, "levels must be a whole number from 2 to 65536, .* got 1"),
        (FLOATS, {"range": 3}, "range must be two finite numbers, .* got 3"),
        (FLOATS, {"range": (0, 1)}, r"outside the range \(0.0, 1.0\)"),
        (FLOATS, {"memory_limit": -1}, "memory_limit must be a whole number of bytes, 0 or more, but got -1"),
        (FLOATS, {"labels": LABELS[:5]}, "labels must be 20 whole numbers"),
        (FLOATS, {"vectors": VECTORS[:5]}, r"vectors must have the shape \(20, d\)"),
        (FLOATS, {"labels": LABELS, "vectors": VECTORS}, "labels or vectors, not both"),
    ],
)
@pytest.mark.parametrize("limit", [10**9, 0], ids=["held", "streamed"])
def test_refused_in_one_sentence(tmp_path, x, options, sentence, limit):
    options = {"memory_limit": limit} | options
    for key in ("labels", "vectors"):
        if key in options:
            options[key] = saved(tmp_path, options[key], f"{key}.npy")
    with pytest.raises(ValueError, match=sentence) as caught:
        array_file(saved(tmp_path, x), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.npy", b"", "x.npy cannot be read as a .npy file"),
        ("x.npy", b"no array", "x.npy cannot be read as a .npy file"),
        ("x.npz", b"no archive", "x.npz cannot be read as a .npz file"),
        ("x.csv", b"1, 2", "read from a .npy or .npz file, but got x.csv"),
    ],
)
def test_what_is_no_array_file_is_refused_in_one_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as caught:
        array_file(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_opened(tmp_path):
    import pickle

    class Opened:
        def __reduce__(self):
            return (tmp_path.joinpath("opened").write_text, ("it ran",))

    (tmp_path / "x.npy").write_bytes(pickle.dumps(Opened()))
    np.savez(tmp_path / "x.npz", x=np.array([Opened()], object))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(ValueError, match="cannot be read as a"):
            array_file(tmp_path / name)
    assert not (tmp_path / "opened").exists()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*none.npy"):
        array_file(tmp_path / "none.npy")
    with pytest.raises(TypeError, match="The array must be given as the path of a file, but got 3"):
        array_file(3)
    np.savez(tmp_path / "y.npz", y=FLOATS)
    with pytest.raises(ValueError, match="needs its examples under the name x, but has y"):
        array_file(tmp_path / "y.npz")
    with pytest.raises(ValueError, match="holds its labels or vectors itself"):
        array_file(saved(tmp_path, FLOATS, "x.npz"), labels=saved(tmp_path, LABELS, "labels.npy"))


def test_a_npz_above_the_limit_is_refused_before_it_is_read(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros((1000, 1000)))
    with pytest.raises(
        ValueError, match=r"take 8000\d* bytes, above the limit of 1000000, and a .npz cannot be read piece"
    ):
        array_file(tmp_path / "x.npz", memory_limit=10**6)


def test_an_array_in_hand_is_a_source(tmp_path):
    data = Streamed(ArraySource(np.load(saved(tmp_path, FLOATS), mmap_mode="r"), LABELS, name="rows"))
    x, labels = data.fetch(np.array([4, 2]))
    assert np.array_equal(x, FLOATS[[4, 2]])
    assert np.array_equal(labels, LABELS[[4, 2]])
    assert repr(data) == "Streamed('rows', n=20, shape=(3,))"


@pytest.mark.parametrize(
    ("x", "options", "error", "sentence"),
    [
        (torch.zeros(3, 2), {}, ValueError, "rows must be an array of real numbers, but got torch.float32"),
        ([[1.0]], {}, ValueError, r"rows must be an array of real numbers, but got \[\[1.0\]\]"),
        (FLOATS, {"name": None}, TypeError, "name must be text, how the data is called on screen, but got None"),
    ],
)
def test_what_is_no_array_in_hand_is_refused(x, options, error, sentence):
    with pytest.raises(error, match=sentence):
        ArraySource(x, **{"name": "rows"} | options)
