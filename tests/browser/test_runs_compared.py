"""Several trainings of one notebook on one chart, while they run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, scene
from playwright.sync_api import Page, expect

Shoot = Callable[[str], Path]

SETUP = """
import torch
from difflab import RunComparison
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer

ring = GaussianMixture.ring(8)


def begin(name, steps, **options):
    denoiser = NetworkDenoiser.for_data(ring, VPCosine(), "eps", width=64)
    trainer = Trainer(denoiser, ring, steps=steps, name=name, batch=128, generator=torch.Generator().manual_seed(0), **options)
    trainer.start()
    return trainer


comparison = RunComparison()
comparison
"""
TRAININGS = """
trainers = [begin("slow and steady", 200_000, lr=1e-4), begin("a <b>bold</b> name", 200_000, lr=5e-3)]
"""
BROKEN = """
trainers.append(begin("broken", 200, on_step=lambda state: 1 / 0 if state.step == 150 else None))
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_trainings_that_begin_later_appear_and_are_told_apart(
    page: Page, jupyterlab: Server, shoot: Shoot, theme: str
) -> None:
    notebook = Notebook(page, jupyterlab).open(SETUP, TRAININGS, BROKEN)
    notebook.run_all()
    panel = scene(page, "Losses of several runs")
    rows = panel.locator("tbody tr")
    expect(rows).to_have_count(3)
    wait_for(lambda: not blank(panel.locator("canvas:visible").first), "no curve is drawn")
    expect(rows.nth(2)).to_contain_text("ZeroDivisionError")
    expect(rows.nth(2)).to_contain_text("failed")
    expect(rows.nth(1)).to_contain_text("a <b>bold</b> name")  # a name stays text
    expect(panel.locator("b")).to_have_count(0)
    expect(rows.nth(0)).to_contain_text("running")

    # what is on screen is what Python says, and goes on
    first = int(rows.nth(0).locator("td").nth(2).inner_text().replace(",", ""))
    wait_for(lambda: int(rows.nth(0).locator("td").nth(2).inner_text().replace(",", "")) > first, "steps stand still")
    notebook.value("[trainer.stop() for trainer in trainers]")
    expect(rows.nth(1)).to_contain_text("stopped")
    assert notebook.value("comparison.numbers()['slow and steady.step'] == trainers[0].step")
    steps = notebook.value("trainers[0].step")
    expect(rows.nth(0).locator("td").nth(2)).to_have_text(f"{steps:,}")
    expect(panel.get_by_role("img").first).to_have_attribute("aria-label", re.compile("the lowest is that of"))

    # by hand and by keyboard
    before = picture(panel)
    panel.get_by_role("button", name="linear", exact=True).click()
    wait_for(lambda: picture(panel) != before, "another scale changes nothing")
    wait_for(lambda: notebook.value("comparison.scale") == "linear", "Python does not hear of it")
    name = panel.get_by_role("button", name="slow and steady")
    name.focus()
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-pressed", "false")
    panel.get_by_role("button", name="log", exact=True).click()
    panel.scroll_into_view_if_needed()
    shoot("runs-compared")
    page.set_viewport_size({"width": 520, "height": 900})
    page.wait_for_timeout(300)
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    shoot("runs-compared-narrow")
