"""The pages that `save_html` writes, of every scene in a state worth looking at, opened from disk with no way to a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from live import wait_for
from notebook import blank
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Route, expect

from difflab import (
    DrawData,
    ForwardNoising,
    Lab,
    LangevinBench,
    LossFloor,
    ReverseTrajectories,
    RunComparison,
    ScheduleDesk,
    ScoreMap,
    TrainingMonitor,
    WhereTheBitsGo,
)
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.scenes.base import Scene
from difflab.scenes.following import Measuring
from difflab.schedules import VPCosine
from difflab.training import Trainer

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 420, "height": 800}


def monitor() -> TrainingMonitor:
    ring = GaussianMixture.ring(8)
    trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0), ring, steps=200)
    scene = TrainingMonitor(trainer, floor=0.3222, floor_error=0.0017)
    trainer.start()
    trainer.wait(60)
    scene.numbers()
    return scene


def compared() -> RunComparison:
    ring = GaussianMixture.ring(8)
    runs = []
    for lr in (1e-4, 1e-3, 1e-2):
        denoiser = NetworkDenoiser.for_data(ring, VPCosine(), "eps", width=32, seed=0)
        runs.append(Trainer(denoiser, ring, steps=300, batch=64, lr=lr, name=f"lr {lr:g}"))
        runs[-1].start()
        runs[-1].wait(60)
    return RunComparison(runs)


def measured(scene: Measuring) -> Measuring:
    """The scene with the numbers of a network that learned a little."""
    scene.settle()
    ring = GaussianMixture.ring(8)
    denoiser = NetworkDenoiser.for_data(ring, VPCosine(), "eps", width=32, seed=0)
    trainer = Trainer(denoiser, ring, steps=100)
    trainer.start()
    trainer.wait(60)
    scene.measure(trainer.snapshot())
    return scene


def sampled(data: str) -> ReverseTrajectories:
    scene = ReverseTrajectories(data, steps=20)
    scene.sample()
    return scene


def bench() -> LangevinBench:
    scene = LangevinBench(n=300, calls=200)
    scene.sample()
    return scene


def lab(preset: str) -> Lab:
    scene = Lab(preset, train_steps=300 if preset == "ring" else 15)
    scene.train()
    wait_for(lambda: scene.monitor.state == "finished", f"{preset} is not trained")
    scene.sample()
    return scene


SCENES: dict[str, Callable[[], Scene]] = {
    "forward": ForwardNoising,
    "forward-digits": lambda: ForwardNoising("digits"),
    "desk": ScheduleDesk,
    "draw": DrawData,
    "draw-points": lambda: DrawData("smiley"),
    "reverse": lambda: sampled("ring"),
    "reverse-digits": lambda: sampled("digits"),
    "reverse-untouched": ReverseTrajectories,
    "bench": bench,
    "bits": WhereTheBitsGo,
    "monitor": monitor,
    "runs": compared,
    "floor": lambda: measured(LossFloor("ring", "VPCosine")),
    "score": lambda: measured(ScoreMap("ring", "VPCosine")),
    "score-digits": lambda: ScoreMap("digits"),
    "bench-untouched": LangevinBench,
    "lab": lambda: lab("ring"),
    "lab-digits": lambda: lab("digits"),
}


class Pages:
    """The page of a scene, written once: `pages("forward")`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, tuple[Path, type[Scene]]] = {}

    def __call__(self, name: str) -> Path:
        return self._write(name)[0]

    def scene(self, name: str) -> type[Scene]:
        """The class of the scene on that page."""
        return self._write(name)[1]

    def _write(self, name: str) -> tuple[Path, type[Scene]]:
        if name not in self.written:
            scene = SCENES[name]()
            self.written[name] = scene.save_html(self.folder / f"{name}.html"), type(scene)
        return self.written[name]


@contextmanager
def offline(browser: Browser, **options: object) -> Iterator[Page]:
    """A page with no way to the network, on which every error and every request fails the test."""
    context = browser.new_context(**{"viewport": WIDE} | options)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(20_000)
    trouble: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            trouble.append(message.text)

    def gate(route: Route, request: Request) -> None:
        if request.url.startswith("file:"):
            route.continue_()
        else:
            trouble.append(f"asked for {request.url}")
            route.abort()

    page.on("console", note)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    context.route("**/*", gate)
    try:
        yield page
    finally:
        context.close()
    assert not trouble, trouble


def shown(page: Page, file: Path) -> Locator:
    """Open the file; the scene on it, once each of its pictures is drawn."""
    page.goto(file.as_uri())
    root = page.locator("#scene")
    root.locator("canvas:visible").first.wait_for()
    for canvas in root.locator("canvas:visible").all():
        wait_for(lambda c=canvas: not blank(c), "a picture is blank", 10)
    for alert in root.get_by_role("alert").all():
        expect(alert).to_be_hidden()
    return root


def nothing_wider_than_the_window(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
