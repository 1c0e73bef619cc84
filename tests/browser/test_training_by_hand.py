"""The loss at each noise level over its floor, live; and the hands on a training: step, slow, run, a reload, a second view."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, scene, shown_t
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import LossFloor

Shoot = Callable[[str], Path]

SETUP = """
from difflab import LossFloor, TrainingMonitor

monitor = TrainingMonitor("ring", total_steps=1_000_000)
monitor"""
FLOOR = """
floor = LossFloor("ring")
floor"""
FOLLOW = "floor.follow(monitor.trainer)"
AGAIN = "monitor"


def steps_of(panel: Locator) -> int:
    """The step in the monitor's chip; 0 while there is none."""
    found = re.search(r"step ([\d,]+)", panel.locator(".difflab-chip").first.inner_text())
    return int(found[1].replace(",", "")) if found else 0


@pytest.mark.parametrize("theme", ["light"])
def test_a_training_is_led_by_hand_and_seen_at_every_level(page: Page, jupyterlab: Server, shoot: Shoot) -> None:
    notebook = Notebook(page, jupyterlab).open(SETUP, FLOOR, FOLLOW, AGAIN)
    notebook.run(0)
    monitor = scene(page, "Loss over its floor")
    expect(monitor.locator(".difflab-floor")).to_contain_text("exact floor 0.32", timeout=60_000)  # torch is imported
    expect(monitor).to_contain_text("Predict first")

    # step by step, by hand and by keyboard; then slowly
    monitor.get_by_role("button", name="Step", exact=True).click()
    wait_for(lambda: steps_of(monitor) == 1, "Step does no step")
    expect(monitor.locator(".difflab-chip").first).to_contain_text("paused")
    monitor.get_by_role("img").first.focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: steps_of(monitor) == 2, "the arrow does no step")
    slow = monitor.get_by_role("button", name="Slow", exact=True)
    slow.click()
    expect(slow).to_have_attribute("aria-pressed", "true")
    wait_for(lambda: notebook.value("monitor.trainer.pace") == 5.0, "the training is not held back")
    page.keyboard.press("Tab")
    monitor.get_by_role("img").first.focus()
    page.keyboard.press(" ")
    wait_for(lambda: steps_of(monitor) >= 4, "space does not run it")
    assert notebook.value("monitor.trainer.step") < 100
    slow.click()
    wait_for(lambda: steps_of(monitor) > 150, "it stays slow")

    # every noise level, live
    notebook.run(1)
    notebook.run(2)
    levels = scene(page, "Loss by noise level")
    expect(levels).to_contain_text(re.compile(r"[\d.]+ ± [\d.]+ % of (it|the loss) is the floor"), timeout=30_000)
    learned = levels.locator(".difflab-readout b").nth(1)
    before = learned.inner_text()
    wait_for(lambda: learned.inner_text() != before, "the learned loss does not move")
    assert not blank(levels.locator("canvas").nth(1))
    time = shown_t(levels)
    levels.get_by_role("img").first.focus()
    page.keyboard.press("ArrowRight")
    wait_for(lambda: shown_t(levels) > time, "the arrow does not scrub")
    levels.scroll_into_view_if_needed()
    shoot("loss-by-level")

    # a second view of the same monitor follows, and leads
    notebook.run(3)
    views = page.get_by_role("region", name="Loss over its floor", exact=True)
    expect(views).to_have_count(2)
    second = views.nth(1)
    second.scroll_into_view_if_needed()
    second.get_by_role("button", name="Pause", exact=True).click()
    expect(second.locator(".difflab-chip").first).to_contain_text("paused")
    wait_for(lambda: notebook.value("monitor.state") == "paused", "the second view does not pause")
    step = notebook.value("monitor.trainer.step")
    assert steps_of(second) == step
    second.get_by_role("button", name="Excess", exact=True).click()
    wait_for(lambda: notebook.value("monitor.view") == "excess", "Python does not hear of the axis")
    shoot("training-by-hand")

    # a reload of the page: the training stands where it stood, no step is lost, and the hands are back
    page.evaluate("jupyterapp.shell.currentWidget.context.save()")
    page.reload()
    page.locator(".jp-Notebook").wait_for()
    monitor = scene(page, "Loss over its floor")
    wait_for(lambda: steps_of(monitor) == step, "the reloaded page shows another step")
    monitor.get_by_role("button", name="Resume", exact=True).click()
    wait_for(lambda: steps_of(monitor) > step, "the reloaded page does not go on")
    monitor.get_by_role("button", name="Stop", exact=True).click()
    expect(monitor.locator(".difflab-chip").first).to_contain_text("stopped")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a network that is off by a little."""
    import torch

    from difflab.denoisers import NetworkDenoiser
    from difflab.schedules import VPCosine

    floor = LossFloor("ring")
    floor.settle()
    denoiser = NetworkDenoiser.for_data(floor.data, VPCosine(), "eps", width=16)
    torch.nn.init.normal_(denoiser.network.last.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    floor.measure(denoiser)
    return floor.save_html(tmp_path_factory.mktemp("page") / "floor.html")


@pytest.fixture
def file_page(browser: Browser, saved: Path):
    page = browser.new_page(viewport={"width": 900, "height": 700})
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(saved.as_uri())
    yield page
    page.close()
    assert not trouble


def test_the_saved_page_switches_faces_weightings_and_axes(file_page: Page) -> None:
    panel = scene(file_page, "Loss by noise level")
    floor = panel.locator(".difflab-readout b").first
    chart = panel.get_by_role("img").first
    said = [floor.inner_text()]
    for name in ("x₀", "v", "score"):
        panel.get_by_role("button", name=name, exact=True).click()
        wait_for(lambda: floor.inner_text() != said[-1], f"{name} shows the same floor")
        said.append(floor.inner_text())
    assert len(set(said)) == 4
    expect(chart).to_have_attribute("aria-label", re.compile("^mean squared error of the score: the exact floor is"))
    panel.get_by_label("weighting of the levels").select_option("elbo")
    expect(chart).to_have_attribute("aria-label", re.compile("^nats per dimension and unit of t"))
    expect(panel.get_by_role("button", name="eps", exact=True)).to_be_disabled()
    panel.get_by_role("button", name="log-SNR", exact=True).click()
    expect(chart).to_have_attribute("aria-label", re.compile("highest at log-SNR"))
    # the clock is where it was, on the other axis, and is scrubbed there
    place = panel.locator(".difflab-clock-line").first
    wait_for(lambda: 0 < place.evaluate("e => parseFloat(e.style.left)") < 100, "the clock is beside the axis")
    time = shown_t(panel)
    box = chart.bounding_box()
    assert box
    file_page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    wait_for(lambda: shown_t(panel) != time, "a click on the other axis does not scrub")


def test_it_can_be_read_on_a_phone(file_page: Page) -> None:
    file_page.set_viewport_size({"width": 400, "height": 760})
    panel = scene(file_page, "Loss by noise level")
    wait_for(lambda: panel.evaluate("e => e.getBoundingClientRect().width") <= 400, "it does not shrink")
    assert panel.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    before = picture(panel)
    panel.get_by_role("button", name="More").click()
    panel.get_by_role("button", name="Standard errors").click()
    wait_for(lambda: picture(panel) != before, "without errors it looks the same")
