"""ScheduleDesk in a notebook and on a saved page: sliders, tables, the hand, what is pinned, the mmse, the advice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, scene, shown_t
from pages import offline, shown
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import ScheduleDesk
from difflab.schedules import VPBetaSigmoid, VPLinear

Alike = Callable[[Locator, str], None]
MINUS = "\N{MINUS SIGN}"  # as the scenes write it
FORMULA = "formula of the schedule"


def summary(desk: Locator) -> str:
    return str(desk.locator(".difflab-chart").get_attribute("aria-label"))


def changed(desk: Locator, act: Callable[[], object], message: str) -> None:
    before = picture(desk)
    act()
    wait_for(lambda: picture(desk) != before, message, 20)


def view(desk: Locator, name: str) -> None:
    desk.get_by_role("group", name="what is drawn").get_by_role("button", name=name, exact=True).click()


def press(desk: Locator, name: str) -> None:
    desk.get_by_role("button", name=name, exact=True).click()


def stroke(page: Page, desk: Locator, *places: tuple[float, float]) -> None:
    """Draw through these places, shares of the plot's width and height from its upper left corner."""
    box = desk.locator(".difflab-curve-surface").bounding_box()
    assert box
    spots = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in places]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for spot in spots[1:]:
        page.mouse.move(*spot, steps=8)
    page.mouse.up()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_a_notebook(page: Page, jupyterlab: Server, alike: Alike, theme: str) -> None:
    notebook = Notebook(page, jupyterlab)
    notebook.open(
        "from difflab import ScheduleDesk\ndesk = ScheduleDesk('VPLinear', pinned=['VPCosine'])\ndesk"
    ).run_all()
    desk = scene(page, "Schedule")
    wait_for(lambda: not blank(desk.locator("canvas:visible").first), "nothing is drawn")
    expect(desk).to_contain_text("✓ reaches noise")
    alike(desk, "schedule-desk")
    view(desk, "mmse")
    wait_for(lambda: notebook.value("desk.view") == "mmse", "Python does not hear of the view")
    numbers = notebook.value("desk.numbers()")  # of many draws, which the view asked for
    told = re.compile(r"at t = 0\.35: log-SNR .0\.919, mmse (0\.\d+) ± (0\.\d+) per dim")
    wait_for(lambda: told.search(desk.inner_text()), "the mmse at t is not told")
    wait_for(lambda: float(told.search(desk.inner_text())[2]) < 0.006, "the first guess stays")
    value, error = (float(number) for number in told.search(desk.inner_text()).groups())
    assert value == pytest.approx(numbers["mmse"], abs=6e-4)  # three digits, on a curve in float32
    assert error == pytest.approx(numbers["mmse_error"], rel=0.5)  # one digit, of the nearest level
    alike(desk, "schedule-desk-mmse")
    if theme == "dark":
        return  # what follows has no colours
    view(desk, "over t")

    # a formula moves here; the kernel hears of it
    slider = desk.get_by_label("beta max")
    slider.focus()
    changed(desk, lambda: page.keyboard.press("Home"), "the slider does nothing")
    expect(desk).to_contain_text("x_T is not noise yet")
    wait_for(lambda: notebook.value("desk.numbers()['reaches_noise']") == 0, "Python does not follow")
    assert notebook.value("desk.schedule['params']['beta_max']") == 0.006

    # what has no formula here comes as a table, at each movement
    desk.get_by_label(FORMULA).select_option(label="sigmoid beta")
    wait_for(lambda: "VPBetaSigmoid" in summary(desk), "no table came")
    slider = desk.get_by_label("beta max")
    slider.focus()
    for key in ("PageUp", "PageUp", "PageDown", "End"):
        page.keyboard.press(key)
    wait_for(lambda: notebook.value("desk.schedule['params']['beta_max']") == 0.08, "the last value did not arrive")
    wait_for(lambda: re.search(r"beta runs from \S+…0\.08\.", summary(desk)), "the last table is not drawn")
    assert float(slider.input_value()) == 1000  # it stayed where the hand left it

    # by hand, with the mouse and with keys
    press(desk, "Draw")
    stroke(page, desk, (0.1, 0.2), (0.6, 0.7), (0.95, 0.9))
    wait_for(lambda: notebook.value("desk.schedule['name']") == "Tabulated", "Python does not hear of the curve")
    surface = desk.get_by_role("slider", name=re.compile("log-SNR, drawn by hand"))
    surface.focus()
    page.keyboard.press("End")
    before = float(surface.get_attribute("aria-valuenow") or "nan")
    page.keyboard.press("Shift+ArrowUp")
    wait_for(lambda: float(surface.get_attribute("aria-valuenow") or "nan") > before + 0.5, "the key moves no knot")
    now = float(surface.get_attribute("aria-valuenow") or "nan")
    wait_for(
        lambda: abs(notebook.value("desk.schedule['params']['values'][-1]") - now) < 1e-3, "the knot did not arrive"
    )
    assert notebook.value("desk.t") == 0.35  # the arrow was the curve's, not the clock's

    # pinned, and the advice is taken
    desk.get_by_role("button", name="More").click()
    press(desk, "Pin this schedule")
    wait_for(lambda: notebook.value("[p['name'] for p in desk.pinned]") == ["VPCosine", "Tabulated"], "not pinned")
    press(desk, "Take NCSNv2's levels")
    wait_for(lambda: notebook.value("desk.schedule['name']") == "Geometric", "the advice is not taken")
    assert notebook.value("desk.steps") == notebook.value("desk.advice['levels']")
    expect(desk.get_by_role("alert")).to_be_hidden()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("desk")
    scenes = {
        "plain": ScheduleDesk(VPLinear()),
        "table": ScheduleDesk(VPBetaSigmoid(), 200, pinned=["Flow"]),
    }
    return {name: desk.save_html(folder / f"{name}.html") for name, desk in scenes.items()}


