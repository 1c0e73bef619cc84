"""Scenes in the cells of a notebook: what they show, that other cells do not hold them up, and two views of one scene."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import IMPORTS, KERNEL, MONITOR, SCENES, Notebook, blank, picture, press_until, scene, shown_t
from playwright.sync_api import Locator, Page, expect

Shoot = Callable[[str], Path]
Alike = Callable[[Locator, str], None]

MINUS = "\N{MINUS SIGN}"  # as the scenes write it


@pytest.fixture
def notebook(page: Page, jupyterlab: Server) -> Notebook:
    return Notebook(page, jupyterlab)


def summary(panel: Locator) -> str:
    return str(panel.locator("[role=img]:visible").first.get_attribute("aria-label"))


def steps_shown(panel: Locator) -> int:
    """The training step in the monitor's chip."""
    found = re.search(r"step ([\d,]+)", panel.inner_text())
    return int(found[1].replace(",", "")) if found else 0


def nothing_cut_off(place: Locator) -> None:
    """No part of a scene is wider than the room it has, and no canvas is squeezed."""
    assert place.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    for canvas in place.locator("canvas:visible").all():
        box = canvas.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 100


def is_dark(panel: Locator) -> bool:
    colour = panel.evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 100


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_scene_in_its_cell(page: Page, notebook: Notebook, alike: Alike, theme: str) -> None:
    page.set_viewport_size({"width": 1400, "height": 1300})  # no panel is higher
    notebook.open(IMPORTS, *SCENES.values()).run_all()
    said = {
        "Forward noising": r"Forward noising at t = 0\.35: 20,000 points, alpha 0\.848",
        "Schedule": r"Curves over t of a VPCosine schedule with 1000 steps",
        "Reverse trajectories": r"Reverse trajectories of the exact denoiser at t = 0\.35",
        "Where the bits go": r"the exact denoiser pays .0\.\d+ nats/dim.*no network was trained yet",
        "Loss over its floor": r"No loss yet",
    }
    for title, words in said.items():
        panel = scene(page, title)
        wait_for(lambda p=panel, w=words: re.search(w, summary(p)), f"{title} does not describe itself")
        wait_for(lambda p=panel: not blank(p.locator("canvas:visible").first), f"{title} draws nothing")
        nothing_cut_off(panel)
        assert is_dark(panel) == (theme == "dark")
        expect(panel.get_by_role("alert")).to_be_hidden()
    notebook.value("forward.settle()")  # of all scenes: they share their lanes
    for title in SCENES:
        panel = scene(page, title)
        expect(panel.locator(".difflab-title .difflab-status")).to_have_text("")
        page.mouse.move(0, 0)
        alike(panel, f"notebook-{title.lower().replace(' ', '-')}")

    if theme == "dark":
        return  # what follows has no colours

    # what is on screen is what Python says
    forward, desk, reverse = (scene(page, t) for t in ("Forward noising", "Schedule", "Reverse trajectories"))
    expect(desk).to_contain_text("✓ reaches noise")
    assert notebook.value("desk.numbers()['reaches_noise']") == 1
    numbers = notebook.value("reverse.numbers()")
    expect(reverse).to_contain_text(re.compile(r"energy distance, exact.?\d"))
    seen = re.search(rf"energy distance, exact({MINUS}?\d\.(\d+)) ± \d", reverse.inner_text().replace("\n", ""))
    assert seen, reverse.inner_text()
    value = numbers["energy_distance_exact"]  # shown with as many digits as its error leaves it
    assert float(seen[1].replace(MINUS, "-")) == pytest.approx(value, abs=0.51 * 10 ** -len(seen[2]))
    totals = notebook.value("bits.numbers()")
    expect(scene(page, "Where the bits go")).to_contain_text(f"entropy {MINUS}{-totals['entropy']:.3f}")

    # keyboard: arrows scrub, space plays, and the kernel's clock follows; the notebook's own keys stay away
    for panel, name in ((forward, "forward"), (reverse, "reverse")):
        panel.scroll_into_view_if_needed()
        press_until(page, panel, "ArrowRight", "an arrow does not scrub")
        assert shown_t(panel) == pytest.approx(0.36)
        wait_for(lambda n=name: notebook.value(f"{n}.t") == pytest.approx(0.36), "Python's clock does not follow")
        press_until(page, panel, "Space", "space does not play")
        playing = panel.get_by_role("button", name="Pause", exact=True)
        expect(playing).to_be_visible()
        page.keyboard.press("Space")
        expect(playing).to_be_hidden()
        press_until(page, panel, "Home", "Home does not jump")
        assert shown_t(panel) == 0

    # there is no network here: nothing under way may be called learned
    notebook.value("setattr(reverse, 'steps', 250)")
    reverse.get_by_role("button", name="Sample", exact=True).click()
    under_way: set[str] = set()

    def ended() -> bool:
        under_way.add(reverse.inner_text())
        return bool(notebook.value("reverse.evaluations == 250 and not reverse.status"))

    wait_for(ended, "sampling did not end")
    assert any("sampling, exact" in words for words in under_way)
    assert not any("learned" in words for words in under_way)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_lab_in_a_cell(page: Page, notebook: Notebook, shoot: Shoot, theme: str) -> None:
    page.set_viewport_size({"width": 1110, "height": 1000})
    notebook.open("from difflab import Lab\nlab = Lab(train_steps=20_000)\nlab").run_all()
    lab = page.locator(".difflab-lab")
    lab.scroll_into_view_if_needed()
    box = lab.bounding_box()
    assert box
    assert 840 < box["width"] < 940
    for title in ("Forward noising", "Schedule", "Where the bits go", "Loss over its floor", "Score map"):
        panel = scene(page, title)
        wait_for(lambda p=panel: not blank(p.locator("canvas:visible").first), f"{title} draws nothing")
    expect(lab).to_contain_text("entropy")
    assert lab.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    assert is_dark(scene(page, "Schedule")) == (theme == "dark")
    if theme == "dark":
        shoot("notebook-lab")
        return
    lab.get_by_role("button", name="Train", exact=True).click()
    wait_for(lambda: notebook.value("lab.bits.learned is not None"), "no learned bars")
    lab.get_by_role("button", name="Pause", exact=True).first.click()
    lab.get_by_role("tab", name="Sample", exact=True).click()
    reverse = scene(page, "Reverse trajectories")
    reverse.get_by_role("button", name="Sample", exact=True).click()
    wait_for(lambda: notebook.value("lab.reverse.quality is not None"), "nothing was sampled")
    expect(reverse).to_contain_text("learned")
    lab.get_by_role("tab", name="Overview", exact=True).click()
    lab.evaluate("e => e.scrollIntoView({ block: 'start' })")
    shoot("notebook-lab-top")
    lab.evaluate("e => e.scrollIntoView({ block: 'end' })")
    shoot("notebook-lab-bottom")
    before = shown_t(lab)
    forward = scene(page, "Forward noising")
    forward.locator(".difflab-title").click()  # a click anywhere gives the Lab the keys
    old = picture(forward)
    page.keyboard.press("ArrowRight")
    wait_for(lambda: picture(forward) != old, "an arrow does not scrub")
    assert shown_t(lab) == pytest.approx(before + 0.01)


