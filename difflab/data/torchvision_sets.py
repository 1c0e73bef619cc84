"""MNIST and CIFAR-10 as torchvision loads them, from a folder of the user's; fetched over the network only when asked to."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..checks import brief
from .finite import FiniteSet
from .streamed import MEMORY_LIMIT, Streamed, check_memory_limit
from .torch_sets import from_torch


def mnist(
    root: str | PathLike[str], *, train: bool = True, download: bool = False, memory_limit: int = MEMORY_LIMIT
) -> FiniteSet | Streamed:
    """MNIST (LeCun et al. 1998) from torchvision: 60,000 digits (10,000 with train=False), (1, 28, 28), 256 grey levels on
    [-1, 1].

    Args:
        root: the folder in which torchvision keeps its files, MNIST/raw.
        download: fetch them into it if they are not there.
        memory_limit: as of `from_torch`.

    Raises, in one sentence, ImportError where torchvision cannot be loaded, FileNotFoundError where the files are not there,
    and ConnectionError where they cannot be fetched.
    """
    return _loaded("MNIST", root, train, download, memory_limit)


def cifar10(
    root: str | PathLike[str], *, train: bool = True, download: bool = False, memory_limit: int = MEMORY_LIMIT
) -> FiniteSet | Streamed:
    """CIFAR-10 (Krizhevsky 2009) from torchvision: 50,000 images (10,000 with train=False), (3, 32, 32), 256 levels on [-1, 1].

    Args and errors as of `mnist`; its files lie in root/cifar-10-batches-py. They are pickles, as published: torchvision opens
    them only where their checksums are those of the published ones.
    """
    return _loaded("CIFAR10", root, train, download, memory_limit)


def _loaded(
    name: str, root: str | PathLike[str], train: bool, download: bool, memory_limit: int
) -> FiniteSet | Streamed:
    if not isinstance(root, str | PathLike):
        raise TypeError(f"root must be the path of a folder, but got {brief(root)}.")
    for key, value in (("train", train), ("download", download)):
        if not isinstance(value, bool):
            raise ValueError(f"{key} must be True or False, but got {value!r}.")
    check_memory_limit(memory_limit)
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        # one that was built for another torch fails in many ways
        raise ImportError(
            f"{name} is loaded by torchvision, which is missing or does not fit this torch ({_first_line(error)}); install the"
            " one that does: pip install torchvision."
        ) from error
    try:
        dataset = getattr(datasets, name)(root, train=train, download=download)
    except (RuntimeError, OSError) as error:
        if download:
            raise ConnectionError(f"{name} could not be fetched into {Path(root)}: {_first_line(error)}") from error
        raise FileNotFoundError(
            f"The files of {name} are not in {Path(root)}, or are damaged; download=True fetches them."
        ) from error
    part = name if train else f"{name}, test"
    return from_torch(dataset, name=part, memory_limit=memory_limit)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
