"""TrainingMonitor: the loss beside its exact floor, with start, pause, resume and stop."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import traitlets

from .arrays import Array
from .base import Scene

if TYPE_CHECKING:
    from ..training import Trainer

LOOK = 0.2  # seconds between two looks at the trainer: the eye needs no more, and the training thread keeps the interpreter
SMOOTH = 8  # points of the curve that the number beside it averages: one batch alone would flicker
ENDS = ("finished", "failed", "stopped")
STATES = ["idle", "running", "paused", "finished", "failed", "stopped"]


class TrainingMonitor(Scene):
    """Live loss of a `Trainer` over the floor that no network gets below.

    Args:
        trainer: what the buttons drive; `attach` gives it later.
        floor: exact irreducible loss under the same objective, and `floor_error` its standard error.
    """

    curve = Array()
    floor = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    floor_error = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    prediction = traitlets.Unicode("eps").tag(sync=True)
    state = traitlets.Enum(STATES, "idle").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    total_steps = traitlets.Int(0).tag(sync=True)
    steps_per_second = traitlets.Float(0.0).tag(sync=True)
    loss = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "total_steps")

    def __init__(
        self,
        trainer: Trainer | None = None,
        floor: float | None = None,
        floor_error: float | None = None,
        **traits: Any,
    ) -> None:
        super().__init__(floor=floor, floor_error=floor_error, **traits)
        self.trainer: Trainer | None = None
        #: called after each look at a running trainer, from the watching thread
        self.on_look: Callable[[], None] = lambda: None
        #: makes a trainer when Start is pressed and there is none yet
        self.make_trainer: Callable[[], Trainer] | None = None
        if trainer is not None:
            self.attach(trainer)

    def attach(self, trainer: Trainer) -> None:
        """Show `trainer` from now on; one that is running already too."""
        self.trainer = trainer
        self.clear_error("training")
        watch = (weakref.ref(self), weakref.ref(trainer))
        threading.Thread(target=_watch, args=watch, name="difflab monitor", daemon=True).start()

    def detach(self) -> None:
        """Stop the trainer, if there is one, and show an empty monitor."""
        trainer, self.trainer = self.trainer, None
        if trainer is not None:
            trainer.stop()
        self.clear_error("training")
        self.publish(curve=None, state="idle", step=0, steps_per_second=0.0, loss=None)

    def close(self) -> None:
        """Take the scene away; its trainer, if it runs, goes on unwatched."""
        self.trainer = None
        super().close()

    def requests(self) -> tuple[str, ...]:
        return ("start", "pause", "resume", "stop")

    def on_start(self) -> None:
        trainer = self.trainer
        if trainer is not None and trainer.state not in ENDS:
            trainer.start()
        elif self.make_trainer is None:
            raise ValueError("There is no trainer yet: give the monitor one with attach(trainer).")
        else:
            self.compute("exact", "make", self._make_and_start, status="building the network")

    def _make_and_start(self) -> None:
        if self.trainer is not None and self.trainer.state not in ENDS:
            return  # Start was pressed twice
        assert self.make_trainer is not None
        trainer = self.make_trainer()
        self.attach(trainer)
        trainer.start()

    def on_pause(self) -> None:
        self._running().pause(timeout=0)  # a callback must not wait for the step in hand

    def on_resume(self) -> None:
        self._running().resume()

    def on_stop(self) -> None:
        self._running().stop(timeout=0)

    def _running(self) -> Trainer:
        if self.trainer is None:
            raise ValueError("Nothing is training: press Start first.")
        return self.trainer

    def look(self, trainer: Trainer) -> None:
        """Show the trainer as it is now."""
        with self.shown("look"):
            self._look(trainer)
            self.on_look()

    def _look(self, trainer: Trainer) -> None:
        curve = trainer.curve()
        looked: dict[str, Any] = {
            "state": trainer.state,
            "step": trainer.step,
            "total_steps": trainer.total_steps,
            "steps_per_second": trainer.steps_per_second,
            "loss": float(curve[-SMOOTH:, 1].mean()) if len(curve) else None,
            "curve": curve,
        }
        self.publish(**looked)
        if trainer.error:
            self.show_error("training", trainer.error)

    def numbers(self) -> dict[str, float]:
        """step, total_steps, steps_per_second, loss (running mean), floor and its error; those known so far."""
        base = super().numbers()
        if self.trainer is not None:
            self._look(self.trainer)
            self.settle()
        names = ("step", "total_steps", "steps_per_second", "loss", "floor", "floor_error")
        return base | {n: float(getattr(self, n)) for n in names if getattr(self, n) is not None}


def _watch(monitor: weakref.ref[TrainingMonitor], trainer: weakref.ref[Trainer]) -> None:
    """Look at the trainer until it has ended, another one takes its place, or nobody holds the scene any more."""
    seen: tuple[Any, ...] | None = None
    while True:
        scene, watched = monitor(), trainer()
        if scene is None or watched is None or scene.trainer is not watched:
            return
        now = (watched.state, watched.step)
        if now != seen:
            scene.look(watched)
            seen = now
        if now[0] in ENDS:
            return
        del scene, watched  # while asleep this thread keeps nothing alive
        time.sleep(LOOK)
