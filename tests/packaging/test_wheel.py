"""From a checkout to an sdist to a wheel to an environment without Node, with the front end all the way."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

EXTENSION = "share/jupyter/labextensions/difflab"


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout + done.stderr)


def without_node(folder: Path) -> dict[str, str]:
    """An environment in which `node` and `npm` fail when called, wherever else they may be."""
    for name in ("node", "npm"):
        program = folder / name
        program.write_text("#!/bin/sh\necho Node was called >&2\nexit 1\n")
        program.chmod(0o755)
    return os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", out, checkout)
    return next(out.glob("difflab-*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the sdist, built where Node cannot be called."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(sdist, folder)
    source = next(folder.glob("difflab-*"))
    nowhere = folder / "bin"
    nowhere.mkdir()
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder / "out", source),
        env=without_node(nowhere),
    )
    return next((folder / "out").glob("difflab-*.whl"))


def test_the_sdist_carries_the_front_end_and_its_sources_but_no_packages(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        "difflab/static/widget.js",
        "difflab/static/page.js",
        "difflab/static/widget.css",
        "difflab/labextension/package.json",
        "js/package-lock.json",
        "js/.npmrc",
        "js/src/widget.ts",
        "js/src/labextension/index.ts",
        "LICENSE",
    } <= names
    assert not [name for name in names if "node_modules" in name or name.startswith(("artifacts/", "runs/", ".venv/"))]


def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        front_end = archive.read("difflab/static/widget.js") + archive.read("difflab/static/widget.css")
    data = next(name.split("/")[0] for name in names if ".data/" in name)
    assert {"difflab/static/widget.js", "difflab/static/widget.css", "difflab/static/page.js"} <= set(names)
    assert f"{data}/data/{EXTENSION}/package.json" in names
    assert f"{data}/data/{EXTENSION}/install.json" in names
    assert any(name.startswith(f"{data}/data/{EXTENSION}/static/remoteEntry.") for name in names)
    assert not [name for name in names if name.startswith("difflab/labextension/")], (
        "the extension would be there twice"
    )
    assert not [name for name in names if name.endswith((".map", ".ts"))]
    assert wheel.name.endswith("-py3-none-any.whl")
    # anywidget sends the bundle once for every scene: what it weighs is felt
    assert len(gzip.compress(front_end)) < 150_000  # all scenes, charts included


def test_a_bare_checkout_builds_its_front_end(checkout: Path, tmp_path: Path) -> None:
    """Only what git holds, nothing built before: the build brings the front end's packages and builds it."""
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=checkout).split("\0")
    bare = tmp_path / "bare"
    for name in filter(None, files):
        if (checkout / name).is_file():
            (bare / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, bare / name)
    assert not (bare / "difflab" / "static").exists()
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / "out", bare)
    with zipfile.ZipFile(next((tmp_path / "out").glob("difflab-*.whl"))) as archive:
        names = archive.namelist()
        fresh = archive.read("difflab/static/widget.js")
    assert any(f"data/{EXTENSION}/static/remoteEntry." in name for name in names)
    # the same sources and the same locked packages give the same bundle: what this checkout has built is not stale
    assert fresh == (checkout / "difflab" / "static" / "widget.js").read_bytes()


def test_it_installs_and_lists_its_extension_without_node(wheel: Path, tmp_path: Path) -> None:
    """A fresh environment, in which JupyterLab and torch come from this one's packages."""
    run(sys.executable, "-m", "venv", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    nowhere = tmp_path / "bin"
    nowhere.mkdir()
    environment = without_node(nowhere)
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, env=environment)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # Only the folder, not its .pth files: the editable difflab of this environment must not be found.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")

    where = run(
        python, "-c", "import difflab.scenes.bundle as b; print(b.__file__, b.STATIC)", cwd=tmp_path, env=environment
    )
    assert all(Path(path).is_relative_to(packages) for path in where.split())

    listed = run(python, "-m", "jupyterlab.labextensions", "list", cwd=tmp_path, env=environment)
    (line,) = [line for line in listed.splitlines() if "difflab" in line and "v0" in line]
    assert "enabled" in line
    assert "OK" in line
    assert "(python, difflab)" in line, "install.json names the package"
    assert f"{tmp_path / 'env'}/share/jupyter/labextensions" in listed

    state = run(
        *(python, "-c", "from difflab import ScheduleDesk; print(sorted(ScheduleDesk().numbers()))"),
        cwd=tmp_path,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )
    assert "'t'" in state
