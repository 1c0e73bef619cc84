"""What must not be in the repository, and versions that must agree."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

import difflab


def tracked(checkout: Path, *patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=checkout, capture_output=True, text=True, check=True
    )
    return [checkout / name for name in listed.stdout.splitlines()]


def test_one_version(checkout: Path) -> None:
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    package = json.loads((checkout / "js" / "package.json").read_text())
    assert project["version"] == package["version"] == difflab.__version__


def test_notebooks_carry_no_widget_state_and_stay_small(checkout: Path) -> None:
    notebooks = tracked(checkout, "notebooks/*.ipynb")
    assert notebooks
    for path in notebooks:
        notebook = json.loads(path.read_text())
        assert "widgets" not in notebook["metadata"], f"{path.name} carries widget state"
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        assert {kind for output in outputs for kind in output.get("data", {})} <= {"text/plain"}, path.name
        assert path.stat().st_size <= 200_000, path.name


def test_the_lock_file_names_no_host(checkout: Path) -> None:
    lock = json.loads((checkout / "js" / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


@pytest.mark.parametrize("extra", ["dask", "lab", "mnist", "tensorboard", "test", "benchmarks"])
def test_every_package_asked_for_has_a_tested_version(checkout: Path, extra: str) -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    lines = [line for line in (checkout / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    for line in project["dependencies"] + project["optional-dependencies"][extra]:
        need = Requirement(line)
        if need.name == "difflab":  # another extra of ours
            continue
        assert need.specifier.contains(tested[canonicalize_name(need.name)]), line
