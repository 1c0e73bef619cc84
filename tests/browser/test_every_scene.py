"""What every scene keeps to: its controls have their names, can be hidden, are reached by keyboard and finger; axe-core finds
nothing serious; it fits a phone; a hostile label stays text; its picture can be saved. All on saved pages, which start fast.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from conftest import SCREENSHOTS
from live import wait_for
from notebook import blank
from pages import SCENES, Pages, nothing_wider_than_the_window, offline, shown
from PIL import Image
from playwright.sync_api import Browser, Page

from difflab.scenes.page import write_page

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "<img src=x onerror='window.hacked = 1'>"
FINGER = 40  # CSS pixels


def usable(page: Page, selector: str) -> list[str]:
    """Names of the controls that match, as far as they are on the page: those in a drawer too."""
    return page.locator(selector).evaluate_all("all => all.map(x => x.dataset.control)")


def open_drawers(page: Page) -> None:
    for more in page.locator("button.difflab-more:visible").all():
        if more.get_attribute("aria-expanded") == "false":
            more.click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SCENES)
def test_axe_finds_nothing_serious(browser: Browser, saved: Pages, name: str, scheme: str) -> None:
    with offline(browser, color_scheme=scheme) as page:
        shown(page, saved(name))
        open_drawers(page)
        page.add_script_tag(path=AXE)
        found = page.evaluate(
            """async () => (await axe.run('#scene', { resultTypes: ['violations'] })).violations
                .filter((v) => v.impact === 'serious' || v.impact === 'critical')
                .flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.html.slice(0, 160)} ${n.failureSummary ?? ''}`))"""
        )
        assert found == []


@pytest.mark.parametrize("name", SCENES)
def test_controls_have_the_names_that_hidden_takes(browser: Browser, saved: Pages, tmp_path: Path, name: str) -> None:
    cls = saved.scene(name)
    with offline(browser) as page:
        root = shown(page, saved(name))
        # controls of the scenes inside it are those scenes' own
        own = [n for n in usable(page, "#scene [data-control]") if n in cls.controls]
        if cls.__name__ != "Lab":
            # the seed of a training that was given has done its work
            assert set(usable(page, "#scene [data-control]")) == set(cls.controls) - (
                {"seed"} if name == "monitor" else set()
            )
            assert len(own) == len(set(own))
        assert root.locator(".difflab-deck-live > [data-control]").count() <= 5 * max(
            1, root.locator(".difflab-deck").count()
        )
    state = state_of(saved(name)) | {"hidden": list(cls.controls)}
    with offline(browser) as page:
        page.goto(write_page(tmp_path / "hidden.html", "hidden", state).as_uri())
        page.locator("#scene canvas:visible").first.wait_for()
        left = page.locator("#scene [data-control]:visible").evaluate_all("all => all.map(x => x.dataset.control)")
        assert cls.__name__ == "Lab" or left == []


@pytest.mark.parametrize("name", SCENES)
def test_a_phone_shows_all_of_it_and_a_finger_hits_it(browser: Browser, saved: Pages, name: str) -> None:
    phone = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with offline(browser, **phone) as page:
        root = shown(page, saved(name))
        nothing_wider_than_the_window(page)
        small = root.locator("button:visible, select:visible").evaluate_all(
            f"""all => all.filter((x) => x.getBoundingClientRect().height < {FINGER})
                .map((x) => `${{x.textContent}} ${{x.getBoundingClientRect().height}}`)"""
        )
        assert small == []
        open_drawers(page)
        nothing_wider_than_the_window(page)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"phone-{name}.png", full_page=True)


@pytest.mark.parametrize("name", SCENES)
def test_a_hostile_label_stays_text(browser: Browser, saved: Pages, tmp_path: Path, name: str) -> None:
    """Every text in the state that is not a word of our own is replaced, wherever it stands."""
    state = hostile(state_of(saved(name)))
    with offline(browser) as page:
        page.goto(write_page(tmp_path / "hostile.html", HOSTILE, state).as_uri())
        page.locator("#scene .difflab-panel").first.wait_for()
        wait_for(lambda: page.get_by_text(HOSTILE).count() > 0, "the label is not shown", 10)
        assert page.evaluate("window.hacked") is None
        assert page.locator("#scene img").count() == 0


@pytest.mark.parametrize("name", [n for n in SCENES if not n.startswith("lab")])
def test_the_picture_is_saved_as_it_is(browser: Browser, saved: Pages, name: str) -> None:
    with offline(browser) as page:
        root = shown(page, saved(name))
        open_drawers(page)
        with page.expect_download() as download:
            root.get_by_role("button", name="Save picture").click()
        image = Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGB")
        panel = root.locator(".difflab-panel").bounding_box()
        assert panel
        assert image.width == pytest.approx(2 * panel["width"], abs=2)  # two pixels for each of the page's
        assert len(image.getcolors(2**24) or []) > 20  # more than an empty panel and its edges has
        image.save(SCREENSHOTS / f"saved-picture-{name}.png")


def state_of(file: Path) -> dict:
    text = file.read_text(encoding="utf-8")
    start = text.index('id="state">') + len('id="state">')
    return json.loads(text[start : text.index("</script>", start)])


#: texts that a user, a file or an error may bring; all others are words that the code compares
BROUGHT = {"status", "error", "label", "name", "sentence", "facts", "value", "called", "note"}
#: of those, where they are words of ours all the same
OURS = {"schedule", "choices", "samplers", "presets"}


def hostile(state: dict) -> dict:
    def inside(value, under):
        if isinstance(value, dict):
            return {k: inside(v, k) if k not in OURS else v for k, v in value.items()}
        if isinstance(value, list):
            return [inside(v, under) for v in value]
        return HOSTILE if isinstance(value, str) and under in BROUGHT else value

    return {k: inside(v, k) if k not in OURS else v for k, v in state.items()} | {"status": HOSTILE, "error": HOSTILE}


def test_blank_canvases_would_be_found(browser: Browser) -> None:
    with offline(browser) as page:
        page.set_content("<canvas width=10 height=10></canvas>")
        assert blank(page.locator("canvas"))
