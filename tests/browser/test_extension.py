"""The JupyterLab extension: a tab that shows the Lab, with a kernel of its own, and keeps its feet when Python falls."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live import Server, lab_on, wait_for
from playwright.sync_api import Locator, Page, expect

OpenLab = Callable[[], Locator]
InKernel = Callable[[str], Any]
Shoot = Callable[[str], Path]

NOTICE = ".difflab-notice"


def kernels(server: Server) -> list[str]:
    return [kernel["id"] for kernel in server.ask("kernels")]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_launcher_card_opens_the_lab(page: Page, open_jupyterlab: Callable[[], None], shoot: Shoot) -> None:
    open_jupyterlab()
    card = page.locator(".jp-LauncherCard", has_text="Diffusion Lab")
    expect(card.locator("svg circle").first).to_be_attached()  # our icon, not a letter
    shoot("launcher")
    card.click()

    notice = page.locator(NOTICE)
    expect(notice).to_contain_text(re.compile("Starting Python|Opening the Lab"))
    tab = page.locator(".difflab-tab")
    page_box, tab_box = notice.bounding_box(), tab.bounding_box()
    assert page_box == tab_box, "the start page fills the tab"
    background = tab.evaluate("e => getComputedStyle(e).backgroundColor")
    theirs = page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')").strip()
    assert background == page.evaluate(
        "c => (document.body.style.color = c, getComputedStyle(document.body).color)", theirs
    )
    shoot("starting")

    lab = lab_on(page)
    lab_box = lab.bounding_box()
    assert lab_box is not None
    assert tab_box is not None
    # From edge to edge (a scroll bar is 15 px at most), and down to the bottom.
    assert lab_box["x"] == tab_box["x"]
    assert lab_box["y"] == tab_box["y"]
    assert lab_box["width"] >= tab_box["width"] - 15
    assert lab_box["height"] >= tab_box["height"]
    shoot("lab")


def test_palette_command_opens_the_lab(page: Page, open_jupyterlab: Callable[[], None]) -> None:
    open_jupyterlab()
    page.keyboard.press("Control+Shift+C")
    page.keyboard.type("Diffusion Lab")
    page.locator(".lm-CommandPalette-item", has_text=re.compile("^Diffusion Lab")).first.click()
    expect(lab_on(page)).to_be_visible()


def test_its_own_workspace_opens_the_lab_and_a_reload_finds_it_again(
    page: Page, jupyterlab: Server, in_kernel: InKernel
) -> None:
    page.goto(f"{jupyterlab.url}/lab/workspaces/difflab")
    lab_on(page)
    before = kernels(jupyterlab)
    in_kernel("setattr(lab, 'seed', 7)")
    expect(page.locator(".difflab-tab").get_by_label("seed")).to_have_value("7")
    page.evaluate("jupyterapp.serviceManager.workspaces.fetch('difflab')")

    wait_for(
        lambda: "difflab:" in json.dumps(jupyterlab_layout(page)),
        "JupyterLab did not save where its tabs are",
        timeout=10,
    )
    page.reload()
    lab_on(page)
    assert page.locator(".difflab-tab").count() == 1
    assert kernels(jupyterlab) == before
    assert in_kernel("lab.seed") == 7
    expect(page.locator(".difflab-tab").get_by_label("seed")).to_have_value("7")


def jupyterlab_layout(page: Page) -> Any:
    return page.evaluate("jupyterapp.serviceManager.workspaces.fetch('difflab').then((w) => w.data)")


@pytest.mark.parametrize("how", ["crashed", "restarted elsewhere"])
def test_a_stopped_python_leaves_the_picture_and_a_way_back(
    page: Page,
    jupyterlab: Server,
    open_lab: OpenLab,
    in_kernel: InKernel,
    shoot: Shoot,
    how: str,
    console_errors: list[str],
) -> None:
    lab = open_lab()
    in_kernel("setattr(lab, 'seed', 7)")
    if how == "crashed":
        in_kernel("__import__('threading').Timer(0.5, lambda: __import__('os')._exit(1)).start()")
    else:
        (session,) = jupyterlab.ask("sessions")
        jupyterlab.ask(f"kernels/{session['kernel']['id']}/restart", "POST")

    notice = page.locator(NOTICE)
    expect(notice).to_contain_text("Python stopped", timeout=20_000)
    expect(lab).to_be_visible()
    shoot("stopped")
    page.get_by_role("button", name="Start again").click()
    expect(notice).to_be_hidden(timeout=60_000)
    lab_on(page)
    assert in_kernel("lab.seed") == 0, "a new Lab"
    assert len(kernels(jupyterlab)) == 1
    # JupyterLab's own words on what it had asked of the Python that is gone
    expected = ("Canceled future", "Comm not found")
    console_errors[:] = [error for error in console_errors if not any(words in error for words in expected)]


def test_a_session_that_was_shut_down_elsewhere_starts_again(
    page: Page, jupyterlab: Server, open_lab: OpenLab, in_kernel: InKernel, console_errors: list[str]
) -> None:
    open_lab()
    (session,) = jupyterlab.ask("sessions")
    page.evaluate("id => jupyterapp.serviceManager.sessions.shutdown(id)", session["id"])
    expect(page.locator(NOTICE)).to_contain_text("Python stopped")
    page.get_by_role("button", name="Start again").click()
    expect(page.locator(NOTICE)).to_be_hidden(timeout=60_000)
    lab_on(page)
    assert in_kernel("lab.t") == pytest.approx(0.35)
    assert kernels(jupyterlab) != [session["kernel"]["id"]]


def test_closing_the_tab_ends_its_python(page: Page, jupyterlab: Server, open_lab: OpenLab) -> None:
    open_lab()
    assert len(kernels(jupyterlab)) == 1
    page.evaluate("jupyterapp.shell.currentWidget.close()")
    wait_for(lambda: not kernels(jupyterlab), "the kernel outlived its tab", timeout=20)


def test_a_lab_that_cannot_start_says_why(
    page: Page, jupyterlab: Server, open_jupyterlab: Callable[[], None], shoot: Shoot
) -> None:
    """The Lab cannot be imported, as where difflab is missing."""
    sabotage = jupyterlab.startup / "without_difflab.py"
    sabotage.write_text("import sys; sys.modules['difflab.scenes.lab'] = None")
    try:
        open_jupyterlab()
        page.locator(".jp-LauncherCard", has_text="Diffusion Lab").click()
        expect(page.locator(NOTICE)).to_contain_text("could not start", timeout=20_000)
    finally:
        sabotage.unlink()
    expect(page.locator(".difflab-tab .jp-OutputArea")).to_contain_text("ModuleNotFoundError")
    expect(page.get_by_role("button", name="Start again")).to_be_visible()
    shoot("could-not-start")
    page.get_by_role("button", name="Start again").click()
    expect(lab_on(page)).to_be_visible()


def test_the_server_gives_out_the_extension_and_nothing_from_elsewhere(
    jupyterlab: Server, page: Page, open_lab: OpenLab
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_lab()
    elsewhere = [url for url in asked if not url.startswith((jupyterlab.url, "data:", "blob:"))]
    assert not elsewhere
    assert any("/lab/extensions/difflab/" in url for url in asked)
    with urllib.request.urlopen(f"{jupyterlab.url}/lab/api/extensions", timeout=30) as reply:
        assert reply.status == 200
