"""The recipe for Binder, as far as it can be checked without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

CONDA_NAMES = {"torch": "pytorch-cpu"}


@pytest.fixture(scope="module")
def recipe(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What repo2docker makes of a clone of the repository."""
    clone = tmp_path_factory.mktemp("binder")
    shutil.copytree(checkout / "binder", clone / "binder")
    repo2docker = Path(sys.executable).parent / "jupyter-repo2docker"
    done = subprocess.run([repo2docker, "--no-build", "--debug", clone], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_repo2docker_takes_the_recipe(recipe: str) -> None:
    assert "Building conda environment for python=3.12" in recipe
    assert re.search("env update .*--file .*binder/environment.yml", recipe)
    assert re.search("RUN .*binder/postBuild", recipe)
    assert re.search("R2D_ENTRYPOINT.*binder/start", recipe)


def test_conda_brings_all_that_difflab_needs(checkout: Path) -> None:
    """postBuild installs difflab without its dependencies, so that pip does not bring a second torch."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]
    needs = [Requirement(r) for r in project["dependencies"] + project["optional-dependencies"]["lab"]]
    recipe = yaml.safe_load((checkout / "binder" / "environment.yml").read_text())
    there = {Requirement(line).name: Requirement(line) for line in recipe["dependencies"] if line != "pip" and "=" in line
             and not line.startswith(("python=", "nodejs="))}  # fmt: skip
    for need in needs:
        found = there.get(CONDA_NAMES.get(need.name, need.name))
        assert found is not None, f"binder/environment.yml lacks {need.name}"
        (least,) = found.specifier
        assert need.specifier.contains(least.version), f"{found} may be older than {need}"


def test_scripts_can_be_run(checkout: Path) -> None:
    for name in ("postBuild", "start"):
        script = checkout / "binder" / name
        assert os.access(script, os.X_OK), f"binder/{name} is not executable"
        subprocess.run(["bash", "-n", script], check=True)


def test_start_gives_torch_one_thread(checkout: Path) -> None:
    shown = subprocess.run(
        [checkout / "binder" / "start", "printenv", "OMP_NUM_THREADS"], capture_output=True, text=True
    )
    assert shown.stdout == "1\n"


def test_the_server_gets_the_low_latency_connection(checkout: Path, tmp_path: Path) -> None:
    script = checkout / "binder" / "server_config.py"
    code = f"import sys, runpy; sys.prefix = {str(tmp_path)!r}; runpy.run_path({str(script)!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    config = json.loads((tmp_path / "etc/jupyter/jupyter_server_config.json").read_text())
    assert config["ServerApp"]["kernel_websocket_connection_class"] == "difflab.server.LowLatencyConnection"
