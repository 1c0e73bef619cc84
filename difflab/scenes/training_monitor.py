"""TrainingMonitor: the loss beside its exact floor, and the hands on the training: step, slow, run, pause and stop."""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet
from . import own_training
from .arrays import Array
from .base import Scene
from .choices import as_data
from .following import ENDS, LOOK
from .traits import NumberTrait, ScheduleTrait, StepsTrait

if TYPE_CHECKING:
    from ..training import Trainer

SMOOTH = 8  # points of the curve that the number beside it averages: one batch alone would flicker
STATES = ["idle", "running", "paused", "finished", "failed", "stopped"]
STEPS = 20_000  # of a training that the scene makes itself: a minute or so on one core
PACES = (0.2, 1000.0)  # steps per second that "slow" may mean


class TrainingMonitor(Scene):
    """Live loss of a `Trainer` over the floor that no network gets below.

        difflab.TrainingMonitor(trainer)   # a training of yours
        difflab.TrainingMonitor("moons")   # or one that Run begins here, with the seed on screen

    Args:
        trainer: what the buttons drive; `attach` gives another one later. Data, or their name, stand for a training of an MLP
            or UNet on them; None for one on the ring of eight.
        floor: exact irreducible loss under the same objective, and `floor_error` its standard error; computed where they are
            not given and an oracle is known.
        schedule, total_steps: of a training that the scene makes itself.

    Raises TypeError or ValueError, in one sentence, for what is no training and no data.
    """

    curve = Array()
    floor = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    floor_error = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    prediction = traitlets.Unicode("eps").tag(sync=True)
    state = traitlets.Enum(STATES, "idle").tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    total_steps = StepsTrait(STEPS, most=10**9)
    steps_per_second = traitlets.Float(0.0).tag(sync=True)
    loss = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    schedule = ScheduleTrait()
    #: whether Run makes trainings, with the seed
    own = traitlets.Bool(True).tag(sync=True)
    #: whether training is held back to `pace` steps per second
    slow = traitlets.Bool(False).tag(sync=True)
    pace = NumberTrait(5.0, *PACES)
    #: "loss", or "excess": the loss less its floor on a logarithmic axis
    view = traitlets.Enum(["loss", "excess"], "loss").tag(sync=True)
    #: points of the curve that the drawn one averages
    smoothing = StepsTrait(9, most=100)
    #: how it is trained, in a few words
    recipe = traitlets.Unicode().tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "total_steps", "schedule", "slow", "pace", "view", "smoothing")
    controls = ("run", "step", "slow", "stop", "view", "pace", "smoothing", "seed", "png")

    #: what is shown; None before there is one
    trainer: Trainer | None = None

    def __init__(
        self,
        trainer: Trainer | DataSet | str | None = None,
        floor: float | None = None,
        floor_error: float | None = None,
        *,
        data: DataSet | str | None = None,
        **traits: Any,
    ) -> None:
        if isinstance(trainer, DataSet | str):
            data, trainer = (trainer if data is None else data), None
        if trainer is not None and not hasattr(trainer, "steps_per_second"):
            raise TypeError(f"What is monitored is a Trainer, or data to train on, but got {type(trainer).__name__}.")
        if trainer is not None and data is not None:
            raise ValueError("A monitor of a Trainer has that one's data: give either.")
        #: of the trainings that the scene makes itself
        self.data = None if trainer is not None else as_data(data)
        super().__init__(floor=floor, floor_error=floor_error, own=trainer is None, **traits)
        self._floor_given, self._steps_asked = floor is not None, list[int]()
        #: called after each look at a running trainer, from the watching thread
        self.on_look: Callable[[], None] = lambda: None
        #: makes a trainer when Run is pressed and there is none that goes on; None for those of the scene's own
        self.make_trainer: Callable[[], Trainer] | None = None
        self.observe(lambda _: self._hold_back(), ["slow", "pace"])
        self.observe(lambda _: self._begin_anew(), ["seed", "schedule", "total_steps"])
        if trainer is not None:
            self.attach(trainer)
        else:
            self._begin_anew()

    def attach(self, trainer: Trainer) -> None:
        """Show `trainer` from now on; one that is running already too."""
        if self.make_trainer is None:
            self.own, self.data = False, None
        self._attach(trainer)

    def _attach(self, trainer: Trainer) -> None:
        self.trainer = trainer
        if self.slow:
            self._hold_back()
        self.clear_error("training")
        self.publish(prediction=trainer.denoiser.prediction, recipe=own_training.recipe(trainer))
        if not self.own:
            self._look_for_floor(trainer)
        watch = (weakref.ref(self), weakref.ref(trainer))
        threading.Thread(target=_watch, args=watch, name="difflab monitor", daemon=True).start()

    def detach(self) -> None:
        """Stop the trainer, if there is one, and show an empty monitor."""
        trainer, self.trainer = self.trainer, None
        if trainer is not None:
            trainer.stop()
        self.clear_error("training")
        self.publish(curve=None, state="idle", step=0, steps_per_second=0.0, loss=None)

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Train on other data from now on; a training of the scene's own that is under way is stopped."""
        if not self.own:
            raise ValueError("This monitor shows a Trainer that was given: attach another one instead.")
        self.data, seed = as_data(data), self._seed_of(seed)
        self._begin_anew()
        self.publish(seed=seed)

    def close(self) -> None:
        """Take the scene away; its trainer, if it runs, goes on unwatched, and as fast as it can."""
        if self.trainer is not None and self.slow:
            self.trainer.pace = None
        self.trainer = None
        super().close()

    # -- the hands on the training -----------------------------------------------------------------------------------------

    def requests(self) -> tuple[str, ...]:
        return ("start", "pause", "resume", "stop", "step")

    def on_start(self) -> None:
        self._drive(lambda trainer: trainer.start())

    def on_step(self) -> None:
        """One update, then a pause."""
        self._steps_asked.append(1)
        self._drive(self._advance)

    def _advance(self, trainer: Trainer) -> None:
        steps = len(self._steps_asked)  # also those that were asked for while the network was built
        del self._steps_asked[:steps]
        if steps:
            trainer.advance(steps)

    def on_pause(self) -> None:
        self._running().pause(timeout=0)  # a callback must not wait for the step in hand

    def on_resume(self) -> None:
        self._running().resume()

    def on_stop(self) -> None:
        self._running().stop(timeout=0)

    def _running(self) -> Trainer:
        if self.trainer is None:
            raise ValueError("Nothing is training: press Run first.")
        return self.trainer

    def _drive(self, go: Callable[[Trainer], None]) -> None:
        trainer = self.trainer
        if trainer is not None and trainer.state not in ENDS:
            go(trainer)
        elif not self.own:
            ended = "There is no trainer yet" if trainer is None else f"This training has {trainer.state}"
            raise ValueError(f"{ended}: give the monitor one with attach(trainer).")
        else:
            # what is pressed twice while a network is built makes one training
            self.compute("exact", "make", lambda: self._make_and(go), status="building the network")

    def _make_and(self, go: Callable[[Trainer], None]) -> None:
        if self.trainer is None or self.trainer.state in ENDS:
            self._attach((self.make_trainer or self._make_own)())
        trainer = self.trainer
        if trainer is not None:
            go(trainer)

    def _hold_back(self) -> None:
        if self.trainer is not None:
            self.trainer.pace = self.pace if self.slow else None

    def _make_own(self) -> Trainer:
        assert self.data is not None
        return own_training.make(self.data, self.schedule, self.total_steps, self.seed)

    def _begin_anew(self) -> None:
        """Another seed, another training, when Run is pressed: of those that the scene makes itself, and nobody else."""
        if self.own and self.make_trainer is None and not self._is_part:
            self.compute("exact", "anew", self._anew)

    def _anew(self) -> None:
        if self.trainer is not None:
            self.detach()
        assert self.data is not None
        prediction, floor = own_training.what(self.data, self.schedule)
        self.publish(prediction=prediction)
        if not self._floor_given:
            self.publish(floor=floor and floor.value, floor_error=floor and floor.error)

    # -- what is shown -----------------------------------------------------------------------------------------------------

    def _look_for_floor(self, trainer: Trainer) -> None:
        def job() -> None:
            from ..training.known_floor import known_floor

            found = known_floor(trainer)
            if found is not None and trainer is self.trainer:
                self.publish(floor=found.value, floor_error=found.error)

        self._floor_of = trainer.denoiser.schedule
        if not self._floor_given:
            self.publish(floor=None, floor_error=None)
            self.compute("exact", "floor", job)

    def look(self, trainer: Trainer) -> None:
        """Show the trainer as it is now."""
        with self.shown("look"):
            if not self.own and trainer.denoiser.schedule != self._floor_of:
                self._look_for_floor(trainer)  # it goes on under another one
            self._look(trainer)
            self.on_look()

    def _look(self, trainer: Trainer) -> None:
        curve = trainer.curve()
        looked: dict[str, Any] = {
            "state": trainer.state,
            "step": trainer.step,
            "steps_per_second": trainer.steps_per_second,
            "loss": float(curve[-SMOOTH:, 1].mean()) if len(curve) else None,
            "curve": curve,
        }
        if not self.own or self.make_trainer is not None:
            looked["total_steps"] = trainer.total_steps
        self.publish(**looked)
        if trainer.error:
            self.show_error("training", trainer.error)

    def numbers(self) -> dict[str, float]:
        """step, total_steps, steps_per_second, loss (running mean), floor and excess with their errors; those known so far."""
        base = super().numbers()
        if self.trainer is not None:
            self._look(self.trainer)
            self.settle()
        names = ("step", "total_steps", "steps_per_second", "loss", "floor", "floor_error")
        found = base | {n: float(getattr(self, n)) for n in names if getattr(self, n) is not None}
        error = None if self.curve is None else loss_error(self.curve[:, 1])
        if error is not None:
            found["loss_error"] = error
        if {"loss", "floor"} <= found.keys():
            found["excess"] = found["loss"] - found["floor"]
            if error is not None and "floor_error" in found:
                found["excess_error"] = math.hypot(error, found["floor_error"])
        return found


def loss_error(losses: np.ndarray) -> float | None:
    """The standard error of the mean of the last `SMOOTH` points, from differences of neighbours in the second half of the
    curve, so that a falling one does not count as noise; None for fewer than four points."""
    if len(losses) < 4:
        return None
    variance = np.square(np.diff(losses[len(losses) // 2 :].astype(float))).mean() / 2
    return float(np.sqrt(variance / min(SMOOTH, len(losses))))


def _watch(monitor: weakref.ref[TrainingMonitor], trainer: weakref.ref[Trainer]) -> None:
    """Look at the trainer until it has ended, another one takes its place, or nobody holds the scene any more."""
    seen: tuple[Any, ...] | None = None
    while True:
        scene, watched = monitor(), trainer()
        if scene is None or watched is None or scene.trainer is not watched:
            return
        now = (watched.state, watched.step, watched.denoiser.schedule)  # under another one the curve begins anew
        if now != seen:
            scene.look(watched)
            seen = now
        if now[0] in ENDS:
            return
        del scene, watched  # while asleep this thread keeps nothing alive
        time.sleep(LOOK)
