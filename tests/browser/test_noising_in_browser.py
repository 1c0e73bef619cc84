"""ForwardNoising in the browser: what it draws, its controls by hand and by key, and what it costs when nobody looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import Server, wait_for
from notebook import Notebook, blank, picture, press_until, scene, shown_t
from pages import offline, shown
from playwright.sync_api import Browser, Locator, Page, WebSocket, expect

from difflab import ForwardNoising
from difflab.data import FiniteSet

COLOURED = FiniteSet(
    np.random.default_rng(0).uniform(-1, 1, (20, 3, 6, 6)), labels=np.arange(20) % 4, range=(-1.0, 1.0), name="coloured"
)
PAGES: dict[str, Callable[[], ForwardNoising]] = {
    "points": lambda: ForwardNoising(n=2000, t=0.3),
    "crowd": lambda: ForwardNoising(n=100_000, t=0.3),
    "colour": lambda: ForwardNoising(COLOURED, n=16, t=0.2),
    "moons": lambda: ForwardNoising("moons", n=500, t=0.3),
    "wide": lambda: ForwardNoising("ring", "Geometric", n=500, t=0.9),
    "table": lambda: ForwardNoising("ring", "ZeroTerminalSNR", n=500, t=0.5),
}
#: counts pictures that are put on a canvas
COUNTED = """
window.drawn = 0;
const put = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function (...args) { window.drawn += 1; return put.apply(this, args); };
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("forward")
    return {name: make().save_html(folder / f"{name}.html") for name, make in PAGES.items()}


@pytest.fixture
def open_page(browser: Browser, written: dict[str, Path]) -> Iterator[Callable[..., Locator]]:
    """`open_page("points")`: the panel on its saved page, on which an error or a request fails the test."""
    contexts = []

    def open_page(name: str, **options: Any) -> Locator:
        context = offline(browser, **options)
        page = context.__enter__()
        contexts.append(context)
        page.add_init_script(COUNTED)
        shown(page, written[name])
        return page.get_by_role("region", name="Forward noising")

    yield open_page
    for context in contexts:
        context.__exit__(None, None, None)


def words(panel: Locator) -> str:
    return str(panel.locator("canvas").first.get_attribute("aria-label"))


def number(panel: Locator, label: str) -> str:
    return str(panel.locator(".difflab-reading-row > div", has_text=label).locator("b").inner_text())


