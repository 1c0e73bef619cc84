"""LangevinBench in a notebook and as a page of its own: what it draws, says and does at a press of a key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, scene
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import LangevinBench

TITLE = "Langevin bench"
CALLS = "score calls spent"


def shown_call(panel: Locator) -> int:
    text = panel.get_by_label(CALLS).get_attribute("aria-valuetext") or ""
    found = re.match(r"score call ([\d,]+)", text)
    assert found, text
    return int(found[1].replace(",", ""))


def column(panel: Locator, name: str) -> Locator:
    return panel.locator(".difflab-bench-column", has_text=re.compile(rf"^{name}"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_bench_in_a_notebook(page: Page, jupyterlab: Server, shoot: Callable[[str], Path], theme: str) -> None:
    notebook = Notebook(page, jupyterlab)
    cell = "from difflab import LangevinBench\nbench = LangevinBench(n=300, calls=200)\nbench"
    notebook.open(cell).run_all()
    panel = scene(page, TITLE)
    expect(panel).to_contain_text("300 points, not sampled yet")
    for canvas in panel.locator(".difflab-bench canvas").all():
        assert not blank(canvas)
    assert notebook.value("'torch' not in __import__('sys').modules")  # the first picture did not wait for it

    panel.get_by_role("button", name="Sample", exact=True).click()
    expect(panel).to_contain_text("300 points · 200 score calls each", timeout=60_000)  # torch is imported first
    wait_for(lambda: shown_call(panel) == 200, "the bar is not at the end of the run")
    numbers = notebook.value("bench.numbers()")
    for name, method in (("Langevin", "langevin"), ("annealed", "annealed")):
        value, error = numbers[f"mass_{method}"], numbers[f"mass_error_{method}"]
        seen = re.search(r"mass(\d\.\d+) ± (\d\.\d+)0\.2", column(panel, name).inner_text().replace("\n", ""))
        assert seen, column(panel, name).inner_text()
        assert float(seen[1]) == pytest.approx(value, abs=0.51 * 10 ** -len(seen[1][2:]))
        assert float(seen[2]) == pytest.approx(error, rel=0.3)  # of one digit
    panel.scroll_into_view_if_needed()
    shoot("notebook-langevin-bench")
    if theme == "dark":
        return

    # every control has the name that `hidden` knows, and goes by it
    names = panel.locator("[data-control]").evaluate_all("all => all.map(e => e.dataset.control)")
    assert sorted(names) == sorted(notebook.value("list(bench.controls)"))
    notebook.value("setattr(bench, 'hidden', ['distance', 'time'])")
    expect(panel.get_by_label("distance")).to_be_hidden()
    expect(panel.get_by_label(CALLS)).to_be_hidden()
    notebook.value("setattr(bench, 'hidden', [])")

    # keys: arrows scrub, Home goes to the start, space plays; Python's call follows
    canvas = column(panel, "Langevin").locator("canvas")
    canvas.focus()
    before = picture(column(panel, "Langevin"))
    page.keyboard.press("Home")
    wait_for(lambda: shown_call(panel) == 0, "Home does not jump")
    page.keyboard.press("Shift+ArrowRight")
    wait_for(lambda: shown_call(panel) == 20, "an arrow does not scrub")
    wait_for(lambda: notebook.value("bench.call") == 20, "Python does not follow")
    wait_for(lambda: picture(column(panel, "Langevin")) != before, "the picture does not move")
    page.keyboard.press("Space")
    expect(panel.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.keyboard.press("Space")
    panel.get_by_role("button", name="Step", exact=True).click()

    # another knob: what is on screen is of the old one, and says so
    step = panel.get_by_label("step r")
    step.focus()
    page.keyboard.press("End")
    expect(panel).to_contain_text("of other knobs · press Sample")
    expect(panel).to_have_class(re.compile("difflab-bench-stale"))
    panel.get_by_role("button", name="Sample", exact=True).click()
    expect(column(panel, "Langevin")).to_contain_text(
        "its steps are stable below r = 2, and here r = 5", timeout=60_000
    )
    expect(panel).not_to_have_class(re.compile("difflab-bench-stale"))
    # other modes: the start again, at once
    panel.get_by_label("distance").focus()
    page.keyboard.press("Home")
    expect(panel).to_contain_text("300 points, not sampled yet")
    assert notebook.value("bench.distance") == pytest.approx(1)
    # what cannot be is said in the panel
    notebook.value("(setattr(bench, 'sigma_min', 3.0), setattr(bench, 'sigma_max', 2.0))")
    panel.get_by_role("button", name="Sample", exact=True).click()
    expect(panel.get_by_role("alert")).to_contain_text("A ladder leads down")


# -- a page of its own ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    bench = LangevinBench(n=400, calls=200)
    bench.sample()
    return bench.save_html(tmp_path_factory.mktemp("bench") / "bench.html")


@pytest.fixture
def alone(browser: Browser, saved: Path) -> Iterator[Callable[..., Page]]:
    """The saved page in a window of its own, on which every error fails the test."""
    pages, trouble = [], list[str]()

    def alone(width: int = 900, height: int = 640, **options: object) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, **options)  # type: ignore[arg-type]
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: trouble.append(str(e)))
        page.goto(saved.as_uri())
        page.locator(".difflab-bench canvas").first.wait_for()
        pages.append(page)
        return page

    yield alone
    for page in pages:
        page.close()
    assert not trouble, trouble


def test_a_page_scrubs_and_plays_without_python(alone: Callable[..., Page]) -> None:
    page = alone()
    panel = scene(page, TITLE)
    expect(panel.get_by_role("button", name="Sample", exact=True)).to_be_hidden()
    annealed = column(panel, "annealed")
    expect(annealed).to_contain_text("\N{GREEK SMALL LETTER SIGMA} = 0.10")
    wait_for(lambda: not blank(annealed.locator("canvas")), "nothing is drawn")
    end = picture(annealed)
    slider = panel.get_by_label(CALLS)
    slider.fill("0")
    expect(annealed).to_contain_text("\N{GREEK SMALL LETTER SIGMA} = 20")
    wait_for(lambda: picture(annealed) != end, "the picture does not move")
    slider.fill("1000")
    wait_for(lambda: picture(annealed) == end, "the end is another picture")
    # space begins again at the start, and ends at the end
    annealed.locator("canvas").focus()
    page.keyboard.press("Space")
    wait_for(lambda: 0 < shown_call(panel) < 200, "space does not play")
    page.keyboard.press("End")
    wait_for(lambda: shown_call(panel) == 200, "End does not lead to the end")
    chart = panel.locator(".difflab-chart")
    assert "mass of the first mode after 200 score calls" in str(chart.get_attribute("aria-label"))
    panel.get_by_role("button", name="variance", exact=True).click()
    expect(chart).to_have_attribute("aria-label", re.compile("variance of a mode"))


@pytest.mark.parametrize("width", [900, 400])
def test_nothing_is_cut_off(alone: Callable[..., Page], width: int) -> None:
    page = alone(width, 700, has_touch=True)
    panel = scene(page, TITLE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tops = {round(c.bounding_box()["y"]) for c in panel.locator(".difflab-bench-column").all()}  # type: ignore[index]
    assert len(tops) == (1 if width == 900 else 2)  # four abreast, or two by two
    for canvas in panel.locator(".difflab-bench canvas").all():
        box = canvas.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 100
    for row in panel.locator(".difflab-bench-row > span").all():
        assert row.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), row.inner_text()
