"""Where these benchmarks run: Chromium, and a real JupyterLab with a notebook on the page (that of the browser tests)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "browser"))
from live import Server, wait_for
from notebook import Notebook

__all__ = ["Notebook", "chromium", "jupyterlab", "median", "opened"]

FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
SOFTWARE = "--enable-unsafe-swiftshader"  # no graphics card here, as on Binder and in CI
SIZE = {"width": 1100, "height": 900}

#: `until(act, changed)`: milliseconds from `act()` to the end of the first frame in which `changed()` is true
UNTIL = """
window.until = (act, changed, limit = 5000) => new Promise((done) => {
  const start = performance.now();
  const look = () => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      const now = performance.now();
      if (changed() || now - start > limit) done(now - start);
      else requestAnimationFrame(look);
    };
    port2.postMessage(0);
  };
  act();
  requestAnimationFrame(look);
});
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS, SOFTWARE])
        yield browser
        browser.close()


@contextmanager
def jupyterlab() -> Iterator[Server]:
    """A server with settings, workspaces and files of its own."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        root = Path(home) / "files"
        root.mkdir()
        server = Server(f"http://127.0.0.1:{port}", root, Path(home) / "settings", root, Path(home) / "server.log")
        server.set("@jupyterlab/apputils-extension:notification", fetchNews="false", checkForUpdates=False)
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": f"{home}/config",
            "JUPYTER_RUNTIME_DIR": f"{home}/runtime",
            "JUPYTERLAB_SETTINGS_DIR": str(server.settings),
            "JUPYTERLAB_WORKSPACES_DIR": f"{home}/workspaces",
            "IPYTHONDIR": f"{home}/ipython",
            "OMP_NUM_THREADS": "1",
        }
        flags = ["--no-browser", "--IdentityProvider.token=", "--ServerApp.password=", "--expose-app-in-browser"]
        flags.append("--ServerApp.disable_check_xsrf=True")
        with server.log.open("w") as log:
            command = [sys.executable, "-m", "difflab.cli", "lab", f"--port={port}", *flags]
            process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
            try:
                wait_for(server.answers, "JupyterLab did not start")
                yield server
            finally:
                process.terminate()
                process.wait(20)


def opened(browser: Browser, server: Server, *cells: str) -> Notebook:
    """A new notebook with these cells on a page of its own, its kernel running."""
    page: Page = browser.new_page(viewport=SIZE)
    page.set_default_timeout(90_000)
    page.add_init_script(UNTIL)
    return Notebook(page, server).open(*cells)


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
