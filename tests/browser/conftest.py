"""A real JupyterLab in a real Chromium.

Fixtures: `jupyterlab` (the server, one a session), `theme` ("light"; parametrise it for "dark"), `page` (a fresh page, on
which every console error fails the test), `shoot(name)` (a screenshot into artifacts/screenshots), `open_lab()` (by the
launcher card) and `in_kernel(expression)` (the value of a Python expression in the Lab's kernel).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from likeness import looks_like
from live import Server, lab_on, wait_for
from pages import Pages
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

HERE = Path(__file__).parent
SCREENSHOTS = HERE.parents[1] / "artifacts" / "screenshots"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
]
SERVER_FLAGS = [
    "--no-browser",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.port_retries=0",
    "--expose-app-in-browser",
    "--JupyterNotebookApp.expose_app_in_browser=True",
]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
READY = 60_000  # ms: a cold start of Python and torch on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail("The browser tests need Chromium: install it, or set CHROMIUM to its path.", pytrace=False)
    return found


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`difflab lab` on a free port, with settings and workspaces of its own."""
    home = tmp_path_factory.mktemp("jupyter")
    root = home / "files"
    root.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(
        f"http://127.0.0.1:{port}",
        root,
        home / "settings",
        home / "ipython/profile_default/startup",
        home / "server.log",
    )
    server.startup.mkdir(parents=True)
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(server.settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "OMP_NUM_THREADS": "1",
    }
    server.set("@jupyterlab/apputils-extension:notification", fetchNews="false", checkForUpdates=False)
    command = [sys.executable, "-m", "difflab.cli", "lab", f"--port={port}", *SERVER_FLAGS]
    with server.log.open("w") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(server.answers, f"JupyterLab did not start:\n{server.log}")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """The saved page of a scene, by its name in pages.SCENES."""
    return Pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def theme() -> str:
    return "light"


@pytest.fixture
def console_errors() -> list[str]:
    """What the page wrote as errors. A test that provokes one looks at it and clears the list."""
    return []


@pytest.fixture
def page(
    jupyterlab: Server, browser: Browser, theme: str, console_errors: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    jupyterlab.set("@jupyterlab/apputils-extension:themes", theme=THEMES[theme])
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(READY)

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            console_errors.append(f"{message.text} ({message.location.get('url', '')})")

    page.on("console", note)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    yield page
    if getattr(request.node, "failed", False):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"failed-{request.node.name}.png")
    page.close()
    for session in jupyterlab.ask("sessions"):
        jupyterlab.ask(f"sessions/{session['id']}", "DELETE")
    assert not console_errors, "The page wrote errors to its console:\n" + "\n".join(console_errors)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if outcome.get_result().failed:  # type: ignore[attr-defined]
        item.failed = True  # type: ignore[attr-defined]


@pytest.fixture
def shoot(page: Page, theme: str) -> Callable[[str], Path]:
    """Keep a picture of the page as it is now: artifacts/screenshots/NAME-THEME.png."""

    def shoot(name: str) -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}-{theme}.png"
        page.screenshot(path=path)
        return path

    return shoot


@pytest.fixture
def alike(theme: str) -> Callable[[Locator, str], None]:
    """`alike(panel, "forward-noising")`: the panel looks as its author saw it (likeness.py), in this theme."""

    def alike(place: Locator, name: str) -> None:
        looks_like(place.screenshot(animations="disabled"), f"{name}-{theme}", SCREENSHOTS)

    return alike


@pytest.fixture
def open_jupyterlab(page: Page, jupyterlab: Server) -> Callable[[], None]:
    """A fresh workspace with its launcher, the side bar folded."""

    def open_jupyterlab() -> None:
        page.goto(f"{jupyterlab.url}/lab/workspaces/test-{uuid.uuid4().hex[:8]}?reset")
        page.locator(".jp-Launcher").wait_for()
        page.evaluate("jupyterapp.restored.then(() => jupyterapp.shell.collapseLeft())")

    return open_jupyterlab


@pytest.fixture
def open_lab(page: Page, open_jupyterlab: Callable[[], None]) -> Callable[[], Locator]:
    """Open the Lab by its launcher card; the Lab on the page."""

    def open_lab() -> Locator:
        open_jupyterlab()
        page.locator(".jp-LauncherCard", has_text="Diffusion Lab").click()
        return lab_on(page)

    return open_lab


@pytest.fixture
def in_kernel(page: Page) -> Callable[[str], Any]:
    """`in_kernel("lab.numbers()")`: the value of an expression in the kernel of the Lab on the page, where `lab` is the Lab.

    What it returns must be JSON. AssertionError with Python's words if the expression raises.
    """

    def in_kernel(expression: str) -> Any:
        code = "import json as _json"
        reply = page.evaluate(
            """async ([code, expression]) => {
                const tab = [...jupyterapp.shell.widgets('main')].find((w) => w.content?.session && w.content.path);
                const kernel = tab.content.session.session.kernel;
                const future = kernel.requestExecute({
                    code, silent: false, store_history: false,
                    user_expressions: { value: `_json.dumps(${expression})` },
                });
                return (await future.done).content;
            }""",
            [code, expression],
        )
        assert reply["status"] == "ok", reply
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", f"{value.get('ename')}: {value.get('evalue')}"
        return json.loads(eval(value["data"]["text/plain"]))

    return in_kernel
