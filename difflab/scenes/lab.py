"""The Lab: all scenes on one clock. Choose or draw data, shape the schedule, train, sample, see where the bits go."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..checks import is_whole
from ..data import DataSet, GaussianMixture
from .base import Scene
from .bench_setup import two_modes
from .bundle import parts
from .choices import DATA, check_preset, preset_data
from .data_facts import facts_of, same_data
from .draw_data import DrawData
from .forward_noising import ForwardNoising
from .lab_training import LabTraining
from .langevin_bench import LangevinBench
from .loss_floor import LossFloor
from .mmse_curve import that_differs
from .reverse_trajectories import ReverseTrajectories
from .schedule_desk import ScheduleDesk
from .score_map import ScoreMap
from .training_monitor import TrainingMonitor
from .traits import check_seed
from .where_the_bits_go import WhereTheBitsGo

TABS = ["overview", "data", "noise", "train", "sample", "bits"]
PARTS = ("forward", "desk", "bits", "monitor", "floor", "score", "reverse", "langevin", "draw")
DRAWN = "drawn"  # the preset that is what stands on the Lab's own sheet


class Lab(Scene):
    """Nine scenes linked: `forward`, `desk`, `bits`, `monitor`, `floor`, `score`, `reverse`, `langevin`, `draw`.

    Args:
        preset: name of the data: "ring", "grid", "random", "moons" or "digits"; "drawn" is what the Lab's own sheet holds.
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        seed: of everything random.
        train_steps: how long a training lasts; default 20,000 steps for points, 2,000 for images.
    """

    forward = anywidget.WidgetTrait().tag(sync=True)
    desk = anywidget.WidgetTrait().tag(sync=True)
    bits = anywidget.WidgetTrait().tag(sync=True)
    monitor = anywidget.WidgetTrait().tag(sync=True)
    floor = anywidget.WidgetTrait().tag(sync=True)
    score = anywidget.WidgetTrait().tag(sync=True)
    reverse = anywidget.WidgetTrait().tag(sync=True)
    langevin = anywidget.WidgetTrait().tag(sync=True)
    draw = anywidget.WidgetTrait().tag(sync=True)
    preset = traitlets.Unicode("ring").tag(sync=True)
    presets = traitlets.List([{"name": k, "label": v} for k, v in (DATA | {DRAWN: "my drawing"}).items()]).tag(
        sync=True
    )
    tab = traitlets.Enum(TABS, "overview").tag(sync=True)
    facts = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: something new stands on the sheet, and using it would cost the network
    drawing_waits = traitlets.Bool(False).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "preset", "tab")
    controls = ("time", "seed", "preset", "save", "train", "tour", "use")

    def __init__(
        self,
        preset: str = "ring",
        schedule: Any = None,
        steps: int = 1000,
        *,
        seed: int = 0,
        train_steps: int | None = None,
        **traits: Any,
    ) -> None:
        check_seed(seed)
        if train_steps is not None and not is_whole(train_steps, 1):
            raise ValueError(f"train_steps must be a whole number of at least 1, but got {train_steps!r}.")
        data = preset_data("ring" if preset == DRAWN else preset)
        self.training = LabTraining(self, train_steps)
        self._applying = False
        self._brought: DataSet | None = None  # the drawing of a preset, which is no new one
        with parts():
            scenes: dict[str, Scene] = {
                "forward": ForwardNoising(data, schedule, seed=seed),
                "desk": ScheduleDesk(schedule, steps, data, seed=seed),
                "bits": WhereTheBitsGo(data, schedule, steps, seed=seed),
                "monitor": TrainingMonitor(seed=seed),
                "floor": LossFloor(data, schedule, seed=seed),
                "score": ScoreMap(data, schedule, seed=seed),
                "reverse": ReverseTrajectories(data, schedule, self.training.denoiser, seed=seed),
                "langevin": LangevinBench(data if walkable(data) else None, seed=seed),
                "draw": DrawData(None if data.is_image else data, seed=seed),
            }
        super().__init__(preset=preset, seed=seed, facts=facts_of(data), **scenes, **traits)
        self.training.connect()
        self.draw.on_data(self._drawn)
        for scene in self.children_scenes().values():
            # there is one clock: it crosses once, as the Lab's
            scene.keys = [name for name in scene.keys if name != "t"]
            traitlets.dlink((self, "t"), (scene, "t"))
        self.desk.observe(lambda _: self._reshape(), ["schedule", "steps"])
        self.observe(self._chosen, ["preset", "seed"])
        self.training.measure_floor()

    @traitlets.validate("preset")
    def _known_preset(self, proposal: dict[str, Any]) -> str:
        try:
            return self._checked(proposal["value"])
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None

    @staticmethod
    def _checked(preset: str) -> str:
        if preset != DRAWN:
            check_preset(preset)
        return preset

    def children_scenes(self) -> dict[str, Scene]:
        return {name: getattr(self, name) for name in PARTS}

    @property
    def data(self) -> DataSet:
        return self.forward.data  # type: ignore[no-any-return]

    @property
    def train_steps(self) -> int | None:
        """How long a training lasts that is started from now on; None for the default."""
        return self.training.steps

    @train_steps.setter
    def train_steps(self, steps: int | None) -> None:
        self.training.steps = steps

    def _data_told(self) -> None:
        """The preset's name tells the data; a drawing is part of `draw`."""

    def apply(self, preset: dict[str, Any]) -> None:
        self._applying = True
        try:
            super().apply(preset)
        finally:
            self._applying = False

    def _apply_children(self, preset: dict[str, Any]) -> None:
        """The data first: choosing it sets knobs to what it suggests, and a preset may have others."""
        drawing = {"draw": preset["draw"]} if "draw" in preset else {}
        if self.preset == DRAWN:
            super()._apply_children(drawing)
        with self.shown("user"):  # a sheet may be empty by now
            self._choose(self.preset)
        super()._apply_children(preset)
        with suppress(ValueError):
            self._brought = self.draw.data

    # -- what one can do -------------------------------------------------------------------------------------------------

    def choose(self, preset: str) -> None:
        """Change the data (or, with the same name, draw it anew with the current seed). A training under way is stopped."""
        self._checked(preset)
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
        return ("preset", "save_page", "use_drawing")

    def on_preset(self, name: str) -> None:
        self._checked(name)  # an unknown name ends here
        self.publish(preset=name)

    def on_use_drawing(self) -> None:
        self.choose(DRAWN) if self.preset == DRAWN else self.publish(preset=DRAWN)

    def on_save_page(self) -> None:
        self.compute("learned", "page", self._save_page)

    def _save_page(self) -> None:
        path = self.write_html(Path("difflab-lab.html"))
        self.publish(status=f"saved {path}")

    # -- links between the scenes ------------------------------------------------------------------------------------------

    def _chosen(self, _change: Any) -> None:
        if not self._applying:
            self.choose(self.preset)

    def _choose(self, preset: str) -> None:
        # a bad one ends here, with nothing lost
        data = that_differs(self.draw.data) if preset == DRAWN else preset_data(preset)
        self.monitor.detach()
        for scene in (self.forward, self.reverse, self.bits, self.floor, self.score):
            scene.show(data, self.seed)
        self.desk.show(data)
        self.langevin.show(
            data if walkable(data) else two_modes()
        )  # an example of its own rather than modes that are gone
        if preset != DRAWN and data.shape == (2,):
            self.draw.show(data)
        for scene in (self.desk, self.monitor, self.langevin, self.draw):
            scene.publish(seed=self.seed)
        self.publish(facts=facts_of(data), drawing_waits=False)
        self.training.forget()

    def _drawn(self, data: DataSet) -> None:
        """Something new stands on the sheet: the Lab takes it, unless that would cost a network."""
        if self._applying or data is self._brought or same_data(data, self.data):
            return
        if self.training.step:
            self.publish(drawing_waits=True, status="using the drawing would put the trained network away")
        elif self.preset == DRAWN:
            self.choose(DRAWN)
        else:
            self.publish(preset=DRAWN)

    def _reshape(self) -> None:
        """The desk has a new schedule: everything exact is computed again, and the network is asked under the new one."""
        schedule = self.desk.schedule
        for scene in (self.forward, self.reverse, self.floor, self.score):
            scene.publish(schedule=schedule)
        self.bits.publish(schedule=schedule, steps=self.desk.steps)
        self.training.reschedule()

    def numbers(self) -> dict[str, float]:
        """The numbers of all its scenes, as "scene.name", and the Lab's own t and seed."""
        own = super().numbers()
        return own | {f"{name}.{k}": v for name, s in self.children_scenes().items() for k, v in s.numbers().items()}


def walkable(data: DataSet) -> bool:
    """Whether Langevin's bench can walk on the data: it wants modes in the plane."""
    return isinstance(data, GaussianMixture) and data.shape == (2,)


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
