"""Files that are whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

UNFINISHED = ".unfinished"


def unfinished(path: Path) -> Path:
    """A name beside `path` for what is being written; whoever finds it later knows that its writer was killed."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")


def write_atomically(path: str | PathLike[str], content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write `content`, or its parts one after the other, beside `path`, flush to the disk, then rename over it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = unfinished(path)
    try:
        with open(temporary, "xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