def test_layers_colours_and_numbers(open_page: Callable[..., Locator]) -> None:
    panel = open_page("points")
    page = panel.page
    expected = ForwardNoising(n=2000, t=0.3).numbers()
    assert float(number(panel, "alpha")) == pytest.approx(expected["alpha"], abs=5e-4)
    assert float(number(panel, "sigma")) == pytest.approx(expected["sigma"], abs=5e-4)
    assert number(panel, "data share") == f"{100 * expected['data_share']:.1f} %"
    seen = {picture(panel)}
    for name in ("Density", "Paths", "Points"):  # each takes something away, to the last
        toggle = panel.get_by_role("button", name=name, exact=True)
        assert toggle.get_attribute("aria-pressed") == "true"
        before = picture(panel)
        toggle.click()
        wait_for(lambda b=before: picture(panel) != b, f"{name} changes nothing")
        assert toggle.get_attribute("aria-pressed") == "false"
        seen.add(picture(panel))
    assert len(seen) == 4
    assert blank(panel.locator("canvas").first)
    panel.get_by_role("button", name="Points", exact=True).click()
    wait_for(lambda: not blank(panel.locator("canvas").first), "the points do not come back")
    before = picture(panel)
    panel.get_by_role("button", name="By mode").click()
    wait_for(lambda: picture(panel) != before, "no colours by mode")
    hues = """c => { const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height); const seen = new Set();
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 90) seen.add(
            [data[i] > data[i + 1], data[i + 1] > data[i + 2], data[i] > data[i + 2]].join()); return seen.size; }"""
    assert panel.locator("canvas").first.evaluate(hues) >= 5  # orders of red, green and blue: one colour has one
    panel.get_by_label("formula of the schedule").select_option(label="linear beta")
    wait_for(lambda: abs(float(number(panel, "alpha")) - expected["alpha"]) > 0.05, "another formula changes nothing")
    expect(panel.get_by_label("how many samples")).to_be_hidden()  # other samples are Python's to draw
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_point_is_picked_by_click_by_key_and_by_number(open_page: Callable[..., Locator]) -> None:
    panel = open_page("points")
    page, canvas = panel.page, panel.locator("canvas").first
    drawn = ForwardNoising(n=2000, t=0.3)
    alpha, sigma = drawn.numbers()["alpha"], drawn.numbers()["sigma"]
    x_t = alpha * drawn.x0.astype(float) + sigma * drawn.eps.astype(float)
    box = canvas.bounding_box()
    assert box
    scale = min(box["width"], box["height"]) / 2 / drawn.extent
    far = int(np.abs(x_t).sum(1).argmax())  # the loneliest one
    x, y = box["width"] / 2 + scale * x_t[far, 0], box["height"] / 2 - scale * x_t[far, 1]
    canvas.click(position={"x": float(np.clip(x, 1, box["width"] - 2)), "y": float(np.clip(y, 1, box["height"] - 2))})
    line = panel.locator(".difflab-reading-point")
    expect(line).to_contain_text(f"point {far}: x_t")
    told = [
        float(v.replace("\N{MINUS SIGN}", "-"))
        for v in re.findall(r"(\N{MINUS SIGN}?\d+\.\d\d)[,)]", line.inner_text())
    ]
    assert told == pytest.approx([*x_t[far], *drawn.x0[far], *drawn.eps[far]], abs=0.0051)
    assert f"point {far}" in words(panel)
    canvas.focus()
    page.keyboard.press("Escape")
    expect(line).to_have_text("")
    page.keyboard.press("Enter")
    expect(line).to_contain_text("point 0:")
    page.keyboard.press("Enter")
    expect(line).to_contain_text(f"point {2000 // 9}:")
    canvas.click(position={"x": 3, "y": 3})  # nobody is there
    expect(line).to_have_text("")
    panel.get_by_role("button", name="More").click()
    field = panel.get_by_label("point to follow, or none")
    field.fill("17")
    field.press("Enter")
    expect(line).to_contain_text("point 17:")
    field.fill("9999")
    field.press("Enter")
    assert field.input_value() == "17"  # there is none; the old one stays


def test_any_schedule_is_drawn_and_every_offered_one(open_page: Callable[..., Locator]) -> None:
    panel = open_page("table")
    expected = ForwardNoising("ring", "ZeroTerminalSNR", n=5, t=0.5).numbers()
    assert float(number(panel, "alpha")) == pytest.approx(expected["alpha"], abs=5.1e-4)
    formula = panel.get_by_label("formula of the schedule")
    names = formula.locator("option").evaluate_all("all => all.map((o) => o.value)")
    assert len(names) >= 12
    for name in names:
        formula.select_option(value=name)
        alpha = ForwardNoising("ring", name, n=5, t=0.5).numbers()["alpha"] if name != "Tabulated" else None
        if alpha is not None:
            wait_for(
                lambda a=alpha: float(number(panel, "alpha")) == pytest.approx(a, rel=6e-3),
                f"{name} is drawn as another schedule",
                5,
            )
        expect(panel.get_by_role("alert")).to_be_hidden()


def test_images_in_colour(open_page: Callable[..., Locator]) -> None:
    panel = open_page("colour")
    expect(panel).to_contain_text("16 colour images of 6 \N{MULTIPLICATION SIGN} 6")
    for name in ("Points", "Density", "Paths"):
        expect(panel.get_by_role("button", name=name, exact=True)).to_be_hidden()
    panel.locator("canvas").first.focus()
    panel.page.keyboard.press("Home")
    grey = """c => { const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height); let n = 0;
        for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i] - data[i + 1]) > 20) n += 1; return n; }"""
    wait_for(lambda: panel.locator("canvas").first.evaluate(grey) > 10_000, "the images are grey")
    before = picture(panel)
    panel.get_by_role("button", name="By class").click()
    wait_for(lambda: picture(panel) != before, "no frames by class")


def test_what_is_not_known_is_not_offered(open_page: Callable[..., Locator]) -> None:
    panel = open_page("moons")
    expect(panel).to_contain_text("500 points")
    expect(panel.get_by_role("button", name="Density", exact=True)).to_be_hidden()
    wide = open_page("wide")
    expect(wide.locator(".difflab-caption")).to_contain_text("times smaller")


