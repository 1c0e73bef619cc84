"""The front end of the scenes, which crosses once for each scene that is shown by itself: for the Lab once, not once a part.

anywidget sends `_esm` with every instance. A scene made inside another one is drawn by the outer scene's front end, so it
carries a stub instead; where it is shown by itself after all, the stub asks for the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"
STUB = "export default { render({ model }) { model.send({ request: 'front_end' }); } };"

_inside: ContextVar[bool] = ContextVar("inside", default=False)


def full(name: str) -> str:
    """The text of the built file `name`. FileNotFoundError, with what to do, where nothing was built.

    The text and not the path: anywidget watches a path for changes, and so keeps every scene that was ever made.
    """
    path = STATIC / name
    if not path.exists():
        raise FileNotFoundError(f"The front end is not built ({name} is missing): run `make build` in the checkout.")
    return path.read_text(encoding="utf-8")


def inside() -> bool:
    """Whether scenes that are made now stand inside another one."""
    return _inside.get()


@contextmanager
def parts() -> Iterator[None]:
    """Scenes made in this block are parts of another one, and carry the stub."""
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)