SLEEP, COMPUTE = "import time; time.sleep(600)", "while True:\n    sum(range(1000))"


def test_a_busy_cell_stops_neither_training_nor_sliders(page: Page, notebook: Notebook) -> None:
    notebook.open(IMPORTS, MONITOR, SCENES["Schedule"], SLEEP, COMPUTE)
    for index in range(3):
        notebook.run(index)
    monitor, desk = scene(page, "Loss over its floor"), scene(page, "Schedule")
    expect(desk).to_contain_text("✓ reaches noise")
    desk.get_by_label("formula of the schedule").select_option(label="sigmoid beta")  # it has no formula in the browser
    expect(desk.get_by_label("beta max")).to_be_visible()
    expect(desk).to_contain_text("✓ reaches noise")
    monitor.get_by_role("button", name="Run", exact=True).click()
    wait_for(lambda: steps_shown(monitor) > 0, "training did not begin")
    for busy, key, verdict in ((3, "Home", "x_T is not noise yet"), (4, "End", "✓ reaches noise")):
        notebook.run(busy)
        wait_for(lambda i=busy: notebook.is_running(i), "the cell does not run")
        seen = steps_shown(monitor)
        wait_for(lambda n=seen: steps_shown(monitor) > n + 20, "training waits for the cell")
        # the verdict is that of Python's table: the slider's value went there, and its answer came back
        desk.get_by_label("beta max").focus()
        page.keyboard.press(key)
        expect(desk).to_contain_text(verdict)
        assert notebook.is_running(busy)
        # an interrupt is for the cell
        page.evaluate(f"{KERNEL}.interrupt()")
        expect(notebook.output(busy)).to_contain_text("KeyboardInterrupt")
        seen = steps_shown(monitor)
        wait_for(lambda n=seen: steps_shown(monitor) > n + 20, "the interrupt stopped the training")
    monitor.get_by_role("button", name="Pause", exact=True).click()
    wait_for(lambda: notebook.value("trainer.state") == "paused", "the button does nothing any more")


def test_two_views_of_one_scene_stay_in_step(page: Page, notebook: Notebook) -> None:
    notebook.open(IMPORTS + SCENES["Forward noising"], "forward", SCENES["Schedule"], "desk").run_all()
    first, second = (notebook.output(i).get_by_role("region", name="Forward noising") for i in (0, 1))
    first.scroll_into_view_if_needed()
    first.locator("canvas").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    wait_for(lambda: shown_t(second) == pytest.approx(0.45), "the second view does not follow the first")
    second.scroll_into_view_if_needed()
    second.locator("canvas").first.focus()
    page.keyboard.press("End")
    wait_for(lambda: shown_t(first) == 1, "the first view does not follow the second")
    wait_for(lambda: notebook.value("forward.t") == 1, "Python follows neither")
    notebook.value("setattr(forward, 't', 0.25)")
    wait_for(lambda: shown_t(first) == shown_t(second) == 0.25, "the views do not follow Python")
    first, second = (notebook.output(i).get_by_role("region", name="Schedule") for i in (2, 3))
    first.scroll_into_view_if_needed()
    old = summary(second)
    slider = first.get_by_label("offset s")
    slider.focus()
    page.keyboard.press("PageUp")
    wait_for(lambda: summary(second) != old and summary(second) == summary(first), "the curves differ")
    assert second.get_by_label("offset s").input_value() == slider.input_value()
