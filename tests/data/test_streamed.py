"""Streamed sets: the same draws as from memory, facts measured on a few, and no memory that grows with the file."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from difflab.data import ArraySource, FiniteSet, Source, Streamed, from_torch

RNG = np.random.default_rng(0)
X = RNG.normal(1, 2, size=(5000, 6)).astype(np.float32)
LABELS = RNG.integers(0, 7, 5000)


class Rows(Source):
    """Of an array, as anyone would write it."""

    def __init__(self, x, labels=None, **facts):
        self.x, self.labels, self.shape = x, labels, x.shape[1:]
        for key, value in facts.items():
            setattr(self, key, value)

    def __len__(self):
        return len(self.x)

    def fetch(self, index):
        return self.x[index], None if self.labels is None else self.labels[index]


def test_draws_and_previews_are_those_of_the_set_in_memory():
    held, streamed = FiniteSet(X, LABELS), Streamed(ArraySource(X, LABELS))
    for n in (0, 1, 100):
        for a, b in zip(
            held.sample_labelled(n, torch.Generator().manual_seed(3)),
            streamed.sample_labelled(n, torch.Generator().manual_seed(3)),
            strict=True,
        ):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)
        for a, b in zip(held.preview(n, 3), streamed.preview(n, 3), strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)


def test_facts_are_measured_on_as_many_as_are_said():
    """Their errors are those of a sample: sigma^2 of m examples of 6 independent normals has a relative error of
    sqrt(2 / (6 m)), and E x^2 = 5 one of sqrt(Var x^2 / (6 m)) / 5 with Var x^2 = 2 sigma^4 + 4 mean^2 sigma^2 = 48."""
    for measured in (50, 1000):
        data = Streamed(Rows(X), measured=measured)
        assert abs(data.sigma_data**2 / 4 - 1) < 5 * (2 / (6 * measured)) ** 0.5
        assert abs(data.second_moment / 5 - 1) < 5 * (48 / (6 * measured)) ** 0.5 / 5
        assert data.sigma_data != FiniteSet(X).sigma_data
        assert data.range[0] >= X.min()
        assert data.range[1] <= X.max()
        assert Streamed(Rows(X.copy()), measured=measured).sigma_data == data.sigma_data
    whole, held = Streamed(Rows(X), measured=5000), FiniteSet(X)
    assert (whole.sigma_data, whole.second_moment, whole.range) == (held.sigma_data, held.second_moment, held.range)


def test_few_examples_are_measured_where_they_are_large():
    class Large(Rows):
        asked = 0

        def fetch(self, index):
            self.asked = max(self.asked, len(index))
            return super().fetch(index)

    source = Large(np.broadcast_to(np.float32(0.5), (1000, 2**20)), range=(0.0, 1.0))
    Streamed(source)
    assert source.asked <= 16  # 2^24 numbers, 64 MiB


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (Rows(X[:0]), "streamed set has no examples"),
        (Rows(np.where(np.arange(6) == 3, np.nan, X)[:9]), "Example 0 of streamed set has nan or inf"),
        (Rows(X[:9], range=(-1.0, 1.0)), r"Example \d of streamed set lies outside the range \(-1.0, 1.0\)"),
        (Rows(X[:9], levels=3), "3 levels need a range"),
        (Rows(X[:9], range=(-99.0, 99.0), levels=3), "do not lie on 3 equally spaced levels"),
        (Rows(X[:9], LABELS[:9]), "How many classes streamed set has is not known before all is read: give classes="),
        (Rows(X[:9], LABELS[:9], classes=2), "labels of streamed set must be whole numbers from 0 to 1"),
        (Rows(X[:9], classes=2), "labels of streamed set must be whole numbers from 0 to 1"),
        (Rows(X[:9], X[:9, :2], vector=3), "vectors of streamed set must be 3 finite numbers"),
        (Rows(X[:9], X[:9, :2] * np.inf, vector=2), "vectors of streamed set must be 2 finite numbers"),
        (Rows(X[:9], shape=(3,)), r"gave \(9, 6\) for 9 examples of the shape \(3,\)"),
    ],
)
def test_a_source_that_cannot_be_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        Streamed(source)
    assert "\n" not in str(caught.value)


def test_other_arguments_are_refused():
    with pytest.raises(TypeError, match=r"comes from a Source such as ArraySource\(x\), but got array"):
        Streamed(X)
    with pytest.raises(ValueError, match="measured must be a whole number of examples, 1 or more, but got 0"):
        Streamed(Rows(X), measured=0)
    for count in (-1, 2.5, None):
        with pytest.raises(ValueError, match=f"must be a whole number, 0 or more, but got {count}"):
            Streamed(Rows(X)).some(count)


def test_an_example_that_was_not_measured_is_refused_when_it_is_drawn():
    x = X.copy()
    data = Streamed(Rows(x, range=(-20.0, 20.0)))
    x[77, 2] = 21
    with pytest.raises(ValueError, match=r"Example 77 of streamed set lies outside the range"):
        data.fetch(np.array([3, 77]))
    x[77, 2] = np.inf
    with pytest.raises(ValueError, match="Example 77 of streamed set has nan or inf"):
        data.fetch(np.array([3, 77]))


def test_augmented_at_random_it_is_told_by_the_same_facts_and_drawn_anew():
    class Shifted(Dataset):
        def __len__(self):
            return 3000

        def __getitem__(self, i):
            return X[i] + torch.rand(6).numpy() + np.random.random() / 2

    torch.manual_seed(1)
    first = from_torch(Shifted(), memory_limit=0)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = from_torch(Shifted(), memory_limit=0)
    assert (first.sigma_data, first.range) == (second.sigma_data, second.range)
    assert np.array_equal(first.some(64)[0], second.some(64)[0])
    assert torch.equal(torch.get_rng_state(), before)  # whose stream was borrowed finds it as it was
    assert not np.array_equal(first.fetch(np.arange(9))[0], first.fetch(np.arange(9))[0])


GROWTH = """
import resource, sys
import numpy as np, torch
from difflab.data import array_file
from difflab.training.batches import batches
data = array_file(sys.argv[1], memory_limit=2**26)
source = batches(data, torch.device("cpu"), torch.Generator().manual_seed(0), False)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for _ in range(3): source.draw(256)
before, seen = peak(), 0
while seen < 24_000:
    x, _ = source.draw(256)
    seen += len(x)
print(peak() - before, float(x.abs().max()))
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    """400 MB of zeros in a file with holes, all of which a training walks through: what is read is the system's cache, and
    a process that mapped the file once and for all would come to hold all of it."""
    shape = (32_000, 3125)
    np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=shape).flush()
    assert (tmp_path / "x.npy").stat().st_size > 4e8
    run = subprocess.run([sys.executable, "-c", GROWTH, tmp_path / "x.npy"], capture_output=True, text=True, check=True)
    grown, largest = map(float, run.stdout.split())
    # four draws of 256 examples are 13 MB; a few MB more are the allocator's. The file is 381 MB
    assert grown < 60
    assert largest == 0
