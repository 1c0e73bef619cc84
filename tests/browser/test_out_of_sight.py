"""What nobody can see is not drawn; it is up to date as soon as it can be seen, and in a saved picture."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from live import wait_for
from notebook import blank
from pages import Pages, offline, shown
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page

#: every call that puts something on a canvas of the page
COUNT = """
window.drawn = 0;
for (const name of ['clearRect', 'fillRect', 'fill', 'stroke', 'fillText', 'drawImage', 'putImageData']) {
    const own = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
        if (this.canvas.isConnected) window.drawn += 1;
        return own.apply(this, given);
    };
}
"""
ROOM = """() => {
    const room = document.body.insertBefore(document.createElement('div'), document.body.firstChild);
    room.style.height = '4000px';
    window.scrollTo(0, 0);
}"""
TIME = "input.difflab-scrub:visible"


def time_of(page: Page) -> str:
    return page.locator(TIME).first.get_attribute("aria-valuetext") or ""


def out_of_sight(page: Page) -> None:
    """Push the scene out of the window; the focus stays in it."""
    page.evaluate(ROOM)
    page.locator(TIME).first.evaluate("e => e.focus({ preventScroll: true })")
    page.wait_for_timeout(200)  # the observers have told, and what they asked for is drawn
    assert page.evaluate("scrollY") == 0


def pictures(root: Locator) -> list[str]:
    return [str(c.evaluate("c => c.toDataURL()")) for c in root.locator("canvas:visible").all()]


@pytest.mark.parametrize("name", ["forward", "bits", "score", "bench", "reverse"])
def test_nothing_is_drawn_out_of_sight_and_all_of_it_when_seen_again(browser: Browser, saved: Pages, name: str) -> None:
    with offline(browser, reduced_motion="reduce") as page:
        page.add_init_script(COUNT)
        root = shown(page, saved(name))
        out_of_sight(page)
        page.keyboard.press("Home")
        before = time_of(page)
        page.evaluate("window.drawn = 0")
        for _ in range(5):
            page.keyboard.press("Shift+ArrowRight")
        wait_for(lambda: time_of(page) != before, "the clock stands still", 5)
        page.wait_for_timeout(100)
        assert page.evaluate("window.drawn") == 0
        root.scroll_into_view_if_needed()
        wait_for(lambda: page.evaluate("window.drawn") > 0, "it is not drawn when seen again", 5)
        page.wait_for_timeout(100)
        late = pictures(root)
    with offline(browser, reduced_motion="reduce") as page:
        root = shown(page, saved(name))
        page.locator(TIME).first.focus()
        page.keyboard.press("Home")
        for _ in range(5):
            page.keyboard.press("Shift+ArrowRight")
        wait_for(lambda: pictures(root) == late, "out of sight it became another picture", 10)


@pytest.mark.parametrize("name", ["forward", "bits"])
def test_nothing_is_drawn_in_a_hidden_tab(browser: Browser, saved: Pages, name: str) -> None:
    """A page behind another one gets no frames anyway; what Python sends it must not be drawn all the same."""
    with offline(browser, reduced_motion="reduce") as page:
        page.add_init_script(COUNT)
        root = shown(page, saved(name))
        page.locator(TIME).first.focus()
        before = pictures(root)
        page.evaluate(
            "Object.defineProperty(document, 'hidden', { configurable: true, get: () => window.behind !== false })"
        )
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(100)
        page.evaluate("window.drawn = 0")
        page.keyboard.press("End")
        wait_for(lambda: time_of(page).startswith("t = 1.000"), "the clock stands still", 5)
        page.wait_for_timeout(100)
        assert page.evaluate("window.drawn") == 0
        page.evaluate("window.behind = false; document.dispatchEvent(new Event('visibilitychange'))")
        wait_for(lambda: pictures(root) != before, "it is not drawn when the tab is back", 5)


@pytest.mark.parametrize("name", ["forward", "bits"])
def test_a_picture_that_is_saved_out_of_sight_is_that_of_the_moment(browser: Browser, saved: Pages, name: str) -> None:
    def save(page: Page) -> Image.Image:
        with page.expect_download() as download:
            page.locator("[data-control=png]").first.evaluate(
                "e => (e.closest('button') ?? e.querySelector('button')).click()"
            )
        return Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGB")

    with offline(browser, reduced_motion="reduce") as page:
        root = shown(page, saved(name))
        out_of_sight(page)
        page.keyboard.press("End")
        wait_for(lambda: time_of(page).startswith("t = 1.000"), "the clock stands still", 5)
        unseen = save(page)
        root.scroll_into_view_if_needed()
        assert not blank(root.locator("canvas:visible").first)
        page.wait_for_timeout(200)
        seen = save(page)
        assert ImageChops.difference(unseen, seen).getbbox() is None
