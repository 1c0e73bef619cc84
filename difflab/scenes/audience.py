"""Who is told when the data changes: scenes that show it, and callbacks. To be fed keeps no scene alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from ..checks import brief
from ..data import DataSet
from .base import Scene


class Audience:
    """The scenes that a scene feeds, and the functions that it calls. What a listener raises is shown where it belongs."""

    def __init__(self, owner: Scene) -> None:
        self._owner = weakref.ref(owner)
        self._scenes: list[weakref.ref[Any]] = []
        self._callbacks: list[Callable[[DataSet], object]] = []

    def __bool__(self) -> bool:
        return bool(self._callbacks) or bool(self.scenes)

    @property
    def scenes(self) -> list[Any]:
        """Those that are still there."""
        return [scene for known in self._scenes if (scene := known()) is not None]

    def add(self, *scenes: Any) -> None:
        """TypeError, and nobody added, for what shows no data."""
        for scene in scenes:
            if scene is self._owner() or not isinstance(scene, Scene) or not callable(getattr(scene, "show", None)):
                raise TypeError(
                    f"feed takes other scenes that show data, such as ForwardNoising(), but got {brief(scene)}."
                )
        for scene in scenes:
            if not any(known is scene for known in self.scenes):
                self._scenes.append(weakref.ref(scene))

    def drop(self, *scenes: Any) -> None:
        """Without arguments all of them."""
        gone = scenes or self.scenes
        self._scenes = [weakref.ref(known) for known in self.scenes if not any(known is each for each in gone)]

    def call(self, callback: Callable[[DataSet], object]) -> None:
        if not callable(callback):
            raise TypeError(f"on_data takes a function of a data set, but got {brief(callback)}.")
        self._callbacks.append(callback)

    def tell(self, data: DataSet) -> None:
        owner = self._owner()
        for scene in self.scenes:
            with scene.shown("drawing"):
                scene.show(data)
        for callback in list(self._callbacks):
            if owner is not None:
                with owner.shown(("callback", callback)):
                    callback(data)
