"""Both halves of a scene know the same names: the synced traits of its class and the `State` of its TypeScript module."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from difflab import scenes
from difflab.scenes import MODULES, scene_class
from difflab.scenes.base import Scene

JS = Path(__file__).parents[2] / "js"
#: what ipywidgets and anywidget sync for themselves
MACHINERY = {"layout", "tabbable", "tooltip"}


def test_every_scene_is_in_the_list() -> None:
    assert all(issubclass(scene_class(name), Scene) for name in MODULES)
    rooms = [import_module(f"difflab.scenes.{module.name}") for module in iter_modules(scenes.__path__)]
    made = {c.__name__ for room in rooms for c in vars(room).values() if isinstance(c, type) and issubclass(c, Scene)}
    assert made - {"Scene", "Measuring"} == set(MODULES)


@pytest.fixture(scope="module")
def states() -> dict[str, list[str] | None]:
    """Names of each TypeScript module's State, read by the compiler."""
    node = shutil.which("node")
    assert node, "node is missing: run `make test`, which installs it"
    files = [f"src/scenes/{module}.ts" for module in MODULES.values()]
    said = subprocess.run([node, "tests/states.mjs", *files], cwd=JS, capture_output=True, text=True, check=True)
    return {Path(file).stem: names for file, names in json.loads(said.stdout).items()}


@pytest.mark.parametrize("name", MODULES)
def test_the_synced_traits_are_the_typescript_state(name: str, states: dict[str, list[str] | None]) -> None:
    synced = {n for n in scene_class(name).class_traits(sync=True) if not n.startswith("_")} - MACHINERY
    names = states[MODULES[name]]
    assert names is not None, f"js/src/scenes/{MODULES[name]}.ts exports no State"
    assert set(names) == synced
