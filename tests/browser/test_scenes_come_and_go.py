"""Scenes that lose their Python, their cell's output or their page: what stays, and what must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from live import Server, wait_for
from notebook import IMPORTS, SCENES, Notebook, blank, press_until, scene
from playwright.sync_api import Page, expect

Shoot = Callable[[str], Path]

STOPPED = ".difflab-stopped"


@pytest.fixture
def notebook(page: Page, jupyterlab: Server) -> Notebook:
    return Notebook(page, jupyterlab)


def test_a_restart_shows_in_every_scene_and_running_again_brings_it_back(
    page: Page, notebook: Notebook, shoot: Shoot
) -> None:
    notebook.open(IMPORTS, *SCENES.values()).run_all()
    forward, reverse = scene(page, "Forward noising"), scene(page, "Reverse trajectories")
    expect(reverse).to_contain_text("energy distance, exact")
    page.evaluate("jupyterapp.shell.currentWidget.context.sessionContext.restartKernel()")
    expect(page.locator(STOPPED)).to_have_count(len(SCENES))
    for title in SCENES:
        root = page.locator(STOPPED).filter(has=scene(page, title))
        banner = root.evaluate("e => getComputedStyle(e, '::before').content")
        assert "Python stopped" in banner, title
        for control in root.locator(".difflab-kernel:visible").all():
            assert control.evaluate("e => getComputedStyle(e).pointerEvents") == "none"
    # what needs no Python still works
    for panel in (forward, reverse):
        panel.scroll_into_view_if_needed()
        press_until(page, panel, "ArrowRight", "the picture does not scrub without Python")
    scene(page, "Reverse trajectories")
    shoot("notebook-restarted")
    notebook.run_all()
    expect(page.locator(STOPPED)).to_have_count(0)
    expect(scene(page, "Reverse trajectories")).to_contain_text("energy distance, exact")
    press_until(page, scene(page, "Forward noising"), "ArrowRight", "the scene did not come back")
    wait_for(lambda: notebook.value("forward.t") == pytest.approx(0.36), "Python's clock does not follow")


# Listeners on the window and the document outlive the elements for which they listen. Counted are those of the scenes'
# own code, which anywidget loads from a blob.
LISTENERS = """(() => {
    const heard = new Map();
    const name = (target, type) => `${target === window ? 'window' : 'document'} ${type}`;
    const ids = new Map();
    const id = (f) => ids.get(f) ?? (ids.set(f, ids.size), ids.size - 1);
    window.heard = () => [...heard.values()];
    window.frames_asked = 0;
    const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype;
    EventTarget.prototype.addEventListener = function (type, f, options) {
        if ((this === window || this === document) && new Error().stack.includes('blob:')) {
            const key = `${name(this, type)} ${id(f)}`;
            heard.set(key, name(this, type));
            if (options?.signal) add.call(options.signal, 'abort', () => heard.delete(key), { once: true });
        }
        return add.call(this, type, f, options);
    };
    EventTarget.prototype.removeEventListener = function (type, f, options) {
        if (this === window || this === document) heard.delete(`${name(this, type)} ${id(f)}`);
        return remove.call(this, type, f, options);
    };
    const frame = window.requestAnimationFrame;
    window.requestAnimationFrame = (f) => { window.frames_asked += 1; return frame.call(window, f); };
})()"""


def test_a_cleared_output_leaves_nothing_behind(page: Page, notebook: Notebook) -> None:
    page.add_init_script(LISTENERS)
    made = [source.rpartition("\n")[0] for source in SCENES.values()]
    shown = [source.rpartition("\n")[2] for source in SCENES.values()]
    notebook.open("\n".join([IMPORTS, *made]), *shown).run_all()
    idle: list[list[str]] = []
    for _ in range(3):
        for index in range(1, len(shown) + 1):
            notebook.run(index)
        forward = scene(page, "Forward noising")
        expect(page.locator(".difflab-panel")).to_have_count(len(SCENES))
        press_until(page, forward, "Space", "space does not play")
        assert page.evaluate("window.heard()").count("window keydown") >= len(SCENES)  # each keeps its keys
        notebook.command("notebook:clear-all-cell-outputs")
        expect(page.locator(".difflab-panel")).to_have_count(0)
        page.wait_for_timeout(100)  # the page's own tidying
        asked = page.evaluate("window.frames_asked")
        page.wait_for_timeout(500)
        asked = page.evaluate("window.frames_asked") - asked
        assert asked < 8, f"{asked} animation frames in half a second after the scenes were gone"
        idle.append(sorted(page.evaluate("window.heard()")))
    # uPlot listens to the window's size once for all charts of a module, and keeps that; nothing comes on top
    assert idle[0] == idle[1] == idle[2]
    assert "window keydown" not in idle[0]
    assert "document visibilitychange" not in idle[0]


def test_a_notebook_saved_with_its_widgets_opens_without_python(
    page: Page, notebook: Notebook, jupyterlab: Server, shoot: Shoot
) -> None:
    jupyterlab.set("@jupyter-widgets/jupyterlab-manager:plugin", saveState=True)
    try:
        notebook.open(IMPORTS, *SCENES.values()).run_all()
        expect(scene(page, "Reverse trajectories")).to_contain_text("energy distance, exact")
        notebook.value("[s.settle() for s in (forward, desk, reverse, bits)]")
        page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        file = jupyterlab.root / notebook.file
        wait_for(lambda: "widgets" in json.loads(file.read_text())["metadata"], "no widget state was saved")
        for session in jupyterlab.ask("sessions"):
            jupyterlab.ask(f"sessions/{session['id']}", "DELETE")
        page.goto("about:blank")
        notebook.visit()
        for title in SCENES:
            panel = scene(page, title)
            wait_for(lambda p=panel: not blank(p.locator("canvas:visible").first), f"{title} draws nothing")
            expect(panel.get_by_role("alert")).to_be_hidden()
            shoot(f"notebook-saved-{title.lower().replace(' ', '-')}")
        expect(page.locator(STOPPED)).to_have_count(len(SCENES))
        press_until(page, scene(page, "Forward noising"), "ArrowRight", "the picture does not scrub")
    finally:
        jupyterlab.set("@jupyter-widgets/jupyterlab-manager:plugin", saveState=False)
