"""What a person sees in a notebook when a training is interrupted, its kernel restarted, or a scene raises beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import IMPORTS, KERNEL, READY, Notebook, scene
from playwright.sync_api import Page

SETUP = f"""import torch._dynamo
{IMPORTS}
from difflab.training import fit
ring = GaussianMixture.ring(8)
denoiser = NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0, width=16)
options = dict(steps=10**7, batch=16, device="cpu", folder="run")"""


@pytest.fixture
def notebook(page: Page, jupyterlab: Server) -> Notebook:
    return Notebook(page, jupyterlab)


def test_an_interrupted_cell_shows_one_sentence(
    page: Page, notebook: Notebook, shoot: Callable[[str], Path], jupyterlab: Server
) -> None:
    notebook.open(SETUP, "fit(denoiser, ring, **options)", "trainer = Trainer(denoiser, ring, resume=True, **options)")
    notebook.run(0)
    notebook.run(1)
    bar = notebook.output(1).get_by_text(re.compile(r"step/s"))
    bar.first.wait_for()
    page.wait_for_timeout(1000)
    page.evaluate(f"() => {KERNEL}.interrupt()")
    wait_for(lambda: not notebook.is_running(1), "the interrupted cell did not end")
    outputs = notebook.output(1).locator(".jp-OutputArea-output")
    wait_for(lambda: outputs.count() == 2, "there should be the bar and a sentence")
    error = outputs.nth(1)
    assert re.fullmatch(
        r"Training was interrupted after step \d+ of 10000000: \S*/run/checkpoint\.safetensors holds it,"
        r" and the same call with resume=True goes on from there\.",
        error.inner_text().strip(),
    ), error.inner_text()
    shoot("interrupted-fit")
    # a restart of the kernel: what trains in the background is written down first
    notebook.run(2)
    wait_for(lambda: not notebook.is_running(2), "the trainer was not made")
    first = notebook.value("trainer.start() or trainer.step")
    wait_for(lambda: notebook.value("trainer.step") > first + 100, "it does not train")
    step = notebook.value("trainer.step")
    page.evaluate("() => jupyterapp.shell.currentWidget.context.sessionContext.restartKernel()")
    wait_for(lambda: page.evaluate(READY), "the kernel did not come back")
    notebook.run(0)
    notebook.run(2)
    wait_for(lambda: not notebook.is_running(2) and notebook.value("'trainer' in globals()"), "it does not go on")
    assert notebook.value("trainer.step") >= step
    notebook.value("trainer.stop()")


def test_a_scene_that_raises_is_red_and_the_training_goes_on(
    page: Page, notebook: Notebook, shoot: Callable[[str], Path]
) -> None:
    broken = """def fails():
    raise RuntimeError("this scene is broken")
trainer = Trainer(denoiser, ring, **options | dict(folder=None))
monitor = TrainingMonitor(trainer)
monitor.on_look = fails
monitor"""
    notebook.open(SETUP, broken)
    notebook.run_all()
    notebook.value("trainer.start()")
    panel = scene(page, "Loss over its floor")
    panel.get_by_text("this scene is broken").wait_for()
    shoot("broken-scene")
    step = notebook.value("trainer.step")
    wait_for(lambda: notebook.value("trainer.step") > step + 100, "the training stopped with the scene")
    assert notebook.value("[trainer.state, trainer.error]") == ["running", ""]
    notebook.value("trainer.stop()")