@pytest.fixture
def desk(browser: Browser, pages: dict[str, Path]) -> Iterator[Locator]:
    with offline(browser) as page:
        yield shown(page, pages["plain"]).get_by_role("region", name="Schedule")


def test_a_page_draws_by_hand_and_takes_it_back(desk: Locator) -> None:
    page = desk.page
    before = summary(desk)
    press(desk, "Draw")
    wait_for(lambda: "drawn by hand through 17 knots" in summary(desk), "the hand is not asked to draw", 10)
    began = summary(desk)
    stroke(page, desk, (0.3, 0.1), (0.999, 0.5))
    wait_for(lambda: summary(desk) != began, "the hand draws nothing", 10)
    expect(desk).to_contain_text("x_T is not noise yet")  # its end is at log-SNR 0
    expect(desk).to_contain_text("Draw its end lower.")
    press(desk, "Undo")
    wait_for(lambda: summary(desk) == began, "undo takes nothing back", 10)
    # with keys: choose a knot, move it, take it back
    surface = desk.get_by_role("slider", name=re.compile("log-SNR, drawn by hand"))
    surface.focus()
    page.keyboard.press("Home")
    assert "knot 1 of 17, t = 0.02" in (surface.get_attribute("aria-valuetext") or "")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    wait_for(
        lambda: summary(desk) != began or "knot 2" in (surface.get_attribute("aria-valuetext") or ""), "no key", 10
    )
    page.keyboard.press("Control+z")
    press(desk, "Reset")
    wait_for(lambda: summary(desk) == began, "reset does not bring it back", 10)
    press(desk, "Draw")
    wait_for(lambda: "Tabulated" in summary(desk) and "Curves over t" in summary(desk), "drawing does not end", 10)
    desk.get_by_label(FORMULA).select_option(label="linear beta")
    wait_for(lambda: summary(desk) == before, "the formula does not come back", 10)


def test_a_finger_draws(browser: Browser, pages: dict[str, Path]) -> None:
    with offline(browser, viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True) as page:
        desk = shown(page, pages["plain"]).get_by_role("region", name="Schedule")
        press(desk, "Draw")
        box = desk.locator(".difflab-curve-surface").bounding_box()
        assert box
        began = summary(desk)
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.9)
        wait_for(lambda: summary(desk) != began, "a finger draws nothing", 10)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_compares_pinned_schedules_in_every_view(desk: Locator) -> None:
    desk.get_by_role("button", name="More").click()
    press(desk, "Pin this schedule")
    pinned = desk.get_by_role("list", name="pinned schedules").get_by_role("listitem")
    expect(pinned).to_have_text([re.compile(r"linear beta 1e.4, 0\.02 · L_T 2\.0e.5")])
    expect(desk.get_by_role("button", name="Pin this schedule")).to_be_disabled()  # the same one
    desk.get_by_label(FORMULA).select_option(label="straight flow")
    for name in ("over t", "beta", "mmse"):
        view(desk, name)
        wait_for(lambda: "Beside it linear beta" in summary(desk), f"{name} does not compare", 10)
    pinned.get_by_role("button", name="unpin linear beta").click()
    wait_for(lambda: "Beside it" not in summary(desk), "it is still drawn", 10)
    expect(pinned).to_have_count(0)


def test_the_mmse_stays_where_it_is_while_the_schedule_moves(desk: Locator) -> None:
    page = desk.page
    view(desk, "mmse")
    exact = re.compile(r"from [\d.]+ in noise to \S+ near the data")
    wait_for(lambda: exact.search(summary(desk)), "no mmse", 10)
    before, steps = exact.search(summary(desk)), summary(desk)
    at = desk.locator(".difflab-desk-at-t").inner_text()
    desk.get_by_label("beta max").focus()
    page.keyboard.press("End")
    wait_for(lambda: summary(desk) != steps, "the steps stay", 10)
    after = exact.search(summary(desk))
    # the clock stands at its log-SNR, on an axis from 13 at the left to -11
    level = float(
        desk.locator(".difflab-desk-at-t").inner_text().split("log-SNR ")[1].split(",")[0].replace(MINUS, "-")
    )
    line = desk.locator(".difflab-clock-line").evaluate("e => parseFloat(e.style.left)")
    assert line == pytest.approx(100 * (13 - level) / 24, abs=0.1)  # the level is told to three digits
    assert before
    assert after
    assert after[0] == before[0]
    assert desk.locator(".difflab-desk-at-t").inner_text() != at
    # the chart is over log-SNR, and still scrubs the one clock: near its left end is the data
    box = desk.locator(".u-over").bounding_box()
    assert box
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)
    wait_for(lambda: shown_t(desk) < 0.01, "a click near the data does not scrub there", 10)


def test_a_table_stays_on_its_page_and_no_control_asks_for_another(browser: Browser, pages: dict[str, Path]) -> None:
    with offline(browser) as page:
        desk = shown(page, pages["table"]).get_by_role("region", name="Schedule")
        assert "VPBetaSigmoid schedule with 200 steps" in summary(desk)
        expect(desk.get_by_label("beta max")).to_be_hidden()
        names = desk.get_by_label(FORMULA).locator("option").all_inner_texts()
        assert "sigmoid beta" in names
        assert "zero terminal SNR" not in names  # it would have to be asked for
        desk.get_by_label(FORMULA).select_option(label="linear beta")
        expect(desk.get_by_label("beta max")).to_be_visible()
        desk.get_by_label(FORMULA).select_option(label="sigmoid beta")
        wait_for(lambda: "VPBetaSigmoid" in summary(desk), "the table is lost", 10)
