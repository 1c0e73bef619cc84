"""A real notebook in JupyterLab, driven as a person drives it: write it, open it, run its cells, look at their outputs."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from live import Server, wait_for
from playwright.sync_api import Locator, Page

IMPORTS = """
from difflab import DrawData, ForwardNoising, Lab, LangevinBench, LossFloor, ReverseTrajectories, ScheduleDesk
from difflab import ScoreMap, TrainingMonitor, WhereTheBitsGo
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer
"""
MONITOR = """ring = GaussianMixture.ring(8)
trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0), ring, steps=200_000)
monitor = TrainingMonitor(trainer)
monitor"""
SCENES = {
    "Forward noising": "forward = ForwardNoising()\nforward",
    "Schedule": "desk = ScheduleDesk()\ndesk",
    "Reverse trajectories": "reverse = ReverseTrajectories()\nreverse.sample()\nreverse",
    "Where the bits go": "bits = WhereTheBitsGo()\nbits",
    "Loss over its floor": MONITOR,
    "Loss by noise level": "floor = LossFloor()\nfloor",
    "Score map": "score = ScoreMap()\nscore",
    "Langevin bench": "bench = LangevinBench()\nbench",
    "Draw data": "sheet = DrawData()\nsheet",
}

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KERNEL = "jupyterapp.shell.currentWidget.context.sessionContext.session.kernel"
READY = f"""async () => {{
    const panel = jupyterapp.shell.currentWidget;
    if (!panel?.context?.sessionContext) return false;
    await panel.context.ready;
    await panel.context.sessionContext.ready;
    await {KERNEL}.info;
    return true;
}}"""


class Notebook:
    """The notebook on the page; `cells` are the sources of its code cells."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server, self.file = page, server, ""

    def open(self, *cells: str) -> Notebook:
        """Write a new notebook with these cells and open it, with a kernel of its own."""
        self.write(*cells)
        self.visit()
        wait_for(lambda: self.page.evaluate(READY), "the notebook's kernel did not start")
        return self

    def write(self, *cells: str) -> None:
        """Write a new notebook with these cells."""
        self.file = f"notebook-{uuid.uuid4().hex[:8]}.ipynb"
        code: list[dict[str, Any]] = [
            {
                "cell_type": "code",
                "id": uuid.uuid4().hex[:8],
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for source in cells
        ]
        content = {"cells": code, "metadata": {"kernelspec": KERNELSPEC}, "nbformat": 4, "nbformat_minor": 5}
        (self.server.root / self.file).write_text(json.dumps(content))

    def visit(self) -> None:
        """Open the file as it is on disk, in a fresh workspace with the side bar folded."""
        self.page.goto(f"{self.server.url}/lab/workspaces/test-{uuid.uuid4().hex[:8]}/tree/{self.file}?reset")
        self.page.locator(".jp-Notebook").wait_for()
        self.page.evaluate("jupyterapp.restored.then(() => jupyterapp.shell.collapseLeft())")

    def command(self, name: str) -> None:
        """Start one of JupyterLab's commands; does not wait for its end."""
        self.page.evaluate("name => void jupyterapp.commands.execute(name)", name)

    def run_all(self) -> None:
        """Run all cells and wait until the last one is done. AssertionError with what a cell raised."""
        self.command("notebook:run-all-cells")
        states = """() => jupyterapp.shell.currentWidget.content.widgets.map(
            c => [c.model.executionState ?? '', c.model.executionCount ?? 0])"""
        wait_for(
            lambda: all(count and state != "running" for state, count in self.page.evaluate(states)),
            "the cells did not end",
        )
        errors = """() => jupyterapp.shell.currentWidget.content.widgets.flatMap(
            c => c.model.outputs?.toJSON().filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`) ?? [])"""
        assert self.page.evaluate(errors) == []

    def run(self, index: int) -> None:
        """Start the cell `index`; does not wait for its end."""
        self.page.evaluate(f"() => {{ jupyterapp.shell.currentWidget.content.activeCellIndex = {index} }}")
        self.command("notebook:run-cell")

    def is_running(self, index: int) -> bool:
        """Does the cell run? The kernel's status does not tell: its subshells have theirs in the same place."""
        cell = f"jupyterapp.shell.currentWidget.content.widgets[{index}]"
        return bool(self.page.evaluate(f"{cell}.model.executionState") == "running")

    def output(self, index: int) -> Locator:
        """What stands under the cell `index`."""
        return self.page.locator(f".jp-Notebook .jp-Cell[data-windowed-list-index='{index}'] .jp-Cell-outputArea")

    def value(self, expression: str) -> Any:
        """The value of a Python expression in the notebook's kernel; it must be JSON. AssertionError with Python's words."""
        reply = self.page.evaluate(
            f"""async ([expression]) => {{
                const future = {KERNEL}.requestExecute({{
                    code: 'import json as _json', silent: false, store_history: false,
                    user_expressions: {{ value: `_json.dumps(${{expression}})` }},
                }});
                return (await future.done).content;
            }}""",
            [expression],
        )
        assert reply["status"] == "ok", reply
        value = reply["user_expressions"]["value"]
        assert value["status"] == "ok", f"{value.get('ename')}: {value.get('evalue')}"
        return json.loads(eval(value["data"]["text/plain"]))


def blank(canvas: Locator) -> bool:
    """Does every pixel of the canvas have the same colour?"""
    return bool(
        canvas.evaluate(
            """c => {
                const { data } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
                const words = new Uint32Array(data.buffer);
                return words.every((w) => w === words[0]);
            }"""
        )
    )


def picture(place: Locator) -> str:
    """What its first canvas shows, to the pixel."""
    return str(place.locator("canvas").first.evaluate("c => c.toDataURL()"))


def scene(page: Page, title: str) -> Locator:
    """The panel of this title, in sight."""
    panel = page.get_by_role("region", name=title, exact=True).first
    panel.wait_for(state="attached")
    panel.scroll_into_view_if_needed()
    panel.locator("canvas:visible").first.wait_for()
    return panel


def shown_t(panel: Locator) -> float:
    """The time that the scene's time bar shows."""
    text = panel.get_by_label("time t, 0 is data, 1 is noise").get_attribute("aria-valuetext") or ""
    found = re.match(r"t = ([\d.]+)", text)
    assert found, text
    return float(found[1])


def press_until(page: Page, panel: Locator, key: str, message: str) -> None:
    """Press `key` on the scene's picture and wait until the picture is another."""
    panel.locator("canvas:visible").first.focus()
    before = picture(panel)
    page.keyboard.press(key)
    wait_for(lambda: picture(panel) != before, message, 20)
