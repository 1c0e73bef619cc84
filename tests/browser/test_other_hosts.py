"""The scenes where there is no JupyterLab: Notebook 7, on the same server, and marimo, which has no ipywidgets at all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import SCREENSHOTS
from live import Server, wait_for
from notebook import IMPORTS, READY, SCENES, Notebook, blank, picture
from playwright.sync_api import Browser, Locator, Page, expect

TIME = "time t, 0 is data, 1 is noise"
#: what Notebook 7.6 writes to the console by itself: it looks for a setting and a command that are JupyterLab's alone
OWN = ("reading 'schema'", "'filebrowser:open-path' not registered")


def drawn(page: Page, title: str) -> Locator:
    """The scene's panel with every picture in it drawn."""
    panel = page.get_by_role("region", name=title, exact=True).first
    panel.wait_for(state="attached")
    panel.scroll_into_view_if_needed()
    for canvas in panel.locator("canvas:visible").all():
        wait_for(lambda c=canvas: not blank(c), f"{title} draws nothing")
    expect(panel.get_by_role("alert")).to_be_hidden()
    return panel


def scrubbed_by_key(page: Page, panel: Locator) -> None:
    canvas = panel.locator("canvas:visible").first
    canvas.focus()
    before = picture(panel)
    page.keyboard.press("ArrowRight")
    wait_for(lambda: picture(panel) != before, "the arrow does not scrub", 10)


def asks_python(panel: Locator) -> None:
    """Another seed is Python's to draw: the picture changes when the samples have come."""
    seed = panel.get_by_label("seed")
    before = picture(panel)
    seed.fill("5")
    seed.press("Enter")
    wait_for(lambda: picture(panel) != before, "Python did not answer", 30)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_notebook_7(page: Page, jupyterlab: Server, theme: str, console_errors: list[str]) -> None:
    notebook = Notebook(page, jupyterlab)
    notebook.write(IMPORTS, *SCENES.values())
    page.goto(f"{jupyterlab.url}/notebooks/{notebook.file}")
    page.locator(".jp-Notebook").wait_for()
    wait_for(lambda: page.evaluate("typeof jupyterapp") == "object", "Notebook 7 did not start")
    wait_for(lambda: page.evaluate(READY), "the notebook's kernel did not start")
    notebook.run_all()
    for title in SCENES:
        drawn(page, title)
    forward = drawn(page, "Forward noising")
    scrubbed_by_key(page, forward)
    asks_python(forward)
    assert notebook.value("forward.seed") == 5
    page.screenshot(path=SCREENSHOTS / f"notebook-7-{theme}.png")
    console_errors[:] = [error for error in console_errors if not any(own in error for own in OWN)]


@pytest.fixture
def marimo(tmp_path: Path, theme: str) -> Iterator[str]:
    """The address of a marimo app with every scene in a cell."""
    cells = "\n\n".join(
        "@app.cell\ndef _():\n" + "\n".join(f"    {line}" for line in source.strip().splitlines()) + "\n    return"
        for source in (IMPORTS, *SCENES.values())
    )
    app = tmp_path / "scenes.py"
    app.write_text(f"import marimo\n\napp = marimo.App()\n\n\n{cells}\n\n\nif __name__ == '__main__':\n    app.run()\n")
    (tmp_path / "pyproject.toml").write_text(f'[tool.marimo.display]\ntheme = "{theme}"\n')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "--yes", "run", str(app), "--headless", f"--port={port}", "--no-token"]
    environment = os.environ | {"HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}  # nobody's own settings
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return urllib.request.urlopen(url, timeout=5).status == 200
        except OSError:
            return False

    try:
        wait_for(answers, f"marimo did not start: {(tmp_path / 'log').read_text()}")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marimo(browser: Browser, marimo: str, theme: str) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(60_000)
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(marimo)
    for title in SCENES:
        panel = drawn(page, title)
        colour = panel.evaluate("e => getComputedStyle(e).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour)[:3])) < 300) == (theme == "dark")
    forward = drawn(page, "Forward noising")
    scrubbed_by_key(page, forward)
    asks_python(forward)
    page.screenshot(path=SCREENSHOTS / f"marimo-{theme}.png", full_page=True)
    page.close()
    assert trouble == []
