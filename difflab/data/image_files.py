"""A folder of images as data: its sub-folders are the classes."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..checks import brief, is_whole
from . import pixels
from .finite import FiniteSet
from .streamed import MEMORY_LIMIT, Source, Streamed, check_memory_limit, held

if TYPE_CHECKING:
    from PIL.Image import Image

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_LARGEST_SIDE = 16_384
_ORIENTATION = 0x0112  # the tag in EXIF data; 1 is upright


def image_folder(
    path: str | PathLike[str],
    size: int | None = None,
    channels: Literal[1, 3] | None = None,
    *,
    memory_limit: int = MEMORY_LIMIT,
) -> FiniteSet | Streamed:
    """The images in a folder, (C, H, W), 256 levels on [-1, 1].

    Each sub-folder is a class, in natural order ("2" before "10"), with all images anywhere in it; a folder without
    sub-folders is a set without classes. Files that are no PNG, JPEG, BMP, GIF, WebP, TIFF, PPM or PGM, and names that begin
    with a dot, are passed over. Of an animation the first frame counts. Images stand upright as their EXIF data say; what is
    transparent lies on white; 16 bits a pixel are reduced to 8.

    Args:
        path: the folder.
        size: side in pixels: of each image the largest square at its centre, resized by Lanczos' filter. None takes them
            as they are, and they must then be of one size.
        channels: 1 turns colours to grey (ITU-R 601 luma), 3 greys to colour; None is 1 where all images are grey, else 3.
            To find that out, or the size, the head of every file is read.
        memory_limit: bytes that the images may take as float32; more are read from their files as they are drawn.

    Raises FileNotFoundError for no such folder; ValueError, in one sentence, for a folder without images, a class without one,
    images of different sizes where no size is given, and a file that cannot be read, by its name.
    """
    check_memory_limit(memory_limit)
    return held(ImageFolder(path, size, channels), memory_limit)


class ImageFolder(Source):
    """The images of a folder, read when they are asked for; see `image_folder`."""

    levels, range, threads = pixels.LEVELS, pixels.RANGE, 4

    def __init__(
        self, path: str | PathLike[str], size: int | None = None, channels: Literal[1, 3] | None = None
    ) -> None:
        if not isinstance(path, str | PathLike):
            raise TypeError(f"A folder of images is given as its path, but got {brief(path)}.")
        if size is not None and not (is_whole(size, 1) and size <= _LARGEST_SIDE):
            raise ValueError(f"size must be a whole number from 1 to {_LARGEST_SIDE}, or None, but got {size!r}.")
        if channels is not None and not (is_whole(channels) and channels in (1, 3)):
            raise ValueError(f"channels must be 1 for grey, 3 for colour, or None, but got {channels!r}.")
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {folder}.")
        self.name, self._size = folder.resolve().name, None if size is None else int(size)
        self.files, self.labels, self.class_names = _found(folder.absolute())  # read for as long as a training goes on
        self.classes = None if self.labels is None else len(self.class_names)
        sides = None if self._size is None else (self._size, self._size)
        if sides is None or channels is None:
            heads = [_head(file) for file in self.files]
            if sides is None:
                sides = _one_size(self.files, [head[0] for head in heads])
            if channels is None:
                channels = 1 if all(grey for _, grey in heads) else 3
        self.shape = (int(channels), *sides)

    def __len__(self) -> int:
        return len(self.files)

    def fetch(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        images = np.empty((len(index), *self.shape), np.uint8)
        for image, i in zip(images, index, strict=True):
            image[:] = self._pixels(self.files[i])
        return pixels.numbers(images), None if self.labels is None else self.labels[index]

    def _pixels(self, file: Path) -> np.ndarray:
        """uint8 (C, H, W)."""
        from PIL import Image, ImageOps

        with _reading(file), Image.open(file) as opened:
            image = _opaque(_eight_bits(ImageOps.exif_transpose(opened))).convert("L" if self.shape[0] == 1 else "RGB")
            if self._size is not None:
                image = _square(image).resize((self._size, self._size), Image.Resampling.LANCZOS)
        height, width = image.height, image.width
        if (height, width) != self.shape[1:]:
            raise ValueError(f"{file} is {height} x {width} now, and was {self.shape[1]} x {self.shape[2]} before.")
        return np.moveaxis(np.asarray(image).reshape(height, width, -1), -1, 0)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Inside, whatever Pillow raises becomes one sentence that names the file."""
    from PIL.Image import DecompressionBombError

    try:
        yield
    # damaged files reach Pillow's decoders, which raise as they come
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, DecompressionBombError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{file} cannot be read as an image: {said}") from error


def _found(folder: Path) -> tuple[list[Path], np.ndarray | None, list[str]]:
    """The images, their labels (N,) or None, and the names of the classes."""
    entries = [entry for entry in folder.iterdir() if not _is_hidden(entry.relative_to(folder))]
    loose = sorted(filter(_is_image, entries), key=_natural)
    classes = sorted((entry for entry in entries if entry.is_dir()), key=_natural)
    if not classes:
        if not loose:
            raise ValueError(f"{folder} has no images in it: no {', '.join(sorted(_ENDINGS))}.")
        return loose, None, []
    if loose:
        raise ValueError(
            f"{folder} has images beside its sub-folders, {loose[0].name} say: put each into the folder of its class."
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, of_class in enumerate(classes):
        images = sorted(filter(_is_image, of_class.rglob("*")), key=_natural)
        images = [image for image in images if not _is_hidden(image.relative_to(of_class))]
        if not images:
            raise ValueError(f"{of_class} has no images in it, and each sub-folder is a class: remove it or fill it.")
        files += images
        labels += [label] * len(images)
    return files, np.array(labels, np.int64), [of_class.name for of_class in classes]


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in _ENDINGS and file.is_file()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _natural(path: Path) -> list[tuple[bool, int | str]]:
    """A key that sorts numbers within names by their size."""
    parts = re.split(r"(\d+)", str(path))
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in parts]


def _head(file: Path) -> tuple[tuple[int, int], bool]:
    """(height, width) as it stands upright, and whether it is grey; pixels are read only of an image that has to be turned."""
    from PIL import Image, ImageOps

    with _reading(file), Image.open(file) as image:
        grey = image.mode in ("1", "L", "LA") or image.mode.startswith("I")
        upright = image if image.getexif().get(_ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)
        return (upright.height, upright.width), grey


def _one_size(files: list[Path], sizes: list[tuple[int, int]]) -> tuple[int, int]:
    for file, size in zip(files, sizes, strict=True):
        if size != sizes[0]:
            raise ValueError(
                f"The images are of different sizes, {files[0].name} {sizes[0][0]} x {sizes[0][1]} and {file.name}"
                f" {size[0]} x {size[1]} (height x width): give the size= that all shall have."
            )
    return sizes[0]


def _eight_bits(image: Image) -> Image:
    """16 bits a pixel, which Pillow would cut off at 255, as the nearest of 8. ValueError for more."""
    from PIL import Image as images

    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if not image.mode.startswith("I"):
        return image
    sixteen = np.asarray(image).astype(np.float64)
    if sixteen.min() < 0 or sixteen.max() > 65_535:
        raise ValueError("its pixels have more than 16 bits")
    return images.fromarray(np.rint(sixteen / 257).astype(np.uint8))


def _square(image: Image) -> Image:
    """The largest one at the centre."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def _opaque(image: Image) -> Image:
    """What is transparent, on white."""
    from PIL import Image as images

    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    image = image.convert("RGBA")
    return images.alpha_composite(images.new("RGBA", image.size, "white"), image)
