"""What the browser tests share: the server, waiting, and the Lab on a page."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page


@dataclass
class Server:
    url: str
    root: Path
    settings: Path
    startup: Path  # Python files in it run when a kernel starts
    log: Path

    def ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def answers(self) -> bool:
        try:
            return bool(self.ask("status"))
        except OSError:
            return False

    def set(self, plugin: str, **values: Any) -> None:
        """A setting of JupyterLab, as if chosen by its user; read when a page loads."""
        file = self.settings / f"{plugin.replace(':', '/')}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))


def wait_for(condition: Callable[[], Any], message: str, timeout: float = 60.0) -> Any:
    """The first true value of `condition`; AssertionError with `message` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(message)
        time.sleep(0.1)
    return value


def lab_on(page: Page) -> Locator:
    """The Lab, once it is drawn and its notice is gone."""
    page.locator(".difflab-notice[data-state=done]").wait_for(state="attached")
    lab = page.locator(".difflab-tab .difflab-lab")
    lab.wait_for()
    lab.locator("canvas").first.wait_for()
    return lab
