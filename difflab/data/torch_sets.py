"""Datasets of torch as data: those that anyone writes, and those that come with libraries."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import array_of, brief, is_whole
from . import pixels
from .base import check_name
from .finite import FiniteSet
from .streamed import MEMORY_LIMIT, Source, Streamed, check_memory_limit, held
from .values import checked_levels, checked_range

if TYPE_CHECKING:
    from torch.utils.data import Dataset


def from_torch(
    dataset: Dataset[Any],
    *,
    classes: int | None = None,
    labelled: bool = True,
    range: tuple[float, float] | None = None,
    levels: int | None = None,
    name: str | None = None,
    threads: int = 1,
    memory_limit: int = MEMORY_LIMIT,
) -> FiniteSet | Streamed:
    """A map-style torch Dataset as data.

    Its items are examples, or tuples (example, condition), where a condition is a label, a whole number from 0, or a vector of
    floats. An example is a tensor or an array of floats, taken as it is, or pixels, uint8 (H, W), (H, W, C) or (C, H, W) or an
    image of Pillow's, which become (C, H, W), 256 levels on [-1, 1]. All must have one shape: resizing is a transform's work.

    A Dataset that draws at random in `__getitem__`, to augment, is read once where it fits into memory; `memory_limit=0` asks
    it again each time. What it draws from is its own, so that a resumed run goes on with other draws than an unbroken one.

    Args:
        classes: how many labels there are; by default `len(dataset.classes)` where it has those, as torchvision's have, else
            found where all is read.
        labelled: False leaves the conditions out.
        range, levels: as of `FiniteSet`, for examples that are floats.
        name: on screen; the Dataset's class if not given.
        threads: how many may ask the Dataset at a time: 1 unless it was written for more.
        memory_limit: bytes that the examples may take as float32; more are fetched as they are drawn.

    Raises TypeError for what is no such Dataset; ValueError, in one sentence, for items that are none of these.
    """
    check_memory_limit(memory_limit)
    source = TorchSource(
        dataset, classes=classes, labelled=labelled, range=range, levels=levels, name=name, threads=threads
    )
    return held(source, memory_limit)


class TorchSource(Source):
    """The items of a torch Dataset; see `from_torch`."""

    def __init__(
        self,
        dataset: Dataset[Any],
        *,
        classes: int | None = None,
        labelled: bool = True,
        range: tuple[float, float] | None = None,
        levels: int | None = None,
        name: str | None = None,
        threads: int = 1,
    ) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(
                "A torch Dataset that is asked for its items by number, with __getitem__ and __len__, is due, but got"
                f" {brief(dataset)}."
            )
        for key, value in (("threads", threads), ("classes", 1 if classes is None else classes)):
            if not is_whole(value, 1):
                raise ValueError(f"{key} must be a whole number of at least 1, but got {value!r}.")
        if not isinstance(labelled, bool):
            raise ValueError(f"labelled must be True or False, but got {brief(labelled)}.")
        self.name = type(dataset).__name__ if name is None else name
        check_name(self.name)
        self._dataset, self._labelled, self.threads = dataset, labelled, threads
        self._turn = threading.Semaphore(threads)
        if len(self) < 1:
            raise ValueError(f"{self.name} has no items.")
        with _seeded():
            x, condition = self._item(0)
        self.shape, self._kind = x.shape, x.dtype
        self._condition, self._is_class = _kind_of(condition), isinstance(condition, int)
        self.levels = checked_levels(levels)
        self.range = None if range is None else checked_range(range, self.levels)
        if x.dtype == np.uint8:
            if range is not None or levels is not None:
                raise ValueError(f"{self.name} has pixels, 256 levels on [-1, 1]: range= and levels= are for floats.")
            self.range, self.levels = pixels.RANGE, pixels.LEVELS
        if isinstance(condition, np.ndarray):
            self.vector = len(condition)
        if self._is_class:
            listed = getattr(dataset, "classes", None)
            self.classes = len(listed) if classes is None and isinstance(listed, list | tuple) and listed else classes

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        x = np.empty((len(index), *self.shape), self._kind)
        conditions: list[Any] = []
        for row, i in enumerate(index.tolist()):
            x[row], condition = self._like_the_first(i)
            conditions.append(condition)
        x = pixels.numbers(x) if self._kind == np.uint8 else x
        if self._is_class:
            return x, np.array(conditions, np.int64)
        return x, None if self.vector is None else np.array(conditions, np.float32).reshape(len(index), self.vector)

    def fetch_settled(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        with _seeded():
            return self.fetch(index)

    def _like_the_first(self, i: int) -> tuple[np.ndarray, int | np.ndarray | None]:
        x, condition = self._item(i)
        if x.shape != self.shape or x.dtype != self._kind:
            raise ValueError(
                f"Items of {self.name} must be alike, but item {i} is {x.dtype} {x.shape} and item 0 {self._kind} {self.shape}:"
                " a transform makes them so."
            )
        if _kind_of(condition) != self._condition:
            raise ValueError(f"Item {i} of {self.name} has {brief(condition)} for a condition, unlike item 0.")
        return x, condition

    def _item(self, i: int) -> tuple[np.ndarray, int | np.ndarray | None]:
        """Item `i`: uint8 pixels (C, H, W) or float32 numbers, and its label, vector (d,) or None."""
        with self._turn:
            item = self._dataset[i]
        given, *rest = item if isinstance(item, tuple) and item else (item,)
        if len(rest) > 1 or isinstance(item, dict):
            raise ValueError(
                f"Items of {self.name} must be examples, or tuples (example, condition), but item {i} is {brief(item)}."
            )
        x = _example(given, f"Item {i} of {self.name}")
        return x, _condition(rest[0], f"The condition of item {i} of {self.name}") if rest and self._labelled else None


@contextmanager
def _seeded() -> Iterator[None]:
    """Inside, the streams that augmentations draw from begin at one place; after it they go on as if nothing had been."""
    import torch

    before = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            random.seed(0)
            np.random.seed(0)
            torch.manual_seed(0)
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])


def _example(given: Any, what: str) -> np.ndarray:
    from PIL.Image import Image

    if isinstance(given, Image):
        given = np.asarray(given.convert("L" if given.mode in ("1", "L") else "RGB"))
    # numpy has no bfloat16, and a tensor of floats is read as one
    array = given.cpu().numpy() if str(getattr(given, "dtype", "")) == "torch.uint8" else given
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        numbers = array_of(array, what).astype(np.float32)
        if numbers.ndim < 1 or numbers.size == 0:
            raise ValueError(
                f"{what} must have one axis at least and a number on it, but got the shape {numbers.shape}."
            )
        return numbers
    found = pixels.channels_first(array.shape)
    if found is None:
        raise ValueError(
            f"{what} is uint8, which is read as pixels, (H, W), (H, W, C) or (C, H, W) with 1 or 3 channels, but got"
            f" {array.shape}: give floats for other numbers."
        )
    shape, turned = found
    return (np.moveaxis(array, -1, 0) if turned else array).reshape(shape)


def _kind_of(condition: int | np.ndarray | None) -> tuple[type, Any]:
    """What the conditions of two items must have alike."""
    return type(condition), getattr(condition, "shape", None)


def _condition(given: Any, what: str) -> int | np.ndarray:
    array = array_of(given, what)
    if array.ndim == 0 and array >= 0 and array == np.floor(array):
        return int(array)
    if array.ndim == 1 and array.size:
        return array.astype(np.float32)
    raise ValueError(f"{what} must be a label, a whole number from 0, or a vector, but got {brief(given)}.")
