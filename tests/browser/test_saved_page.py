"""The page that `save_html` writes, opened from disk: no kernel, no network, and everything that needs neither still works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SCREENSHOTS
from live import wait_for
from notebook import blank, picture
from pages import NARROW, SCENES, nothing_wider_than_the_window, offline, shown
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import RunComparison

Open = Callable[..., Page]
TIME = "time t, 0 is data, 1 is noise"
LARGEST = 3_000_000  # bytes: what a course's page may weigh


TITLES = {
    "forward": "Forward noising",
    "desk": "Schedule",
    "reverse": "Reverse trajectories",
    "bits": "Where the bits go",
    "monitor": "Loss over its floor",
}


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"page-{name}.png", full_page=True)


def changes(place: Locator, act: Callable[[], object], message: str) -> None:
    before = picture(place)
    act()
    wait_for(lambda: picture(place) != before, message, 10)


def time_of(page: Page) -> float:
    found = re.match(r"t = ([\d.]+)", page.get_by_label(TIME).get_attribute("aria-valuetext") or "")
    assert found
    return float(found[1])


@pytest.mark.parametrize("name", SCENES)
def test_the_page_stands_alone(browser: Browser, saved: Callable[[str], Path], name: str) -> None:
    file = saved(name)
    assert file.stat().st_size < LARGEST
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", file.read_text(encoding="utf-8"))
    with offline(browser) as page:
        root = shown(page, file)
        nothing_wider_than_the_window(page)
        for control in root.locator(".difflab-kernel").all():
            expect(control).to_be_hidden()
        asking = root.get_by_role("button", name=re.compile("Train|Start|Sample|Save|Stop"))
        expect(asking).to_have_count(0)
        shoot(page, f"{name}-1280")
        page.set_viewport_size(NARROW)
        page.wait_for_timeout(200)  # the charts take their new size in the next frames
        nothing_wider_than_the_window(page)
        shoot(page, f"{name}-420")


def test_a_comparison_of_nothing_says_so(browser: Browser, tmp_path: Path) -> None:
    file = RunComparison([]).save_html(tmp_path / "runs.html")
    with offline(browser) as page:
        page.goto(file.as_uri())
        expect(page.get_by_text("No run was there when this page was saved.")).to_be_visible()
        expect(page.locator("#scene table")).to_be_hidden()


@pytest.mark.parametrize("name", ["forward", "forward-digits", "reverse", "reverse-digits", "lab", "lab-digits"])
def test_time_is_scrubbed_and_played(browser: Browser, saved: Callable[[str], Path], name: str) -> None:
    with offline(browser) as page:
        root = shown(page, saved(name))
        titles = ["Forward noising"] if "lab" in name else [TITLES[name.split("-")[0]]]
        panels = [root.get_by_role("region", name=t, exact=True) for t in titles]
        bar = page.get_by_label(TIME)
        box = bar.bounding_box()
        assert box
        for panel in panels:
            for at in (0.9, 0.5):
                y = box["y"] + box["height"] / 2
                changes(panel, lambda x=at, y=y: page.mouse.click(box["x"] + box["width"] * x, y), "no scrubbing")
        for key in ("ArrowLeft", "Shift+ArrowRight", "Home", "End"):
            changes(panels[0], lambda k=key: page.keyboard.press(k), f"{key} does nothing")
        assert time_of(page) == 1
        # space plays from wherever the focus is, and stops
        bar.focus()
        changes(panels[-1], lambda: page.keyboard.press("Space"), "space does not play")
        pause = page.get_by_role("button", name="Pause", exact=True)
        expect(pause).to_be_visible()
        pause.click()
        expect(pause).to_be_hidden()
        stood = time_of(page)
        changes(panels[-1], page.get_by_role("button", name="Step", exact=True).click, "Step does nothing")
        assert time_of(page) != stood


@pytest.mark.parametrize("name", ["desk", "lab"])
def test_the_schedule_is_still_shaped(browser: Browser, saved: Callable[[str], Path], name: str) -> None:
    with offline(browser) as page:
        root = shown(page, saved(name))
        desk = root.get_by_role("region", name="Schedule", exact=True)
        expect(desk).to_contain_text("✓ reaches noise")
        desk.get_by_label("offset s").focus()
        changes(desk, lambda: page.keyboard.press("PageUp"), "the slider does not redraw the curves")
        expect(desk).to_contain_text(re.compile(r"✓ reaches noise.*L_T = \d"))
        formula = desk.get_by_label("formula of the schedule")
        changes(desk, lambda: formula.select_option(label="linear beta"), "the formula does not redraw the curves")
        desk.get_by_label("beta max").focus()
        changes(desk, lambda: page.keyboard.press("Home"), "the slider does not redraw the curves")
        if name == "lab":
            forward = root.get_by_role("region", name="Forward noising", exact=True)
            page.get_by_label(TIME).press("ArrowRight")
            changes(forward, lambda: formula.select_option(label="geometric"), "the points do not follow the schedule")
            for tab in ("Data", "Noise", "Train", "Sample", "Bits", "Overview"):
                root.get_by_role("tab", name=tab, exact=True).click()
                for canvas in root.locator("canvas:visible").all():
                    wait_for(lambda c=canvas: not blank(c), f"{tab}: a picture is blank", 10)
                nothing_wider_than_the_window(page)


def test_an_untouched_page_says_what_is_missing(browser: Browser, saved: Callable[[str], Path]) -> None:
    with offline(browser) as page:
        root = shown(page, saved("reverse-untouched"))
        expect(root).to_contain_text("not sampled yet")
        expect(root).to_contain_text("pure noise, where sampling starts")


def background(place: Locator) -> str:
    return str(place.evaluate("e => getComputedStyle(e).backgroundColor"))


@pytest.mark.parametrize("name", ["forward", "desk", "reverse", "bits", "monitor", "lab"])
def test_dark(browser: Browser, saved: Callable[[str], Path], name: str) -> None:
    with offline(browser, color_scheme="dark") as page:
        root = shown(page, saved(name))
        panel = root.locator(".difflab-panel").first
        assert max(map(int, re.findall(r"\d+", background(panel))[:3])) < 60
        shoot(page, f"{name}-dark")
        page.emulate_media(color_scheme="light")
        wait_for(lambda: background(panel) == "rgb(255, 255, 255)", "the page does not follow its reader's theme", 10)


def test_reduced_motion(browser: Browser, saved: Callable[[str], Path]) -> None:
    with offline(browser, reduced_motion="reduce") as page:
        root = shown(page, saved("lab"))
        moving = root.evaluate(
            "e => [...e.querySelectorAll('*')].filter(x => getComputedStyle(x).transitionDuration.split(', ')"
            ".some(s => parseFloat(s) > 0)).length"
        )
        assert moving == 0
        forward = root.get_by_role("region", name="Forward noising", exact=True)
        page.get_by_label(TIME).focus()
        changes(forward, lambda: page.keyboard.press("ArrowRight"), "scrubbing, which the reader does, still moves")


def test_every_control_has_a_name_and_is_reached_by_tab(browser: Browser, saved: Callable[[str], Path]) -> None:
    with offline(browser) as page:
        root = shown(page, saved("lab"))
        unnamed = root.evaluate(
            """e => [...e.querySelectorAll('button, input, select, [role=img]')]
                .filter((x) => x.checkVisibility())
                .filter((x) => !(x.getAttribute('aria-label') || x.textContent.trim() || x.labels?.length))
                .map((x) => x.outerHTML)"""
        )
        assert unnamed == []
        usable = ":visible:enabled:not([tabindex='-1'])"
        wanted = root.locator(f"button{usable}, input{usable}, select{usable}")
        reached = set()
        page.locator("body").focus()
        for _ in range(wanted.count() + 8):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        places = wanted.evaluate_all("all => all.map(x => [...document.querySelectorAll('*')].indexOf(x))")
        assert set(places) <= reached
