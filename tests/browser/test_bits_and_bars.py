"""WhereTheBitsGo as a person uses it: the bars follow the schedule, the curve stays, a network is measured while it trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, scene, shown_t
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import WhereTheBitsGo
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine

TITLE = "Where the bits go"
CODE = """
from difflab import WhereTheBitsGo
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer
ring = GaussianMixture.ring(8)
trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0), ring, steps=100_000)
bits = WhereTheBitsGo(ring)
bits.follow(trainer)
trainer.start()
bits
"""
MINUS = "\N{MINUS SIGN}"  # as the scenes write it


def words(panel: Locator) -> str:
    return panel.locator(".difflab-totals-words").inner_text().replace(MINUS, "-")


def number(panel: Locator, name: str) -> float:
    found = re.search(rf"{name}\s+(-?[\d.]+(?:e-?\d+)?)", words(panel))
    assert found, words(panel)
    return float(found[1])


def summary(panel: Locator) -> str:
    return str(panel.locator(".difflab-chart").get_attribute("aria-label"))


def patch(panel: Locator, left: float, right: float, top: float, bottom: float) -> str:
    """The pixels of a part of the plot, given in shares of the canvas."""
    return str(
        panel.locator("canvas:visible").first.evaluate(
            """(c, [l, r, t, b]) => {
                const [x, y] = [Math.round(l * c.width), Math.round(t * c.height)];
                const [w, h] = [Math.round((r - l) * c.width), Math.round((b - t) * c.height)];
                return c.getContext('2d').getImageData(x, y, w, h).data.join();
            }""",
            [left, right, top, bottom],
        )
    )


def test_in_the_notebook(page: Page, jupyterlab: Server, shoot: Callable[[str], Path]) -> None:
    notebook = Notebook(page, jupyterlab).open(CODE)
    notebook.run_all()
    panel = scene(page, TITLE)
    button = lambda name: panel.get_by_role("button", name=name, exact=True)  # noqa: E731
    expect(panel).to_contain_text("entropy")
    assert not blank(panel.locator("canvas:visible").first)

    # live while training: measured by Python, written on screen with its error
    expect(panel.locator(".difflab-totals-words")).to_contain_text(re.compile(r"learned.*±"), timeout=60_000)
    first = notebook.value("bits.totals['learned']")
    wait_for(lambda: notebook.value("bits.totals.get('learned')") not in (first, None), "measured once only")
    notebook.value("[trainer.stop(), trainer.wait(30)] and None")
    wait_for(lambda: notebook.value("bits.unfollow() or bits.numbers()['gap'] > 0"), "no gap")
    wait_for(lambda: abs(number(panel, "learned") - notebook.value("bits.totals['learned']")) < 0.06, "another number")
    shoot("bits-learned")

    # the gap alone
    button("Gap").click()
    wait_for(lambda: notebook.value("bits.view") == "gap", "Python has another view")
    expect(panel).to_contain_text("what the network pays above the optimum")
    shoot("bits-gap")
    button("Learned").click()

    # another variance costs more, and says so
    before = number(panel, "optimal")
    panel.get_by_label("variance of the reverse steps").select_option("small")
    wait_for(lambda: notebook.value("(bits.computed_as or {}).get('variance')") == "small", "not measured anew")
    wait_for(lambda: number(panel, "optimal") > before + 0.2, "the variance costs nothing")
    expect(panel).to_contain_text(re.compile("variance costs.*0.3"), timeout=30_000)

    # over log-SNR, by keyboard: the slider moves the bars, Python follows
    button("log-SNR").focus()
    page.keyboard.press("Enter")
    wait_for(lambda: "over log-SNR" in summary(panel), "another axis")
    slider = panel.get_by_role("slider", name="offset s")
    slider.focus()
    seen = picture(panel)
    page.keyboard.press("PageUp")
    wait_for(lambda: picture(panel) != seen, "the bars stand still")
    wait_for(lambda: notebook.value("bits.schedule['params']['s'] > 0.01"), "Python has another schedule")
    wait_for(lambda: notebook.value("bits.computed_for['schedule'] == bits.schedule"), "not measured anew")
    wait_for(lambda: "the network pays" in summary(panel), "the network was not asked again")
    shoot("bits-log-snr")

    # a formula that the browser does not have comes back with its table
    panel.get_by_label("formula of the schedule").select_option("VPBetaSigmoid")
    wait_for(lambda: notebook.value("bits.computed_for['schedule']['name']") == "VPBetaSigmoid", "not measured")
    wait_for(lambda: abs(number(panel, "optimal") - notebook.value("bits.totals['optimal']")) < 0.01, "not drawn")

    # the canvas has the clock's keys
    panel.locator(".difflab-chart").focus()
    page.keyboard.press("End")
    wait_for(lambda: shown_t(panel) == 1, "End does not jump")
    page.keyboard.press("Space")
    expect(button("Pause")).to_be_visible()
    page.keyboard.press("Space")
    expect(panel.get_by_role("alert")).to_be_hidden()


STILL = """
from difflab import WhereTheBitsGo
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
ring = GaussianMixture.ring(8)
bits = WhereTheBitsGo(ring, steps=100, variance="small")
bits.settle()
bits.measure(NetworkDenoiser.for_data(ring, VPCosine(), "v", seed=0))
bits.settle()
bits
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_looks_as_it_did(
    page: Page, jupyterlab: Server, theme: str, alike: Callable[[Locator, str], None], shoot: Callable[[str], Path]
) -> None:
    """On both axes: green, its hatched part, vermilion, the strip; over log-SNR the line."""
    Notebook(page, jupyterlab).open(STILL).run_all()
    panel = scene(page, TITLE)
    expect(panel).to_contain_text("hatched: variance", timeout=30_000)
    expect(panel.locator(".difflab-totals-words")).to_contain_text("gap")
    alike(panel, "bits-step")
    panel.get_by_role("button", name="log-SNR", exact=True).click()
    wait_for(lambda: "over log-SNR" in summary(panel), "another axis")
    page.mouse.move(0, 0)
    alike(panel, "bits-log-snr")
    shoot("bits-still")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("bits")
    ring = GaussianMixture.ring(8)

    def saved(name: str, network: bool = False, **traits: Any) -> Path:
        file = folder / f"{name}.html"
        if not file.exists():
            made = WhereTheBitsGo(ring, **traits)
            made.settle()
            if network:
                made.measure(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0))
            made.save_html(file)
        return file

    return saved


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., tuple[Page, Locator]]]:
    contexts = []

    def opened(file: Path, width: int = 900, height: int = 640, **options: Any) -> tuple[Page, Locator]:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.goto(file.as_uri())
        panel = page.get_by_role("region", name=TITLE, exact=True)
        panel.locator("canvas:visible").first.wait_for()
        wait_for(lambda: not blank(panel.locator("canvas:visible").first), "nothing is drawn", 20)
        return page, panel

    yield opened
    for context in contexts:
        context.close()


