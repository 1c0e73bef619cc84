"""ScoreMap in the real JupyterLab, and in its saved page: what it shows, its buttons, its keys, its probe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, press_until, scene, shown_t
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import ScoreMap
from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine

CELL = """from difflab import ScoreMap
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer
ring = GaussianMixture.ring(8)
trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0), ring, steps=300)
map = ScoreMap(ring)
map"""
TITLE = "Score map"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_lives_in_a_notebook(page: Page, jupyterlab: Server, shoot: Callable[[str], Path], theme: str) -> None:
    notebook = Notebook(page, jupyterlab).open(CELL, "map.follow(trainer); trainer.start()")
    notebook.run(0)
    panel = scene(page, TITLE)
    expect(panel).to_contain_text("train to see the difference")
    expect(panel.get_by_role("button", name="Difference")).to_be_disabled()
    wait_for(lambda: not blank(panel.locator("canvas").first), "the exact field is not drawn")
    notebook.run(1)
    expect(panel).to_contain_text("Score, learned minus exact")  # live, without a click
    expect(panel).to_contain_text("Fisher divergence")
    wait_for(lambda: notebook.value("trainer.state") == "finished", "the training does not end")
    expected = notebook.value("map.numbers()")

    def shown() -> bool:
        seen = re.search(r"([\d.]+) ± ([\d.]+) Fisher", panel.inner_text())
        return bool(seen) and abs(float(seen[1]) - expected["fisher_divergence"]) <= 0.51 * 10 ** -len(
            seen[1].split(".")[1]
        )

    wait_for(shown, f"not {expected} but {panel.inner_text()}")
    press_until(page, panel, "ArrowRight", "the arrow keys do not scrub")
    assert shown_t(panel) == pytest.approx(0.36)
    expect(panel.get_by_role("alert")).to_be_hidden()
    shoot("notebook-score-map")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A trained network is not needed: an untrained one differs more."""
    folder = tmp_path_factory.mktemp("pages")
    ring, images = GaussianMixture.ring(8), digits()
    scenes = {
        "ring": ScoreMap(ring, denoiser=NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0)),
        "exact": ScoreMap(ring),
        "digits": ScoreMap(
            images, denoiser=NetworkDenoiser.for_data(images, VPCosine(), "v", conditional=True, seed=0)
        ),
    }
    return {name: made.save_html(folder / f"{name}.html") for name, made in scenes.items()}


@pytest.fixture
def open_page(pages: dict[str, Path], browser: Browser) -> Iterator[Callable[..., Locator]]:
    opened: list[Page] = []
    errors: list[str] = []

    def open_page(name: str, width: int = 900, height: int = 620) -> Locator:
        page = browser.new_page(viewport={"width": width, "height": height})
        opened.append(page)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages[name].as_uri())
        return scene(page, TITLE)

    yield open_page
    for page in opened:
        page.close()
    assert not errors


def line(panel: Locator) -> str:
    return panel.locator(".difflab-score-line").inner_text()


def test_each_button_shows_another_picture(open_page: Callable[..., Locator]) -> None:
    panel = open_page("ring")
    seen = {picture(panel)}

    def another(what: str) -> None:
        wait_for(lambda: picture(panel) not in seen, f"{what} changes nothing", 20)
        seen.add(picture(panel))

    for view, title in (("Exact", "Score, exact"), ("Learned", "Score, learned")):
        panel.get_by_role("button", name=view, exact=True).click()
        expect(panel.get_by_role("heading")).to_contain_text(title)
        another(view)
    panel.locator("[data-control=weighted]").click()
    another("the weight")
    panel.get_by_label("face of the prediction").select_option("velocity")
    expect(panel.get_by_role("heading")).to_contain_text("Velocity, learned")
    another("the face")
    panel.get_by_role("button", name="More").click()
    for name in ("Arrows", "Contours of p_t"):
        panel.get_by_role("button", name=name).click()
        another(name)
    panel.get_by_label("heat", exact=True).select_option("x")
    another("the heat")
    expect(panel.get_by_label("grid of the learned field")).to_be_hidden()  # it needs Python


def test_the_probe_reads_the_field(open_page: Callable[..., Locator]) -> None:
    """On the x axis, by the ring's symmetry, the exact score has no y component."""
    panel = open_page("ring")
    panel.get_by_role("button", name="Probe").click()
    assert re.match(r"at \(0, 0\): exact \(.*\) · learned \(.*\) · difference", line(panel)), line(panel)
    for _ in range(12):
        panel.page.keyboard.press("ArrowRight")
    found = re.match(r"at \(([\d.]+), 0\): exact \((.[\d.]+), ([^)]*)\)", line(panel))
    assert found, line(panel)
    assert float(found[1]) == pytest.approx(12 / 48 * 2 * 3, rel=0.1)  # the square's half-width is 3 or a little more
    assert found[3] == "0" or "e" in found[3]  # rounding
    assert shown_t(panel) == pytest.approx(0.35)  # the clock stands still meanwhile
    expect(panel.locator(".difflab-score-line")).to_have_attribute("role", "status")
    panel.get_by_role("button", name="Probe").click()
    press_until(panel.page, panel, "ArrowRight", "the arrow keys do not scrub again")
    box = panel.locator("canvas").first.bounding_box()
    assert box
    panel.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(panel.locator(".difflab-score-line")).to_contain_text("at (")


def test_before_a_training_there_is_the_exact_field(open_page: Callable[..., Locator]) -> None:
    panel = open_page("exact")
    expect(panel.get_by_role("heading")).to_contain_text("Score, exact")
    expect(panel.get_by_role("button", name="Learned", exact=True)).to_be_disabled()
    assert "train to see the difference" in line(panel)
    assert not blank(panel.locator("canvas").first)
    press_until(panel.page, panel, "End", "the exact field does not follow the clock")


@pytest.mark.parametrize("name", ["ring", "digits"])
def test_nothing_is_cut_off_on_a_phone(open_page: Callable[..., Locator], name: str) -> None:
    panel = open_page(name, 400, 700)
    assert panel.page.evaluate("document.documentElement.scrollWidth") <= 400
    for part in panel.locator("button:visible, select:visible, .difflab-score-line").all():
        box = part.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400


def test_images_stand_side_by_side(open_page: Callable[..., Locator]) -> None:
    panel = open_page("digits")
    assert re.match(r"[\d.]+ ± [\d.]+ mean square for x0", line(panel))
    expect(panel.get_by_role("button", name="Exact", exact=True)).to_be_hidden()
    press_until(panel.page, panel, "ArrowRight", "the images do not follow the clock")
