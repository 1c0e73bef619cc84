"""DrawData as a hand uses it: mouse, finger, wheel and keys on the saved page, and in JupyterLab what Python makes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import Notebook, picture, scene
from pages import offline, shown
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import DrawData
from difflab.data import GaussianMixture

SHEET = 2.5  # half its side, in data units
MARGIN = 1.07  # how much more of the plane its picture shows


class Sheet:
    """The drawing surface on the page, in data units."""

    def __init__(self, page: Page, panel: Locator) -> None:
        self.page, self.panel = page, panel
        self.canvas = panel.locator(".difflab-stage canvas")

    def at(self, x: float, y: float) -> tuple[float, float]:
        box = self.canvas.bounding_box()
        assert box
        scale = min(box["width"], box["height"]) / 2 / (SHEET * MARGIN)
        return box["x"] + box["width"] / 2 + scale * x, box["y"] + box["height"] / 2 - scale * y

    def drag(self, *places: tuple[float, float]) -> None:
        self.page.mouse.move(*self.at(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up()

    def shows(self, label: str) -> float:
        number = self.panel.locator(".difflab-readout", has=self.page.get_by_text(label, exact=True)).locator("b")
        return float(number.inner_text().replace(",", "").replace("\u2212", "-").split()[0])

    def said(self) -> str:
        return self.panel.locator(".difflab-draw-said").inner_text()

    def press(self, *keys: str) -> None:
        self.canvas.focus()
        for key in keys:
            self.page.keyboard.press(key)

    def component(self) -> dict[str, float]:
        """The selected component, as the sheet says it to a screen reader."""
        pattern = (
            r"component (\S+) of (\S+): weight (\S+) %, centre \((\S+), (\S+)\), widths (\S+) and (\S+), turned (\S+)°"
        )
        found = re.match(pattern, self.said().replace("\u2212", "-"))
        assert found, self.said()
        names = ("number", "count", "weight", "x", "y", "a", "b", "angle")
        return dict(zip(names, map(float, found.groups()), strict=True))


def points_page(folder: Path) -> Path:
    return DrawData(mode="points", ellipses=[]).save_html(folder / "points.html")


def sheet_of(page: Page, file: Path) -> Sheet:
    return Sheet(page, shown(page, file).get_by_role("region", name="Draw data"))


def test_points_are_drawn_erased_and_taken_back(browser: Browser, tmp_path: Path) -> None:
    with offline(browser) as page:
        sheet = sheet_of(page, points_page(tmp_path))
        undo, redo = (page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo"))
        expect(undo).to_be_disabled()
        sheet.drag((-1.5, 1), (1.5, 1))
        # one point at the beginning and one every quarter of the brush, 0.25: 3 / 0.0625 + 1 = 49; a pixel may be lost
        first = sheet.shows("points")
        assert 47 <= first <= 49
        page.get_by_label("class 3,").click()
        sheet.drag((-1.5, -1), (1.5, -1))
        expect(sheet.panel.get_by_text(re.compile(r"\d+ points in 2 classes"))).to_be_visible()
        both = sheet.shows("points")
        page.get_by_role("button", name="Erase").click()
        sheet.drag((0, -1.5), (0, -0.5))
        # the eraser is 0.25 wide: about four points a sixteenth apart
        assert both - 6 <= sheet.shows("points") <= both - 3
        undo.click()
        assert sheet.shows("points") == both
        sheet.press("Control+z", "Control+z")
        assert sheet.shows("points") == 0
        expect(undo).to_be_disabled()
        sheet.press("Control+Shift+Z")
        assert sheet.shows("points") == first
        redo.click()
        assert sheet.shows("points") == both
        page.get_by_role("button", name="Spray").click()
        before = picture(sheet.panel)
        sheet.drag((-1, 2), (1, 2))
        assert sheet.shows("points") > both + 50
        assert picture(sheet.panel) != before
        # nothing lies outside of the sheet, wherever the hand goes
        page.get_by_role("button", name="Pen").click()
        sheet.drag((2, 0), (4, 0))
        sheet.panel.locator("button.difflab-more").click()
        page.get_by_role("button", name="Clear").click()
        assert sheet.shows("points") == 0


def test_points_are_drawn_by_keys(browser: Browser, tmp_path: Path) -> None:
    with offline(browser) as page:
        sheet = sheet_of(page, points_page(tmp_path))
        sheet.press("ArrowRight", "ArrowUp", "Enter", "5", "Shift+ArrowLeft", "Enter")
        assert (sheet.shows("points"), sheet.shows("classes")) == (2, 2)
        assert "cursor at (-0.4, 0.1), pen up, 2 points" in sheet.said()
        sheet.press(" ", "Shift+ArrowDown", " ")
        # a stroke of 0.5 with a point every 0.0625, from where the cursor stood
        assert sheet.shows("points") == 2 + 9
        sheet.press(" ", "ArrowDown", "Escape")
        assert sheet.shows("points") == 2 + 9


def test_ellipses_are_dragged_stretched_turned_and_weighed(browser: Browser, tmp_path: Path) -> None:
    mixture = GaussianMixture([0.5, 0.5], [[-1, 0], [1, 0]], [[0.09, 0.25], [0.04, 0.04]])
    file = DrawData(mixture=mixture).save_html(tmp_path / "mixture.html")
    with offline(browser) as page:
        sheet = sheet_of(page, file)
        sheet.drag((1, 0), (1.5, 1.0))
        now = sheet.component()
        pixel = 2 * SHEET / 300
        assert (now["number"], now["count"], now["weight"]) == (2, 2, 50)
        assert (now["x"], now["y"]) == (pytest.approx(1.5, abs=0.05 + pixel), pytest.approx(1, abs=0.05 + pixel))
        sheet.drag((1.5 + 2 * 0.2, 1), (1.5 + 2 * 0.5, 1))  # the handle at two standard deviations
        now = sheet.component()
        assert (now["a"], now["b"]) == (pytest.approx(0.5, abs=0.02), 0.2)
        expect(page.get_by_text("2 components")).to_be_visible()
        # sigma_data^2 is E x^2 of both coordinates less the square of their mean
        x, y = now["x"], now["y"]
        second = (0.34 + 1 + 0.25 + 0.04 + x * x + y * y) / 4
        assert sheet.shows("sigma_data") == pytest.approx((second - ((x + y - 1) / 4) ** 2) ** 0.5, abs=0.03)
        before = sheet.component()["weight"]
        page.mouse.move(*sheet.at(x, y))
        page.mouse.wheel(0, -200)
        wait_for(lambda: sheet.component()["weight"] > before, "the wheel does not weigh", 5)
        sheet.press("Escape", "Tab")
        assert sheet.component()["number"] == 1
        sheet.press("Tab", "Tab")  # after the last one the focus goes on
        assert not page.evaluate("document.activeElement.matches('.difflab-stage canvas')")
        sheet.press("Tab", "ArrowRight", "Shift+ArrowUp", "[", "+")
        now = sheet.component()
        assert now["x"] == pytest.approx(-0.95)
        assert (now["a"], now["b"], now["angle"]) == (0.5, 0.32, 95)  # Shift and up is the second axis; a step is 5°
        sheet.press("Delete")
        expect(page.get_by_text("1 component ")).to_be_visible()
        page.mouse.dblclick(*sheet.at(-1.5, -1.5))
        expect(page.get_by_text("2 components")).to_be_visible()
        now = sheet.component()
        assert (now["x"], now["y"]) == (pytest.approx(-1.5, abs=0.05), pytest.approx(-1.5, abs=0.05))
        page.get_by_role("button", name="Add", exact=True).click()
        expect(page.get_by_text("3 components")).to_be_visible()
        slider = page.get_by_role("slider", name="weight")
        slider.focus()
        page.keyboard.press("End")
        assert sheet.component()["weight"] == 99.5
        for _ in range(2):
            page.get_by_role("button", name="Undo", exact=True).click()
        expect(page.get_by_text("2 components")).to_be_visible()


PASTE = """([canvas, text]) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", text);
    canvas.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
}"""


def test_numbers_are_pasted(browser: Browser, tmp_path: Path) -> None:
    with offline(browser) as page:
        sheet = sheet_of(page, points_page(tmp_path))
        page.evaluate(PASTE, [sheet.canvas.element_handle(), "x,y,class\n0,0,0\n10,5,1\n5,5,1\n"])
        assert sheet.said() == "3 points in 2 classes, scaled by 0.4"
        expect(sheet.panel.get_by_text("3 points in 2 classes · scaled by 0.4")).to_be_visible()
        sheet.panel.locator("button.difflab-more").click()
        box = page.get_by_label("Paste points")
        box.fill("0 0\n1 one")
        page.get_by_role("button", name="Draw these").click()
        expect(page.get_by_text('Line 2: "one" is no number.')).to_be_visible()
        assert sheet.shows("points") == 3
        box.fill("[[0.5, 1], [-1, 0.25]]")
        page.get_by_role("button", name="Draw these").click()
        expect(page.get_by_text("2 points, as they are")).to_be_visible()
        assert sheet.shows("points") == 2
        page.evaluate(PASTE, [sheet.canvas.element_handle(), "nothing"])
        expect(sheet.panel.get_by_role("alert").first).to_have_text(re.compile("no number in this text"))


def test_a_finger_draws_and_the_page_does_not_scroll(browser: Browser, tmp_path: Path) -> None:
    phone = {"viewport": {"width": 400, "height": 500}, "has_touch": True, "is_mobile": True}
    with offline(browser, **phone) as page:
        sheet = sheet_of(page, points_page(tmp_path))
        touch = page.context.new_cdp_session(page)

        def send(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(sheet.at(*p) for p in places)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        send("touchStart", (0, 1.5))
        for y in (1, 0.5, 0, -0.5, -1):
            send("touchMove", (0, y))
        send("touchStart", (0, -1), (1.5, -1.5))  # a second finger is no hand
        send("touchMove", (0, -1), (1.5, 1.5))
        send("touchEnd")
        # a stroke of 2.5 with a point every 0.0625
        wait_for(lambda: sheet.shows("points") > 0, "the finger does not draw", 5)
        assert 38 <= sheet.shows("points") <= 41
        assert page.evaluate("scrollY") == 0


def test_a_pen_presses_and_a_palm_is_no_finger(browser: Browser, tmp_path: Path) -> None:
    with offline(browser) as page:
        sheet = sheet_of(page, points_page(tmp_path))
        device = page.context.new_cdp_session(page)

        def pen(kind: str, place: tuple[float, float], force: float) -> None:
            x, y = sheet.at(*place)
            where = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            device.send("Input.dispatchMouseEvent", where | {"pointerType": "pen", "force": force})

        def palm(kind: str, *places: tuple[float, float]) -> None:
            points = [{"x": x, "y": y} for x, y in (sheet.at(*place) for place in places)]
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        def stroke(force: float, height: float) -> float:
            before = sheet.shows("points")
            pen("mousePressed", (-1, height), force)
            palm("touchStart", (0, -2))
            palm("touchMove", (1, -2))
            for i in range(1, 11):
                pen("mouseMoved", (-1 + i / 5, height), force)
            palm("touchEnd")
            pen("mouseReleased", (1, height), 0)
            return sheet.shows("points") - before

        # 2 / 0.0625 + 1 = 33 points; the palm would have left half as many again
        assert 31 <= stroke(0.5, 1) <= 33
        page.get_by_role("button", name="Spray").click()
        assert stroke(1.0, 0) > 4 * stroke(0.1, -1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_the_notebook(
    page: Page,
    jupyterlab: Server,
    shoot: Callable[[str], Path],
    alike: Callable[[Locator, str], None],
    theme: str,
) -> None:
    cells = (
        "from difflab import DrawData, ForwardNoising\ndraw = DrawData(mode='points')\ndraw",
        "forward = ForwardNoising('moons', n=500)\ndraw.feed(forward)\nforward",
    )
    notebook = Notebook(page, jupyterlab).open(*cells)
    notebook.run_all()
    sheet = Sheet(page, scene(page, "Draw data"))
    expect(sheet.panel.get_by_text("Feeds ForwardNoising.")).to_be_visible()
    sheet.drag((-1.5, -1), (0, 1.5), (1.5, -1), (-1.5, -1))
    sheet.press("3", " ", *["Shift+ArrowRight"] * 3, " ")
    n = int(sheet.shows("points"))
    assert n > 100
    # Python has them all, and so has the scene that is fed
    wait_for(lambda: notebook.value("draw.numbers()")["points"] == n, "Python does not have the points", 20)
    assert notebook.value("[len(draw.data), draw.data.classes, forward.data is draw.data]") == [n, 4, True]
    alike(sheet.panel, "draw-data-points")
    if theme == "dark":
        shoot("draw-data-notebook")
        return
    # what Python draws appears, and can be taken back
    notebook.value("draw.set_points([[0, 0], [1, 1], [-1, 1]])")
    wait_for(lambda: sheet.shows("points") == 3, "Python's points do not appear", 20)
    sheet.press("Control+z")
    wait_for(lambda: notebook.value("draw.numbers()")["points"] == n, "Undo does not reach Python", 20)
    sheet.panel.locator("button.difflab-more").click()
    page.get_by_label("begin with").select_option(label="random mixture")
    wait_for(lambda: notebook.value("draw.mode") == "mixture", "the preset does not come", 20)
    page.keyboard.press("Escape")
    expect(sheet.panel.get_by_text("6 components")).to_be_visible()
    sheet.press("Tab", "ArrowUp")
    moved = "abs(draw.ellipses[0]['mean'][1] - draw.data.means[0, 1]) < 1e-12 and draw.preset == ''"
    wait_for(lambda: notebook.value(moved), "Python does not hear of the ellipse", 20)
    entropy = notebook.value("draw.numbers()")["entropy"]
    wait_for(lambda: abs(sheet.shows("entropy") - entropy) < 0.005, "the entropy is not shown", 20)
    alike(sheet.panel, "draw-data-mixture")
    shoot("draw-data")