def test_on_a_phone_nothing_is_cut_off(open_page: Callable[..., Locator]) -> None:
    panel = open_page("points", viewport={"width": 400, "height": 760}, has_touch=True, color_scheme="dark")
    assert panel.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = panel.locator("canvas").first.bounding_box()
    assert box
    panel.page.touchscreen.tap(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    expect(panel.locator(".difflab-reading-point")).to_contain_text("point")
    assert panel.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_draws_once_a_frame_and_not_at_all_out_of_sight(open_page: Callable[..., Locator]) -> None:
    panel = open_page("crowd")
    page = panel.page
    panel.get_by_role("button", name="Slow").click()  # thirty seconds: it plays to the end of this test
    panel.locator("canvas").first.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    counting = """() => new Promise((done) => {
        const [start, first] = [window.drawn, performance.now()];
        let frames = 0;
        const next = () => { frames += 1; performance.now() - first < 500 ? requestAnimationFrame(next)
            : done([window.drawn - start, frames]); };
        requestAnimationFrame(next);
    })"""
    drawn, frames = page.evaluate(counting)
    assert 2 <= drawn <= frames + 1
    page.evaluate("""() => { const space = document.createElement('div'); space.style.height = '4000px';
        document.body.append(space); window.scrollTo(0, 3000); }""")
    wait_for(lambda: page.evaluate(counting)[0] == 0, "it draws though nobody sees it", 8)
    assert panel.get_by_role("button", name="Pause").count() == 1  # and it plays on
    page.evaluate("window.scrollTo(0, 0)")
    wait_for(lambda: page.evaluate(counting)[0] > 1, "it stays away", 10)
    page.keyboard.press("End")  # ends the play; the picture at t = 1 is drawn, seen again or not
    wait_for(lambda: "t = 1.00" in words(panel), "what is seen again is not drawn again")


SCRUB = """() => new Promise((done) => {
    const input = document.querySelector('.difflab-scrub');
    let moves = 0;
    const move = (now) => {
        input.value = String(Math.round(500 + 300 * Math.sin(now / 150)));
        input.dispatchEvent(new Event('input'));
        moves += 1;
        if (moves < 40) requestAnimationFrame(move); else done(moves);
    };
    requestAnimationFrame(move);
})"""


def test_in_a_notebook(page: Page, jupyterlab: Server, shoot: Callable[[str], Path]) -> None:
    notebook = Notebook(page, jupyterlab)
    sent: list[str | bytes] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda message: sent.append(message))

    page.on("websocket", listen)
    notebook.open(
        "from difflab import ForwardNoising\nforward = ForwardNoising(t=0.35, colour='category')\nforward"
    ).run_all()
    panel = scene(page, "Forward noising")
    wait_for(lambda: not blank(panel.locator("canvas").first), "nothing is drawn")
    expect(panel).to_contain_text("20,000 points · exact density behind")
    shoot("forward-noising-notebook")

    # other samples, drawn by Python: their number and their seed
    panel.get_by_label("how many samples").select_option(label="1,000 points")
    expect(panel).to_contain_text("1,000 points")
    assert notebook.value("[forward.n, len(forward.x0)]") == [1000, 1000]
    before = picture(panel)
    panel.get_by_label("seed").fill("5")
    panel.get_by_label("seed").press("Enter")
    wait_for(lambda: picture(panel) != before, "another seed changes nothing")
    assert notebook.value("bool((forward.x0 == ForwardNoising(n=1000, seed=5).x0).all())")
    notebook.value("setattr(forward, 'hidden', ['layers'])")
    expect(panel.get_by_role("button", name="Paths", exact=True)).to_be_hidden()

    # keys
    press_until(page, panel, "ArrowRight", "an arrow does not scrub")
    assert shown_t(panel) == pytest.approx(0.36)
    wait_for(lambda: notebook.value("forward.t") == pytest.approx(0.36), "Python's clock does not follow")

    # scrubbing says nothing to the kernel; where the hand rests, t crosses once
    def said_while_scrubbing() -> int:
        page.wait_for_timeout(600)
        sent.clear()
        page.evaluate(SCRUB)
        return len(sent)

    # (a machine that stands still for a fifth of a second looks like a hand that rests: three tries)
    assert 0 in {said_while_scrubbing() for _ in range(3)}
    wait_for(
        lambda: notebook.value("forward.t") == pytest.approx(shown_t(panel), abs=5.1e-4),
        "t is not written when the hand rests",
    )
