"""Arrays as data: in memory, or in a .npy file that is read piece by piece because it is larger."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import brief
from . import pixels
from .base import check_name
from .conditions import checked_conditions
from .finite import FiniteSet
from .streamed import MEMORY_LIMIT, Source, Streamed, check_memory_limit, held
from .values import checked_levels, checked_range


class ArraySource(Source):
    """The rows of an array, such as a np.memmap.

    Args:
        x: (N, *shape), real numbers, with `shape` and `dtype`, and rows that can be asked for by an array of their numbers.
            uint8 is read as pixels: (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels become (C, H, W), 256 grey
            levels on [-1, 1]; with `range` given it stays numbers, as all other kinds do.
        labels: (N,) whole numbers from 0, or None; kept in memory.
        vectors: (N, d) finite numbers in the place of labels, or None; kept in memory.
        range, levels, name: as of `FiniteSet`.

    Raises ValueError, in one sentence, for what is no such array, and for labels or vectors that do not match.
    """

    def __init__(
        self,
        x: np.ndarray,
        labels: ArrayLike | None = None,
        *,
        vectors: ArrayLike | None = None,
        range: tuple[float, float] | None = None,
        levels: int | None = None,
        name: str = "array",
    ) -> None:
        check_name(name)
        if not hasattr(x, "shape") or getattr(getattr(x, "dtype", None), "kind", None) not in tuple("biuf"):
            raise ValueError(f"{name} must be an array of real numbers, but got {brief(getattr(x, 'dtype', x))}.")
        if len(x.shape) < 2 or 0 in x.shape:
            raise ValueError(f"{name} must have examples of the shape (N, ...), but got {tuple(x.shape)}.")
        self.name, self.shape, self._count, self._turned = name, tuple(x.shape[1:]), len(x), False
        self.levels = checked_levels(levels)
        self.range = None if range is None else checked_range(range, self.levels)
        self._pixels = np.dtype(x.dtype) == np.uint8 and range is None
        if self._pixels:
            self._read_as_pixels()
        self.labels, self.vectors = checked_conditions(labels, vectors, self._count)
        self.classes = None if self.labels is None else int(self.labels.max()) + 1
        self.vector = None if self.vectors is None else self.vectors.shape[1]
        self._x = x

    def _read_as_pixels(self) -> None:
        if self.levels is not None:
            raise ValueError(f"{self.name} has uint8 pixels, which take 256 levels: levels= goes with a range=.")
        found = pixels.channels_first(self.shape)
        if found is None:
            raise ValueError(
                f"{self.name} is uint8, which is read as pixels, (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3"
                f" channels, but got {(self._count, *self.shape)}: reshape it, or give a range= to take it as numbers."
            )
        (self.shape, self._turned), self.range, self.levels = found, pixels.RANGE, pixels.LEVELS

    def __len__(self) -> int:
        return self._count

    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        rows = np.asarray(self._rows()[index])
        if self._pixels:
            rows = pixels.numbers(np.moveaxis(rows, -1, 1) if self._turned else rows)
        conditions = self.vectors if self.labels is None else self.labels
        x = np.ascontiguousarray(rows, np.float32).reshape(len(index), *self.shape)
        return x, None if conditions is None else conditions[index]

    def _rows(self) -> np.ndarray:
        return self._x


class _FileSource(ArraySource):
    """The rows of a .npy file, which is mapped anew for each fetch: what was read is the system's cache, not this process's
    memory, and threads share nothing."""

    def __init__(self, path: Path, **options: Any) -> None:
        self._path = path
        super().__init__(_mapped(path), **options)
        self._x = np.empty(0)

    def _rows(self) -> np.ndarray:
        return _mapped(self._path)


def array_file(
    path: str | PathLike[str],
    labels: str | PathLike[str] | None = None,
    vectors: str | PathLike[str] | None = None,
    *,
    range: tuple[float, float] | None = None,
    levels: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
) -> FiniteSet | Streamed:
    """The array in a .npy file; or in a .npz file under "x", with "labels" or "vectors" beside it where it has them.

    Args:
        path: of the file. What it holds is read as `ArraySource` says; no pickle is ever opened.
        labels, vectors: .npy files of their own beside a .npy.
        range, levels: as of `FiniteSet`.
        memory_limit: bytes that the examples may take as float32; a larger .npy is streamed from the file.

    Raises FileNotFoundError, or ValueError in one sentence for what is no such file, or a .npz that is larger than the limit.
    """
    check_memory_limit(memory_limit)
    path = _existing(path, "array")
    options: dict[str, Any] = {"range": range, "levels": levels, "name": path.stem}
    for key, other in (("labels", labels), ("vectors", vectors)):
        if other is not None:
            options[key] = _mapped(_existing(other, key))
    if path.suffix == ".npy":
        return held(_FileSource(path, **options), memory_limit)
    if path.suffix != ".npz":
        raise ValueError(f"An array is read from a .npy or .npz file, but got {path.name}.")
    if labels is not None or vectors is not None:
        raise ValueError(f"{path.name} holds its labels or vectors itself: give no files of them beside it.")
    return held(ArraySource(**_members(path, memory_limit), **options), memory_limit)


def _members(path: Path, memory_limit: int) -> dict[str, Any]:
    """ "x", and "labels" or "vectors", of a .npz."""
    with _reading(path, "a .npz file"), zipfile.ZipFile(path) as archive:
        sizes = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
    if "x" not in sizes:
        raise ValueError(f"{path.name} needs its examples under the name x, but has {', '.join(sizes) or 'nothing'}.")
    if sizes["x"] > memory_limit:
        raise ValueError(
            f"The examples in {path.name} take {sizes['x']} bytes, above the limit of {memory_limit}, and a .npz cannot be"
            " read piece by piece: save them as a .npy (np.save), or raise memory_limit."
        )
    found = {}
    with _reading(path, "a .npz file of numbers"), zipfile.ZipFile(path) as archive:
        for key in {"x", "labels", "vectors"} & sizes.keys():
            with archive.open(f"{key}.npy") as member:
                found[key] = np.lib.format.read_array(member, allow_pickle=False)
    return found


def _mapped(path: Path) -> np.ndarray:
    with _reading(path, "a .npy file of numbers"):
        return np.lib.format.open_memmap(path, mode="r")  # never opens a pickle


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Inside, what goes wrong becomes one sentence that names the file."""
    try:
        yield
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path.name} cannot be read as {kind}: {said}") from error


def _existing(path: str | PathLike[str], what: str) -> Path:
    if not isinstance(path, str | PathLike):
        raise TypeError(f"The {what} must be given as the path of a file, but got {brief(path)}.")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return path
