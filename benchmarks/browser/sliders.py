"""Slider to pixels: from a movement of a slider to the end of the first frame with the new picture, for the same 10,000 points.

Beside ForwardNoising stand `ipywidgets.interact` with matplotlib and a plotly FigureWidget with `scattergl`, each of them
moved by a slider over t and drawn from the same x_0 and eps, in one notebook of one JupyterLab, taking turns. What is new is
asked of the page itself: other pixels on our canvas, another image under `interact`, plotly's own event after it has drawn.
"""

from __future__ import annotations

from place import Notebook, chromium, jupyterlab, median, opened

SETUP = """
import numpy as np, ipywidgets, matplotlib.pyplot as plt, plotly.graph_objects as go
from difflab import ForwardNoising
from difflab.scenes.choices import schedule_of
forward = ForwardNoising(n=10_000, t=0.3, layers=["points"])
x0, eps, schedule = forward.x0, forward.eps, schedule_of(forward.schedule)
def at(t):
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
    return alpha * x0 + sigma * eps
"""
CELLS = {
    "ForwardNoising": "forward",
    "interact + matplotlib": """
def draw(t):
    x = at(t)
    plt.figure(figsize=(6, 4)); plt.scatter(x[:, 0], x[:, 1], s=1); plt.xlim(-4, 4); plt.ylim(-3, 3); plt.show()
ipywidgets.interact(draw, t=ipywidgets.FloatSlider(value=0.3, min=0, max=1, step=0.01));""",
    "plotly FigureWidget": """
figure = go.FigureWidget(go.Scattergl(x=at(0.3)[:, 0], y=at(0.3)[:, 1], mode="markers", marker={"size": 2}))
figure.update_layout(width=700, height=420, xaxis_range=[-4, 4], yaxis_range=[-3, 3])
slider = ipywidgets.FloatSlider(value=0.3, min=0, max=1, step=0.01)
def move(change):
    x = at(change["new"])
    with figure.batch_update():
        figure.data[0].x, figure.data[0].y = x[:, 0], x[:, 1]
slider.observe(move, "value")
ipywidgets.VBox([slider, figure])""",
}
#: how a page moves each of them by one step and sees that its picture is new
MOVES = {
    "ForwardNoising": """async () => {
        const input = document.querySelector('.difflab-scrub');
        const canvas = document.querySelector('.difflab-stage canvas');
        const look = () => canvas.getContext('2d').getImageData(0, canvas.height >> 1, canvas.width, 8).data.join();
        const before = look();
        const act = () => { input.value = String((Number(input.value) + 10) % 1000); input.dispatchEvent(new Event('input')); };
        return until(act, () => look() !== before);
    }""",
    "interact + matplotlib": """async () => {
        const image = () => document.querySelector('.widget-interact img');
        const handle = document.querySelector('.widget-interact .noUi-handle');
        const before = image()?.src;
        const act = () => handle.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
        return until(act, () => image() && image().src !== before && image().complete && image().naturalWidth > 0);
    }""",
    "plotly FigureWidget": """async () => {
        const plot = document.querySelector('.js-plotly-plot');
        const cell = plot.closest('.jp-OutputArea');
        const handle = cell.querySelector('.noUi-handle');
        let drawn = false;
        plot.on('plotly_afterplot', () => (drawn = true));
        const act = () => handle.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true }));
        const took = await until(act, () => drawn);
        plot.removeAllListeners('plotly_afterplot');
        return took;
    }""",
}
FORMULA = """async () => {
    const select = document.querySelector('.difflab select[aria-label="formula of the schedule"]');
    const canvas = document.querySelector('.difflab-stage canvas');
    const look = () => canvas.getContext('2d').getImageData(0, canvas.height >> 1, canvas.width, 8).data.join();
    const before = look();
    const act = () => {
        select.selectedIndex = (select.selectedIndex + 1) % 2;
        select.dispatchEvent(new Event('change'));
    };
    return until(act, () => look() !== before);
}"""


def measure(rounds: int = 3, moves: int = 8) -> dict[str, list[float]]:
    with chromium() as browser, jupyterlab() as server:
        notebook = opened(browser, server, SETUP, *CELLS.values())
        notebook.run_all()
        found: dict[str, list[float]] = {name: [] for name in [*MOVES, "ForwardNoising, another schedule"]}
        for _ in range(rounds):
            for index, (name, move) in enumerate(MOVES.items(), 1):
                found[name] += _moved(notebook, index, move, moves)
            found["ForwardNoising, another schedule"] += _moved(notebook, 1, FORMULA, moves)
    return found


def _moved(notebook: Notebook, index: int, move: str, moves: int) -> list[float]:
    place = notebook.output(index)
    place.scroll_into_view_if_needed()
    place.locator("canvas, img").first.wait_for()
    notebook.page.evaluate(move)  # the first one warms up
    took = []
    for _ in range(moves):
        notebook.page.wait_for_timeout(150)  # what is under way ends
        took.append(float(notebook.page.evaluate(move)))
    return took


def report() -> None:
    found = measure()
    ours = median(found["ForwardNoising"])
    for name, took in found.items():
        ordered = sorted(took)
        print(
            f"{name}: median {median(took):.0f} ms ({ordered[len(ordered) // 10]:.0f} to {ordered[-len(ordered) // 10]:.0f})"
            f", {median(took) / ours:.1f} times ours"
        )


if __name__ == "__main__":
    report()
