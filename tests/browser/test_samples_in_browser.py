"""ReverseTrajectories as a person uses it: columns, colours by final mode, picked paths, images over time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Server, wait_for
from notebook import Notebook, blank, scene, shown_t
from playwright.sync_api import Browser, Locator, Page, expect

from difflab import ReverseTrajectories
from difflab.denoisers import ExactDenoiser

TITLE = "Reverse trajectories"
TIME = "time t, 0 is data, 1 is noise"
RUNS = [{"sampler": "DDIM", "steps": 20, "of": "exact"}, {"sampler": "Heun", "steps": 20, "of": "exact"}]
CODE = """
from difflab import ReverseTrajectories
reverse = ReverseTrajectories(n=500, steps=12, t=0)
reverse.sample()
reverse
"""


def shown(panel: Locator) -> Locator:
    """The pictures of the columns."""
    return panel.locator(".difflab-side > .difflab-stage > canvas:visible")


def data_url(canvas: Locator) -> str:
    return str(canvas.evaluate("c => c.toDataURL()"))


def colours(canvas: Locator) -> int:
    """How many of twelve hues the picture has, of pixels that are no grey."""
    return int(
        canvas.evaluate(
            """c => {
                const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
                const seen = new Array(12).fill(0);
                for (let i = 0; i < data.length; i += 4) {
                    const [r, g, b, a] = data.slice(i, i + 4);
                    const [high, low] = [Math.max(r, g, b), Math.min(r, g, b)];
                    if (a < 60 || high - low < 40) continue;
                    const sector = high === r ? (6 + (g - b) / (high - low)) % 6
                        : high === g ? 2 + (b - r) / (high - low) : 4 + (r - g) / (high - low);
                    seen[Math.floor(2 * sector) % 12]++;
                }
                return seen.filter((n) => n > 30).length;
            }"""
        )
    )


def test_in_the_notebook(page: Page, jupyterlab: Server, shoot: Callable[[str], Path]) -> None:
    notebook = Notebook(page, jupyterlab).open(CODE)
    notebook.run_all()
    panel = scene(page, TITLE)
    button = lambda name: panel.get_by_role("button", name=name, exact=True)  # noqa: E731
    wait_for(lambda: notebook.value("reverse.quality is not None"), "nothing was sampled")
    expect(panel).to_contain_text("energy distance, exact")
    assert shown(panel).count() == 1  # there is no network: no empty column stands for it
    assert not blank(shown(panel).first)

    # one more column, with another sampler, from the same noise
    button("Add a column").click()
    wait_for(lambda: notebook.value("len(reverse.runs)") == 3, "Python has no third column")
    button("Remove the last column").click()
    button("Remove the last column").click()
    wait_for(lambda: notebook.value("len(reverse.runs)") == 1, "Python has more than one column")
    button("Add a column").click()
    expect(panel).to_contain_text("pure noise, where sampling starts")
    wait_for(lambda: notebook.value("len(reverse.runs)") == 2, "Python has no second column")
    button("2").click()
    panel.get_by_label("sampler", exact=True).select_option(label="Heun (EDM)")
    wait_for(lambda: [r["sampler"] for r in notebook.value("reverse.runs")] == ["Ancestral", "Heun"], "not its sampler")
    button("Sample").click()
    wait_for(lambda: notebook.value("[r and r['evaluations'] for r in reverse.results]") == [12, 23], "not sampled")
    button("All").click()
    expect(shown(panel)).to_have_count(2)
    expect(panel).to_contain_text("exact · ancestral · 12 steps")
    expect(panel).to_contain_text("exact · Heun (EDM) · 12 steps")

    # the knobs of a sampler are in the drawer
    button("1").click()
    panel.get_by_role("button", name=re.compile("^More")).click()
    panel.get_by_label("variance", exact=True).select_option("large")
    wait_for(lambda: notebook.value("reverse.runs[0].get('knobs')") == {"variance": "large"}, "the knob is not turned")
    expect(panel).to_contain_text("changed · press Sample")
    page.keyboard.press("Escape")
    button("All").click()

    # keyboard and colours; what is written is what Python says
    button("Final mode").click()
    expect(panel).to_contain_text("Half of the points are decided")
    wait_for(lambda: colours(shown(panel).first) >= 6, "the modes have no colours")
    halves = notebook.value("[r['decided_half_t'] for r in reverse.results]")
    said = panel.locator(".difflab-fate-said").inner_text()
    found = [float(t) for t in re.findall(r"t = ([\d.]+)", said)]
    assert found == pytest.approx(halves, abs=0.006)
    shown(panel).first.focus()
    page.keyboard.press("End")
    wait_for(lambda: shown_t(panel) == 1, "End does not jump")
    page.keyboard.press("Space")
    expect(button("Pause")).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    wait_for(lambda: notebook.value("reverse.picked") == [0, 1], "Enter does not pick")
    page.keyboard.press("Backspace")
    wait_for(lambda: notebook.value("reverse.picked") == [0], "Backspace does not let go")
    assert panel.get_by_role("alert").all_inner_texts() == [""] or panel.get_by_role("alert").is_hidden()
    shoot("reverse-trajectories")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("reverse")

    def saved(name: str, *data: Any, **traits: Any) -> Path:
        file = folder / f"{name}.html"
        if not file.exists():
            made = ReverseTrajectories(*data, **traits)
            made.sample()
            made.save_html(file)
        return file

    return saved


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., tuple[Page, Locator]]]:
    contexts = []

    def opened(file: Path, width: int = 900, height: int = 700, **options: Any) -> tuple[Page, Locator]:
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.goto(file.as_uri())
        panel = page.get_by_role("region", name=TITLE, exact=True)
        wait_for(lambda: shown(panel).count() > 0 and not blank(shown(panel).first), "nothing is drawn", 20)
        return page, panel

    yield opened
    for context in contexts:
        context.close()


Opened = Callable[..., tuple[Page, Locator]]


def test_the_saved_page_switches_columns_and_colours(opened: Opened, saved: Callable[..., Path]) -> None:
    file = saved("points", runs=RUNS, n=1000, t=0.2)
    page, panel = opened(file)
    button = lambda name: panel.get_by_role("button", name=name, exact=True)  # noqa: E731
    expect(shown(panel)).to_have_count(2)
    expect(button("Sample")).to_be_hidden()
    expect(button("Add a column")).to_be_hidden()
    button("2").click()
    expect(shown(panel)).to_have_count(1)
    expect(panel).to_contain_text("Heun (EDM)")
    button("All").click()
    expect(shown(panel)).to_have_count(2)
    assert colours(shown(panel).first) <= 2  # the green of what is exact
    button("Final mode").click()
    wait_for(lambda: colours(shown(panel).first) >= 6, "the modes have no colours")
    # at t = 0 all is decided, at t = 1 nothing: what is pale is no darker than the panel's grey
    slider = panel.get_by_label(TIME)
    slider.fill("0")
    at_data = colours(shown(panel).first)
    slider.fill("1000")
    wait_for(lambda: colours(shown(panel).first) < at_data, "what is undecided is not pale")
    # scrubbing over the chart moves the clock
    plot = panel.locator(".difflab-fate .u-over")
    box = plot.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    wait_for(lambda: abs(shown_t(panel) - 0.5) < 0.01, "the chart does not scrub")


def test_a_click_picks_the_point_under_it(opened: Opened, saved: Callable[..., Path]) -> None:
    page, panel = opened(saved("points", runs=RUNS, n=1000, t=0.2))
    canvas = shown(panel).first
    panel.get_by_label(TIME).fill("0")
    box = canvas.bounding_box()
    assert box
    before = data_url(canvas)
    # a mode of the ring lies right of the centre at x = 1.41, of an extent of 3
    half = min(box["width"], box["height"]) / 2
    place = box["x"] + box["width"] / 2 + half * 1.41 / 3, box["y"] + box["height"] / 2
    page.mouse.click(*place)
    wait_for(lambda: re.search("1 picked", canvas.get_attribute("aria-label") or ""), "nothing is picked")
    wait_for(lambda: data_url(canvas) != before, "the path is not drawn")
    other = shown(panel).nth(1)
    wait_for(lambda: re.search("1 picked", other.get_attribute("aria-label") or ""), "not in the other column")
    page.mouse.click(box["x"] + 3, box["y"] + 3)  # nobody is there: all are let go
    wait_for(lambda: not re.search("picked", canvas.get_attribute("aria-label") or ""), "still picked")


def test_images_at_t_and_over_time(opened: Opened, saved: Callable[..., Path]) -> None:
    _, panel = opened(saved("digits", "digits", n=20, steps=8))
    canvas = shown(panel).first
    sheet = data_url(canvas)
    expect(panel.get_by_role("button", name="Final mode", exact=True)).to_be_hidden()
    panel.get_by_role("button", name=re.compile("^More")).click()
    panel.get_by_role("button", name="Over time", exact=True).click()
    wait_for(lambda: data_url(canvas) != sheet, "no strip")
    strip = data_url(canvas)
    panel.get_by_label(TIME).fill("1000")
    wait_for(lambda: data_url(canvas) != strip, "the strip does not follow the clock")


@pytest.mark.parametrize("width", [400, 900])
def test_four_columns_fit_any_width(opened: Opened, saved: Callable[..., Path], width: int) -> None:
    four = [{"sampler": s, "steps": 20, "of": "exact"} for s in ("Ancestral", "DDIM", "Heun", "UniPC")]
    page, panel = opened(saved("four", runs=four, n=500, colour="mode"), width=width)
    expect(shown(panel)).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for canvas in shown(panel).all():
        box = canvas.bounding_box()
        assert box
        assert min(box["width"], box["height"]) > 150
        assert not blank(canvas)


def test_learned_beside_exact_is_the_default(opened: Opened, tmp_path: Path) -> None:
    ring = ReverseTrajectories().data
    from difflab.schedules import VPCosine

    made = ReverseTrajectories(ring, VPCosine(), ExactDenoiser(ring, VPCosine()), n=200, steps=10)
    made.sample()
    _, panel = opened(made.save_html(tmp_path / "pair.html"))
    expect(shown(panel)).to_have_count(2)
    words = panel.inner_text()
    assert words.index("exact · ancestral") < words.index("learned · ancestral")
    for kind in ("exact", "learned"):
        expect(panel).to_contain_text(f"energy distance, {kind}")
