"""The house as docs/architecture.md draws it: imports point downwards, and the engine knows no widget."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "difflab"

#: floors from the bottom up; a room may use the rooms of its own floor and of those below
FLOORS = [
    {"data", "schedules", "device", "checks", "estimate", "linear"},
    {"predictions", "chain", "runge_kutta", "variances"},
    {"denoisers", "networks", "flow"},
    {
        "advice",
        "bound",
        "convergence",
        "decoders",
        "elbo",
        "likelihood",
        "metrics",
        "mmse",
        "objectives",
        "samplers",
        "terms",
    },
    {"training", "plots"},
    {"scenes", "server", "commands"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
SHOWN = {"anywidget", "ipywidgets", "traitlets", "IPython", "jupyterlab", "jupyter_server", "plotly", "tqdm"}
MAY_SHOW = {"scenes", "server", "plots", "commands"}


def modules() -> list[Path]:
    return sorted(p for p in HOUSE.rglob("*.py") if p != HOUSE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported(path: Path) -> list[tuple[str, int]]:
    """Absolute names of all imports in a file, those inside functions too, but not those for the type checker alone."""
    found = []
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
                if node.level
                else ""
            )
            base = base or str(node.module)
            found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HOUSE)))
def test_imports_point_downwards(path: Path) -> None:
    room = room_of(path)
    assert room in LEVEL, f"{room} stands on no floor: add it to FLOORS and to docs/architecture.md"
    for name, line in imported(path):
        parts = name.split(".")
        if parts[0] != "difflab" or len(parts) < 2 or parts[1] not in LEVEL:
            continue
        assert LEVEL[parts[1]] <= LEVEL[room], f"{path.name}:{line} reaches up from {room} to {parts[1]}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(HOUSE)))
def test_the_engine_knows_no_widget_and_no_bar(path: Path) -> None:
    if room_of(path) in MAY_SHOW or path in (HOUSE / "training" / "fit.py", HOUSE / "training" / "launch.py"):
        return  # the last two are plain use, with a progress bar around the loop
    shown = [(name, line) for name, line in imported(path) if name.split(".")[0] in SHOWN]
    assert not shown, f"{path.name} imports {shown}"


def test_the_map_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [room for room in LEVEL if f"{room}.py" not in text and f"{room}/" not in text]
    assert not missing


def test_importing_difflab_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'numpy', 'sklearn', 'anywidget', 'plotly'} & set(sys.modules)"
    code = f"import sys, difflab; assert not {heavy}, {heavy}; assert 'Lab' in dir(difflab)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports them by it: on a clean checkout the second one would not be collected."""
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
