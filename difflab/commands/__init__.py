"""The commands behind `difflab train`, `difflab sweep` and `difflab sample`; each is imported when it is asked for."""

from __future__ import annotations


def sentence(error: Exception) -> str:
    """What went wrong, as a user is told."""
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"There is no file {error.filename}."
    if isinstance(error, IsADirectoryError):
        return f"{error.filename} is a folder: name the file in it, such as {error.filename}/checkpoint.safetensors."
    return str(error)
