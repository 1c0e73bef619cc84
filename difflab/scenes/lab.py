"""The Lab: all scenes on one clock. Choose data, shape the schedule, train, sample, see where the bits go."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from ..data import DataSet
from . import loss_at_t
from .base import Scene
from .bundle import parts
from .choices import DATA, check_preset, preset_data, schedule_of
from .data_facts import facts_of
from .forward_noising import ForwardNoising
from .reverse_trajectories import ReverseTrajectories
from .schedule_desk import ScheduleDesk
from .training_monitor import TrainingMonitor
from .where_the_bits_go import WhereTheBitsGo

if TYPE_CHECKING:
    from ..denoisers import NetworkDenoiser
    from ..predictions import Prediction
    from ..schedules import Schedule
    from ..training import Trainer

TABS = ["overview", "data", "noise", "train", "sample", "bits"]
SHARE = 60  # live numbers of the network take at most 1/60 of the time: training keeps the rest
REST = 1.0  # seconds at least between two of them
TRAINING: dict[str, dict[str, Any]] = {  # a minute or so on one core
    "points": {"steps": 20_000},
    # every row with its label: the floor on screen is that of the loss given the class
    "images": {"steps": 2_000, "batch": 128, "label_dropout": 0.0},
}


class Lab(Scene):
    """Five scenes linked: `forward`, `desk`, `bits`, `monitor`, `reverse`.

    Args:
        preset: name of the data: "ring", "grid", "random", "moons" or "digits".
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        seed: of everything random.
        train_steps: how long a training lasts; default 20,000 steps for points, 2,000 for images.
    """

    forward = anywidget.WidgetTrait().tag(sync=True)
    desk = anywidget.WidgetTrait().tag(sync=True)
    bits = anywidget.WidgetTrait().tag(sync=True)
    monitor = anywidget.WidgetTrait().tag(sync=True)
    reverse = anywidget.WidgetTrait().tag(sync=True)
    preset = traitlets.Unicode("ring").tag(sync=True)
    presets = traitlets.List([{"name": k, "label": v} for k, v in DATA.items()]).tag(sync=True)
    tab = traitlets.Enum(TABS, "overview").tag(sync=True)
    profile = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    facts = traitlets.List(traitlets.Dict()).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "preset", "tab")

    def __init__(
        self,
        preset: str = "ring",
        schedule: Any = None,
        steps: int = 1000,
        *,
        seed: int = 0,
        train_steps: int | None = None,
    ) -> None:
        data = preset_data(preset)
        if train_steps is not None and (
            isinstance(train_steps, bool) or not isinstance(train_steps, int) or train_steps < 1
        ):
            raise ValueError(f"train_steps must be a whole number of at least 1, but got {train_steps!r}.")
        self.train_steps = train_steps
        self._learned_at, self._learned_cost = 0.0, 0.0
        self._floor: list[float] = []  # at the profile's times, under _floor_schedule
        self._floor_schedule: dict[str, Any] | None = None
        self._excess: list[float] = []
        with parts():
            forward = ForwardNoising(data, schedule, seed=seed)
            desk = ScheduleDesk(schedule, steps, data, seed=seed)
            scenes = {
                "forward": forward,
                "desk": desk,
                "bits": WhereTheBitsGo(data, schedule, steps, seed=seed),
                "monitor": TrainingMonitor(seed=seed),
                "reverse": ReverseTrajectories(data, schedule, self._denoiser, seed=seed),
            }
        super().__init__(preset=preset, seed=seed, facts=facts_of(data), **scenes)
        self.monitor.make_trainer = self._make_trainer
        self.monitor.on_look = self._refresh_learned
        self.bits.on_optimal = lambda: self.compute("learned", "numbers", self._learned_numbers)
        for scene in self.children_scenes().values():
            # there is one clock: it crosses once, as the Lab's
            scene.keys = [name for name in scene.keys if name != "t"]
            traitlets.dlink((self, "t"), (scene, "t"))
        desk.observe(lambda _: self._reshape(), ["schedule", "steps"])
        self.observe(lambda change: self.choose(change["new"]), "preset")
        self.observe(lambda _: self.choose(self.preset), "seed")
        self.compute("exact", "numbers", self._exact_numbers)

    @traitlets.validate("preset")
    def _known_preset(self, proposal: dict[str, Any]) -> str:
        try:
            check_preset(proposal["value"])
            return str(proposal["value"])
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None

    def children_scenes(self) -> dict[str, Scene]:
        return {name: getattr(self, name) for name in ("forward", "desk", "bits", "monitor", "reverse")}

    @property
    def data(self) -> DataSet:
        return self.forward.data  # type: ignore[no-any-return]

    def _data_told(self) -> None:
        """The preset's name tells the data."""

    # -- what one can do -------------------------------------------------------------------------------------------------

    def choose(self, preset: str) -> None:
        """Change the data (or, with the same name, draw it anew with the current seed). A training under way is stopped."""
        self.compute("exact", "data", lambda: self._choose(preset), status="choosing data")

    def train(self) -> None:
        """Start, or resume, training in the background."""
        self.monitor.on_resume() if self.monitor.state == "paused" else self.monitor.on_start()

    def pause(self) -> None:
        self.monitor.on_pause()

    def sample(self) -> None:
        """Draw samples by the oracle and, if there is one, by the network."""
        self.reverse.sample()

    def requests(self) -> tuple[str, ...]:
        return ("preset", "seed", "save_page")

    def on_preset(self, name: str) -> None:
        check_preset(name)  # an unknown name ends here
        self.publish(preset=name)

    def on_seed(self, seed: int) -> None:
        self.publish(seed=seed)

    def on_save_page(self) -> None:
        self.compute("learned", "page", self._save_page)

    def _save_page(self) -> None:
        path = self.write_html(Path("difflab-lab.html"))
        self.publish(status=f"saved {path}")

    # -- links between the scenes ------------------------------------------------------------------------------------------

    def _choose(self, preset: str) -> None:
        data = preset_data(preset)  # an unknown name ends here, with nothing lost
        self.monitor.detach()
        for scene in (self.forward, self.reverse, self.bits):
            scene.show(data, self.seed)
        self.desk.show(data)
        for scene in (self.desk, self.monitor):
            scene.publish(seed=self.seed)
        self._floor, self._excess = [], []
        self.publish(profile=None, facts=facts_of(data))
        self.monitor.publish(floor=None, floor_error=None)
        self.compute("exact", "numbers", self._exact_numbers)

    def _reshape(self) -> None:
        """The desk has a new schedule: everything exact is computed again, and the network is asked under the new one."""
        schedule = self.desk.schedule
        self.forward.publish(schedule=schedule)
        self.reverse.publish(schedule=schedule)
        self.bits.publish(schedule=schedule, steps=self.desk.steps)  # it measures its exact terms again by itself
        self.compute("exact", "numbers", self._exact_numbers)
        self.compute("learned", "reschedule", self._reschedule)

    def _reschedule(self) -> None:
        """The network goes on under the new schedule: as a function of x_t / alpha and log-SNR it is asked the same.

        But for v = alpha eps - sigma x_0, whose size changes when alpha^2 + sigma^2 does.
        """
        trainer, schedule = self.monitor.trainer, schedule_of(self.desk.schedule)
        if trainer is None:
            return
        if (
            trainer.denoiser.prediction == "v"
            and trainer.denoiser.schedule.variance_preserving != schedule.variance_preserving
        ):
            self.monitor.detach()
            self.bits.forget()
            raise ValueError("The network predicts v under a schedule of another kind: train it again under this one.")
        trainer.reschedule(schedule)

    def _exact_numbers(self) -> None:
        """The floor at each t and in total, of what the network predicts."""
        import torch

        from ..denoisers import ExactDenoiser
        from ..objectives import floor

        spec = self.desk.schedule
        schedule = schedule_of(spec)
        oracle, prediction = ExactDenoiser(self.data, schedule), self._prediction(schedule)
        generator = torch.Generator().manual_seed(self.seed)
        options: dict[str, Any] = {"generator": generator, "conditional": self._conditional}
        at_t = loss_at_t.floor_at_t(oracle, prediction, options)
        total = floor(oracle, prediction, **options)
        self._floor, self._floor_schedule = at_t, spec
        self._publish_profile()
        self.monitor.publish(floor=total.value, floor_error=total.error, prediction=prediction)

    def _publish_profile(self) -> None:
        """Floor and loss at each t. The loss is the floor plus the excess, so that it is never drawn below it."""
        if not self._floor:
            return
        trained = self._excess and self.monitor.trainer is not None
        learned = [f + e for f, e in zip(self._floor, self._excess, strict=True)] if trained else None
        profile = {"t": loss_at_t.times().tolist(), "floor": self._floor, "learned": learned}
        self.publish(profile=profile | {"computed_for": {"schedule": self._floor_schedule}})

    @property
    def _conditional(self) -> bool:
        return self.data.is_image and self.data.classes is not None

    def _prediction(self, schedule: Schedule) -> Prediction:
        """v trains digits best, but its size explodes with the variance; eps is well-behaved everywhere."""
        if self.monitor.trainer is not None:
            return self.monitor.trainer.denoiser.prediction  # type: ignore[no-any-return]
        return "v" if self.data.is_image and schedule.variance_preserving else "eps"

    def _make_trainer(self) -> Trainer:
        import torch

        from ..denoisers import NetworkDenoiser
        from ..training import Trainer

        schedule = schedule_of(self.desk.schedule)
        self.clear_error(("learned", "reschedule"))  # it asked for just this
        self.monitor.trainer = None  # one that ended goes: the new one may predict something else
        prediction = self._prediction(schedule)
        denoiser = NetworkDenoiser.for_data(
            self.data, schedule, prediction, conditional=self._conditional, seed=self.seed
        )
        settings = TRAINING["images" if self.data.is_image else "points"]
        settings = settings | ({"steps": self.train_steps} if self.train_steps else {})
        self.compute("exact", "numbers", self._exact_numbers)
        return Trainer(denoiser, self.data, **settings, generator=torch.Generator().manual_seed(self.seed))

    def _denoiser(self) -> NetworkDenoiser | None:
        """A copy of the trained network as it is now, under the schedule as it is now."""
        trainer = self.monitor.trainer
        if trainer is None or trainer.step == 0:
            return None
        denoiser = trainer.snapshot()
        denoiser.schedule = schedule_of(self.desk.schedule)
        return denoiser  # type: ignore[no-any-return]

    def _refresh_learned(self) -> None:
        """Called at every look at the trainer: now and then, measure the network against the oracle."""
        trainer = self.monitor.trainer
        over = trainer is not None and trainer.state not in ("running", "paused")
        rest = 0.0 if over else max(REST, SHARE * self._learned_cost)
        if trainer is None or trainer.step == 0 or time.monotonic() - self._learned_at < rest:
            return
        self._learned_at = time.monotonic()
        self.compute("learned", "numbers", self._learned_numbers)

    def _learned_numbers(self) -> None:
        from ..denoisers import ExactDenoiser

        start = time.monotonic()
        trainer, data, denoiser = self.monitor.trainer, self.data, self._denoiser()
        if denoiser is None:
            return
        self.bits.measure(denoiser)
        excess = loss_at_t.excess_at_t(denoiser, ExactDenoiser(data, denoiser.schedule), self.seed)
        if data is self.data and trainer is self.monitor.trainer:
            self._excess = excess
            self._publish_profile()
        self._learned_cost = time.monotonic() - start
        self._learned_at = time.monotonic()

    def numbers(self) -> dict[str, float]:
        """The numbers of all five scenes, as "scene.name", and the Lab's own t and seed."""
        own = super().numbers()
        return own | {f"{name}.{k}": v for name, s in self.children_scenes().items() for k, v in s.numbers().items()}


_shown: Scene | None = None


def start() -> Scene:
    """Show the Lab of this kernel, made at the first call: what the JupyterLab tab runs.

    With `difflab lab --preset FILE` it is the scene of that file.
    """
    global _shown
    from IPython.display import display

    from ..commands.lab import VARIABLE
    from .preset import read, scene_from

    if _shown is None:
        path = os.environ.get(VARIABLE)
        _shown = scene_from(read(path)) if path else Lab()
    display(_shown)  # type: ignore[no-untyped-call]
    return _shown
