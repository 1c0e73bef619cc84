"""Scenes that measure a network: once, or again and again while it trains.

What they measure takes the interpreter and a core from the training, so that it may take a small share of the time only.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from .base import Scene

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from ..training import Trainer

SHARE = 60  # live numbers of the network take at most 1/60 of the time: training keeps the rest
REST = 1.0  # seconds at least between two of them
LOOK = 0.2  # seconds between two looks at the trainer: the eye needs no more, and training keeps the interpreter
ENDS = ("finished", "failed", "stopped")


class Turn:
    """Whose turn it is: says when measuring may begin again, by what it cost the last time."""

    def __init__(self) -> None:
        self._last, self._cost = -float("inf"), 0.0
        self._warm = False  # the first time imports what it needs: that is no measure of the others

    def due(self, over: bool = False) -> bool:
        """May it begin? `over`: the training takes no time any more."""
        return time.monotonic() - self._last >= (0.0 if over else max(REST, SHARE * self._cost))

    def begun(self) -> None:
        self._begun = self._last = time.monotonic()

    def __enter__(self) -> None:
        self.begun()

    def __exit__(self, *_: Any) -> None:
        self._last = time.monotonic()
        self._cost = self._last - self._begun if self._warm else 0.0
        self._warm = True


class Measuring(Scene):
    """A scene with numbers of a network in it: `measure` a denoiser, or `follow` a training."""

    _followed: Trainer | None = None

    def measure(self, denoiser: Denoiser) -> None:
        """Show the numbers of `denoiser`, computed on the calling thread."""
        raise NotImplementedError

    def forget(self) -> None:
        """Take the numbers of the network away."""
        raise NotImplementedError

    def follow(self, trainer: Trainer) -> None:
        """Measure the network of `trainer` now and then while it trains, and once more at its end; not the one before."""
        self._followed = trainer
        links = (weakref.ref(self), weakref.ref(trainer))
        threading.Thread(target=_follow, args=links, name="difflab follower", daemon=True).start()

    def unfollow(self) -> None:
        """Leave the training alone; what was measured stays."""
        self._followed = None

    def close(self) -> None:
        """Take the scene away; a training that it follows goes on."""
        self.unfollow()
        super().close()


def _follow(to_scene: weakref.ref[Measuring], to_trainer: weakref.ref[Trainer]) -> None:
    turn, measured = Turn(), 0
    while True:
        scene, trainer = to_scene(), to_trainer()
        if scene is None or trainer is None or scene._followed is not trainer:
            return
        step, over = trainer.step, trainer.state in ENDS
        if step != measured and turn.due(over):
            measured = step

            def job(scene: Measuring = scene, trainer: Trainer = trainer) -> None:
                with turn:
                    scene.measure(trainer.snapshot())

            turn.begun()  # not due again at once: the job waits for its lane
            scene.compute("learned", "follow", job)
            del job
        elif over:
            return
        del scene, trainer  # while asleep this thread keeps nothing alive
        time.sleep(LOOK)