Opened = Callable[..., tuple[Page, Locator]]


def test_the_bars_slosh_and_the_curve_stays(opened: Opened, saved: Callable[..., Path]) -> None:
    """No kernel: all of it is the browser's. Left of the first bar the picture holds the curve alone."""
    page, panel = opened(saved("snr", axis="log_snr"))
    alone, all_of_it = (0.09, 0.2, 0.05, 0.6), (0.09, 0.95, 0.05, 0.85)
    curve, bars, optimal = patch(panel, *alone), patch(panel, *all_of_it), number(panel, "optimal")
    assert len(set(curve.split(","))) > 3  # there is a line
    slider = panel.get_by_role("slider", name="offset s")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    wait_for(lambda: patch(panel, *all_of_it) != bars, "the bars stand still")
    assert patch(panel, *alone) == curve
    assert number(panel, "optimal") != optimal
    assert number(panel, "entropy") == pytest.approx(-0.193, abs=1e-3)  # which no schedule changes
    assert number(panel, "optimal") > number(panel, "entropy")
    # another formula
    panel.get_by_label("formula of the schedule").select_option("VPLinear")
    expect(panel.get_by_role("slider", name="beta min")).to_be_visible()
    assert patch(panel, *alone) == curve


def test_what_the_browser_says_of_a_schedule_is_what_python_says(opened: Opened, saved: Callable[..., Path]) -> None:
    page, panel = opened(saved("chain"))
    panel.get_by_role("button", name=re.compile("^More")).click()
    steps = panel.get_by_role("slider", name="steps T")
    steps.focus()
    page.keyboard.press("Home")
    wait_for(lambda: "chain of 10 steps" in summary(panel), "the steps stand still")
    panel.get_by_label("variance of the reverse steps").select_option("small")
    wait_for(lambda: "hatched: variance" in panel.inner_text(), "the variance costs nothing")
    python = WhereTheBitsGo(GaussianMixture.ring(8), steps=10, variance="small").numbers()
    # the same curve, in float32 on the wire, written with the digits that its error leaves
    assert number(panel, "optimal") == pytest.approx(python["optimal"], abs=2 * python["optimal_error"])
    assert number(panel, "variance costs") == pytest.approx(python["variance_cost"], rel=0.01)


def test_what_was_learned_is_carried_over_and_says_so(opened: Opened, saved: Callable[..., Path]) -> None:
    page, panel = opened(saved("learned", network=True))
    expect(panel).to_contain_text("learned above it")
    assert number(panel, "learned") > number(panel, "optimal")
    panel.get_by_role("slider", name="offset s").focus()
    page.keyboard.press("PageUp")
    expect(panel).to_contain_text("learned, estimated")
    assert "learned" not in words(panel)  # a sum would look measured
    page.keyboard.press("PageDown")


def test_a_click_on_either_axis_scrubs(opened: Opened, saved: Callable[..., Path]) -> None:
    page, panel = opened(saved("snr", axis="log_snr"))
    box = panel.locator(".u-over").bounding_box()
    assert box
    # log-SNR 0 lies at 13 of the 22 units of the axis, with a room of 0.085 of it at either end
    place = (0.085 + 13 / 22) / 1.17
    page.mouse.click(box["x"] + place * box["width"], box["y"] + 60)
    half = 0.5 - 0.004  # of a cosine schedule: alpha = sigma a little before the middle
    wait_for(lambda: abs(shown_t(panel) - half) < 0.01, "the clock is elsewhere")
    panel.get_by_role("button", name="t", exact=True).click()
    wait_for(lambda: panel.locator(".u-over").bounding_box() is not None, "the chart is not drawn anew", 10)
    box = panel.locator(".u-over").bounding_box()
    assert box
    page.mouse.click(box["x"] + (0.085 + 0.2) / 1.17 * box["width"], box["y"] + 60)
    wait_for(lambda: abs(shown_t(panel) - 0.2) < 0.01, "the clock is elsewhere")


def test_without_a_network_there_is_no_gap_and_a_word_for_it(opened: Opened, saved: Callable[..., Path]) -> None:
    _, panel = opened(saved("chain"))
    panel.get_by_role("button", name="Gap", exact=True).click()
    expect(panel).to_contain_text("No network was measured yet")
    panel.get_by_role("button", name="Optimal", exact=True).click()
    expect(panel.locator(".difflab-chart")).to_be_visible()
