"""torch Datasets as data; MNIST and CIFAR-10 through a stand-in that has torchvision's documented interface."""

import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from difflab.data import FiniteSet, Streamed, cifar10, from_torch, mnist, named
from difflab.denoisers import ExactDenoiser
from difflab.schedules import VPCosine

RNG = np.random.default_rng(0)
FLOATS = torch.from_numpy(RNG.normal(size=(12, 2)).astype(np.float32))
LABELS = torch.arange(12) % 3
PIXELS = RNG.integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)


class Items(Dataset):
    def __init__(self, items, classes=None):
        self.items = list(items)
        if classes is not None:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def both(dataset, **options):
    """The data held in memory, its (x, conditions), and those of the same streamed."""
    held, streamed = from_torch(dataset, **options), from_torch(dataset, memory_limit=0, **options)
    assert isinstance(held, FiniteSet)
    assert isinstance(streamed, Streamed)
    return held, (held.x, held.conditions), streamed.fetch(np.arange(len(held)))


def test_examples_with_labels():
    data, *found = both(TensorDataset(FLOATS, LABELS), classes=3)
    assert (data.shape, data.classes, data.name, data.levels) == ((2,), 3, "TensorDataset", None)
    for x, labels in found:
        assert np.array_equal(x, FLOATS)
        assert labels.dtype == np.int64
        assert np.array_equal(labels, LABELS)


def test_a_class_without_examples_is_one_held_and_streamed():
    held, streamed = (from_torch(TensorDataset(FLOATS, LABELS), classes=5, memory_limit=m) for m in (10**9, 0))
    assert held.classes == streamed.classes == 5
    oracle, of_three = (ExactDenoiser(data, VPCosine()) for data in (held, FiniteSet(FLOATS, LABELS)))
    assert torch.equal(oracle(FLOATS, 0.5, LABELS).mean, of_three(FLOATS, 0.5, LABELS).mean)
    with pytest.raises(ValueError, match="This set has no example of class 4"):
        oracle(FLOATS[:1], 0.5, torch.tensor([4]))


def test_half_precision_is_read_as_it_is():
    for kind in (torch.bfloat16, torch.float16):
        exact = FLOATS.to(kind)
        for x, _ in both(Items(exact))[1:]:
            assert np.array_equal(x, exact.float())


def test_examples_alone_and_labels_left_out():
    for dataset in (TensorDataset(FLOATS), Items(FLOATS), Items(FLOATS.tolist())):
        for x, labels in both(dataset)[1:]:
            assert np.array_equal(x, FLOATS)
            assert labels is None
    assert from_torch(TensorDataset(FLOATS, LABELS), labelled=False).classes is None


def test_examples_with_vectors():
    data, *found = both(TensorDataset(FLOATS, FLOATS * 2))
    assert (data.vector, data.classes) == (2, None)
    for _, vectors in found:
        assert vectors.dtype == np.float32
        assert np.array_equal(vectors, FLOATS * 2)


@pytest.mark.parametrize(
    "items",
    [
        [Image.fromarray(p) for p in PIXELS],
        list(PIXELS),
        [torch.from_numpy(np.moveaxis(p, -1, 0).copy()) for p in PIXELS],
    ],
    ids=["Pillow", "numpy", "torch"],
)
def test_pixels_become_256_levels(items):
    data, *found = both(Items(zip(items, LABELS.tolist(), strict=True), classes=["a", "b", "c"]))
    assert (data.shape, data.levels, data.range, data.classes) == ((3, 4, 5), 256, (-1.0, 1.0), 3)
    for x, labels in found:
        # 127.5 * 2^-24 is what float32 may be off
        assert np.abs((x.astype(float) + 1) * 127.5 - np.moveaxis(PIXELS, -1, 1)).max() < 1e-5
        assert np.array_equal(labels, LABELS)


