"""The command line: what it understands, and one sentence for what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from difflab import __version__, cli


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"difflab {__version__}\n"


def test_lab_hands_its_flags_on(monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[str] = []
    monkeypatch.setattr("difflab.server.lab", got.extend)
    assert cli.main(["lab", "--no-browser", "--port", "8899", "--ServerApp.root_dir=x"]) == 0
    assert got == ["--no-browser", "--port", "8899", "--ServerApp.root_dir=x"]


def test_train_and_sample_arguments() -> None:
    train = cli.parser().parse_args(["train", "digits.toml", "--out", "runs/a"])
    assert (train.config, train.out, train.device) == (Path("digits.toml"), Path("runs/a"), None)
    assert cli.parser().parse_args(["train", "digits.toml", "--device", "mps"]).device == "mps"
    sample = cli.parser().parse_args(["sample", "model.safetensors", "--labels", "3,7", "--sampler", "ancestral"])
    assert (sample.out, sample.n, sample.seed, sample.labels) == (Path("grid.png"), 100, 0, "3,7")
    assert (sample.sampler, sample.evaluations, sample.device) == ("ancestral", 50, "auto")
    assert cli.parser().parse_args(["sample", "model.safetensors"]).sampler is None
    with pytest.raises(SystemExit, match="2"):
        cli.parser().parse_args(["sample", "model.safetensors", "--device", "abacus"])


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; from difflab import cli\ntry: cli.main(['sample', '--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("command", ["train", "sample"])
def test_a_missing_file_is_one_sentence(command: str, tmp_path: Path) -> None:
    given = [sys.executable, "-m", "difflab.cli", command, str(tmp_path / "nowhere")]
    done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert done.stderr.count("\n") == 1, "no traceback"
