"""The keyboard inside a scene in a notebook cell belongs to the scene: JupyterLab has shortcuts for nearly every plain key."""

from __future__ import annotations

from live import Server, wait_for
from notebook import Notebook, scene
from playwright.sync_api import Page, expect

CELLS = "jupyterapp.shell.currentWidget.content.widgets.length"


def test_plain_keys_are_the_scenes_and_shortcuts_stay_jupyterlabs(page: Page, jupyterlab: Server) -> None:
    notebook = Notebook(page, jupyterlab).open("import difflab", "desk = difflab.ScheduleDesk()\ndesk", "1 + 1")
    notebook.run_all()
    desk = scene(page, "Schedule")
    cells = page.evaluate(CELLS)

    # a slider: each of these keys moves it one position, and Python hears of it
    slider = desk.get_by_label("offset s")
    slider.focus()
    at = int(slider.input_value())
    for key, moved in [("ArrowRight", 1), ("ArrowUp", 2), ("ArrowLeft", 1), ("ArrowDown", 0), ("End", 1000 - at)]:
        page.keyboard.press(key)
        assert int(slider.input_value()) == at + moved, key
    wait_for(lambda: notebook.value("desk.schedule['params']['s']") == 0.2, "Python did not hear of the slider", 10)

    # a button: Enter and space press it
    mmse = desk.get_by_role("button", name="mmse", exact=True)
    mmse.focus()
    page.keyboard.press("Enter")
    expect(mmse).to_have_attribute("aria-pressed", "true")
    beta = desk.get_by_role("button", name="beta", exact=True)
    beta.focus()
    page.keyboard.press("Space")
    expect(beta).to_have_attribute("aria-pressed", "true")
    expect(beta).to_be_focused()

    # letters that would add, cut or delete cells
    for key in ("a", "b", "x", "d", "d"):
        page.keyboard.press(key)
    # a list answers to its own keys
    formula = desk.locator("select:visible").first
    formula.focus()
    before = formula.input_value()
    page.keyboard.press("ArrowDown")
    assert formula.input_value() != before
    assert page.evaluate(CELLS) == cells

    # Ctrl+S is still JupyterLab's
    dirty = "jupyterapp.shell.currentWidget.context.model.dirty"
    page.evaluate(f"{dirty} = true")
    slider = desk.locator("input[type=range]:visible").first
    slider.focus()
    page.keyboard.press("Control+s")
    wait_for(lambda: not page.evaluate(dirty), "Ctrl+S does not save the notebook", 10)