def test_one_thread_at_a_time_asks_the_dataset_unless_it_may_take_more():
    import threading
    import time

    class Counted(Items):
        inside = most = 0
        lock = threading.Lock()

        def __getitem__(self, i):
            with self.lock:
                Counted.inside += 1
                Counted.most = max(Counted.most, Counted.inside)
            time.sleep(0.002)
            with self.lock:
                Counted.inside -= 1
            return super().__getitem__(i)

    for threads in (1, 3):
        Counted.most = 0
        data = from_torch(Counted(FLOATS), memory_limit=0, threads=threads)
        workers = [threading.Thread(target=data.fetch, args=(np.arange(12),)) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert Counted.most == threads


class Endless(IterableDataset):
    def __iter__(self):
        return iter(FLOATS)


@pytest.mark.parametrize(
    ("dataset", "options", "error", "sentence"),
    [
        (Endless(), {}, TypeError, "asked for its items by number, with __getitem__ and __len__"),
        (3, {}, TypeError, "but got 3"),
        (Items([]), {}, ValueError, "Items has no items"),
        (Items([{"image": 3}]), {}, ValueError, "Items of Items must be examples, .* item 0 is {'image': 3}"),
        (Items([(1.0, 2, 3)]), {}, ValueError, "must be examples, or .* but item 0 is"),
        (Items(["a"]), {}, ValueError, "Item 0 of Items must be real numbers, but got 'a'"),
        (Items([0.5]), {}, ValueError, r"Item 0 of Items must have one axis at least .* got the shape \(\)"),
        (Items([np.zeros((4, 4, 4), np.uint8)]), {}, ValueError, r"with 1 or 3 channels, but got \(4, 4, 4\)"),
        (
            Items([[1.0, 2.0], [1.0]]),
            {},
            ValueError,
            "must be alike, but item 1 is float32 .1,. and item 0 float32 .2,.",
        ),
        (Items([([1.0], 0), ([1.0], [2.0])]), {}, ValueError, r"Item 1 of Items has array\(.*for a condition, unlike"),
        (Items([([1.0], 0.5)]), {}, ValueError, "condition of item 0 of Items must be a label, .* got 0.5"),
        (Items([([1.0], "cat")]), {}, ValueError, "condition of item 0 of Items must be real numbers, but got 'cat'"),
        (Items([([1.0], 2)]), {"classes": 2}, ValueError, "said to have 2 classes, but has the label 2"),
        (Items([([1.0], 2)]), {"classes": 2, "memory_limit": 0}, ValueError, "labels of Items must be .* from 0 to 1"),
        (Items([([1.0], 2)]), {"memory_limit": 0}, ValueError, "How many classes Items has is not known .* classes="),
        (Items([[1.0]]), {"threads": 0}, ValueError, "threads must be a whole number of at least 1, but got 0"),
        (Items([[1.0]]), {"classes": "3"}, ValueError, "classes must be a whole number of at least 1, but got '3'"),
        (Items([[1.0]]), {"levels": 2, "memory_limit": 0}, ValueError, "2 levels need a range"),
        (Items([[1.0]]), {"labelled": "no"}, ValueError, "labelled must be True or False, but got 'no'"),
        (Items([[1.0]]), {"name": 3}, TypeError, "name must be text, how the data is called on screen, but got 3"),
        (Items([torch.zeros(2, device="meta")]), {}, ValueError, "a tensor on the meta device, which has none"),
        (Items(PIXELS), {"range": (0, 1)}, ValueError, "Items has pixels, 256 levels"),
    ],
)
def test_refused_in_one_sentence(dataset, options, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        from_torch(dataset, **options)
    assert "\n" not in str(caught.value)


# torchvision does not load beside every torch, and its data are not here: what follows is our half of it, against a stand-in
# with the interface that torchvision documents: name(root, train, transform, target_transform, download), items (image of
# Pillow's, label), `classes`, and RuntimeError where the files are not there.


class _StandIn(Dataset):
    fetched: tuple = ()

    def __init__(self, root, train=True, transform=None, target_transform=None, download=False):
        self.root, self.train, self.there = root, train, download or root == "there"
        if download:
            _StandIn.fetched += (type(self).__name__,)
        if root == "offline":
            raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")
        if not self.there:
            raise RuntimeError("Dataset not found. You can use download=True to download it")

    def __len__(self):
        return 20 if self.train else 10

    def __getitem__(self, i):
        pixels = np.full(self.size, (i * 7) % 256, np.uint8)
        return Image.fromarray(pixels), i % 10


class MNIST(_StandIn):
    size, classes = (28, 28), [f"{i} - a digit" for i in range(10)]


class CIFAR10(_StandIn):
    size, classes = (32, 32, 3), ["airplane", *"bcdefghij"]


@pytest.fixture
def torchvision(monkeypatch):
    package, datasets = types.ModuleType("torchvision"), types.ModuleType("torchvision.datasets")
    datasets.MNIST, datasets.CIFAR10, package.datasets = MNIST, CIFAR10, datasets
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    monkeypatch.setattr(_StandIn, "fetched", ())


@pytest.mark.parametrize(("load", "name", "shape"), [(mnist, "MNIST", (1, 28, 28)), (cifar10, "CIFAR10", (3, 32, 32))])
def test_torchvision_s_loaders_are_asked(torchvision, load, name, shape):
    data = load("there")
    assert (data.shape, data.levels, data.range, data.classes, data.name) == (shape, 256, (-1.0, 1.0), 10, name)
    assert len(data) == 20
    assert np.array_equal(data.labels, np.arange(20) % 10)
    assert np.abs((data.x[5].astype(float) + 1) * 127.5 - 35).max() < 1e-5
    assert not _StandIn.fetched  # no network unless asked
    test = load("there", train=False)
    assert (len(test), test.name) == (10, f"{name}, test")
    assert isinstance(load("there", memory_limit=0), Streamed)
    load("elsewhere", download=True)
    assert _StandIn.fetched == (name,)
    assert np.array_equal(named(name.lower(), root="there").x, data.x)


@pytest.mark.parametrize("load", [mnist, cifar10])
def test_what_goes_wrong_is_one_sentence(torchvision, load):
    with pytest.raises(FileNotFoundError, match="are not in nowhere, or are damaged; download=True fetches them"):
        load("nowhere")
    with pytest.raises(ConnectionError, match=r"could not be fetched into offline: <urlopen error .*name resolution"):
        load("offline", download=True)
    with pytest.raises(TypeError, match="root must be the path of a folder, but got 3"):
        load(3)
    with pytest.raises(ValueError, match="download must be True or False, but got 'yes'"):
        load("there", download="yes")


def test_a_missing_torchvision_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ImportError, match=r"missing or does not fit this torch .*pip install torchvision") as caught:
        mnist("there")
    assert "\n" not in str(caught.value)
