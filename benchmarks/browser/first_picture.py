"""First picture: how much later a scene is on screen than an empty anywidget would be, with torch imported before.

Cells of an empty widget and of a scene take turns in one notebook. The time is from the order to run the cell to the end of
the first frame in which its canvas stands there; ours must have been drawn on.
"""

from __future__ import annotations

from place import chromium, jupyterlab, median, opened

SETUP = """
import torch, anywidget, difflab
from difflab import ForwardNoising
class Empty(anywidget.AnyWidget):
    _esm = "export default { render({ el }) { el.append(document.createElement('canvas')); } }"
"""
SHOWN = """async ([index, drawn]) => {
    const { content } = jupyterapp.shell.currentWidget;
    content.activeCellIndex = index;
    const node = content.widgets[index].node;
    const there = () => {
        const canvas = node.querySelector('canvas');
        if (!canvas || !drawn) return canvas !== null;
        if (!canvas.width || !canvas.height) return false;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((v) => v !== 0);
    };
    return until(() => void jupyterapp.commands.execute('notebook:run-cell'), there, 20000);
}"""


def measure(rounds: int = 6) -> dict[str, list[float]]:
    cells = [SETUP] + ["Empty()", "ForwardNoising()"] * rounds
    found: dict[str, list[float]] = {"empty": [], "scene": []}
    with chromium() as browser, jupyterlab() as server:
        notebook = opened(browser, server, *cells)
        notebook.run(0)
        notebook.value("ForwardNoising.__name__")  # waits for its turn after the first cell
        for index in range(1, len(cells)):
            drawn = index % 2 == 0
            found["scene" if drawn else "empty"].append(notebook.page.evaluate(SHOWN, [index, drawn]))
            notebook.page.wait_for_timeout(200)
    return found


def report() -> None:
    found = measure()
    empty, scene = median(found["empty"]), median(found["scene"])
    print(
        f"an empty anywidget is there after {empty:.0f} ms, ForwardNoising after {scene:.0f} ms: {scene - empty:.0f} ms later"
        f" (worst {max(found['scene']) - empty:.0f}; the first of each: {found['empty'][0]:.0f}, {found['scene'][0]:.0f})"
    )


if __name__ == "__main__":
    report()
