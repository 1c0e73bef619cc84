"""The Lab's training: what it trains, under which schedule, and when the scenes measure the network."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from . import own_training
from .choices import schedule_of
from .following import ENDS, Turn

if TYPE_CHECKING:
    from ..denoisers import NetworkDenoiser
    from ..training import Trainer
    from .lab import Lab

STEPS = {"points": 20_000, "images": 2_000}  # a minute or so on one core


class LabTraining:
    """Between the Lab's monitor, which has the trainer, and the scenes that measure its network."""

    def __init__(self, lab: Lab, steps: int | None) -> None:
        self._lab = weakref.proxy(lab)
        self._turn = Turn()
        self.steps = steps

    def connect(self) -> None:
        """Once the Lab's scenes are there."""
        self._lab.monitor.make_trainer = self._make_trainer
        self._lab.monitor.on_look = self._look
        self._lab.bits.on_optimal = lambda: self._lab.compute("learned", "numbers", self._measure)

    @property
    def step(self) -> int:
        """How far the network is trained; 0 if there is none."""
        trainer = self._lab.monitor.trainer
        return 0 if trainer is None else int(trainer.step)

    def denoiser(self) -> NetworkDenoiser | None:
        """A copy of the trained network as it is now, under the schedule as it is now."""
        if not self.step:
            return None
        denoiser = self._lab.monitor.trainer.snapshot()
        denoiser.schedule = schedule_of(self._lab.desk.schedule)
        return denoiser  # type: ignore[no-any-return]

    def forget(self) -> None:
        """The data changed: no network is known, and the floor is another."""
        self._lab.monitor.publish(floor=None, floor_error=None)
        self.measure_floor()

    def reschedule(self) -> None:
        """The schedule changed: the floor is another, and the network is asked under the new one."""
        self.measure_floor()
        self._lab.compute("learned", "reschedule", self._reschedule)

    # -- what is exact -----------------------------------------------------------------------------------------------------

    def measure_floor(self) -> None:
        """The floor of the loss that is trained, in the background."""
        self._lab.compute("exact", "numbers", self._measure_floor)

    def _measure_floor(self) -> None:
        lab = self._lab
        trainer = lab.monitor.trainer
        known = None if trainer is None else trainer.denoiser.prediction
        prediction, floor = own_training.what(lab.data, lab.desk.schedule, known)
        lab.monitor.publish(floor=floor and floor.value, floor_error=floor and floor.error, prediction=prediction)
        lab.floor.publish(prediction=prediction)

    # -- what is learned ---------------------------------------------------------------------------------------------------

    def _make_trainer(self) -> Trainer:
        lab = self._lab
        lab.clear_error(("learned", "reschedule"))  # it asked for just this
        lab.monitor.trainer = None  # one that ended goes: the new one may predict something else
        self.measure_floor()
        steps = self.steps or STEPS["images" if lab.data.is_image else "points"]
        return own_training.make(lab.data, lab.desk.schedule, steps, lab.seed)

    def _reschedule(self) -> None:
        """The network goes on under the new schedule: as a function of x_t / alpha and log-SNR it is asked the same.

        But for v = alpha eps - sigma x_0, whose size changes when alpha^2 + sigma^2 does.
        """
        lab = self._lab
        trainer, schedule = lab.monitor.trainer, schedule_of(lab.desk.schedule)
        if trainer is None:
            return
        if (
            trainer.denoiser.prediction == "v"
            and trainer.denoiser.schedule.variance_preserving != schedule.variance_preserving
        ):
            lab.monitor.detach()
            for scene in (lab.bits, lab.floor, lab.score):
                scene.forget()
            raise ValueError("The network predicts v under a schedule of another kind: train it again under this one.")
        trainer.reschedule(schedule)
        if trainer.state in (*ENDS, "paused"):
            lab.monitor.look(trainer)  # which measures; not watched, its old losses would stay under a floor not theirs
        else:
            self._measure()

    def _look(self) -> None:
        """Called at every look at the trainer: now and then, measure the network against the oracle."""
        trainer = self._lab.monitor.trainer
        if trainer is None or not self.step or not self._turn.due(trainer.state in (*ENDS, "paused")):
            return
        self._turn.begun()  # not due again at once: the job waits for its lane
        self._lab.compute("learned", "numbers", self._measure)

    def _measure(self) -> None:
        denoiser = self.denoiser()
        if denoiser is None:
            return
        lab = self._lab
        rests = lab.monitor.trainer.state in (*ENDS, "paused")
        with self._turn:
            for scene, options in ((lab.bits, {}), (lab.floor, {}), (lab.score, {"full": rests})):
                with scene.shown(("learned", "numbers")):
                    scene.measure(denoiser, **options)
