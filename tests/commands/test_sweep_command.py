"""`difflab sweep`: what it trains, prints and returns."""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor

import pytest

from difflab import cli
from difflab.commands import sweep as module
from difflab.training import load
from difflab.training.sweeps import sweep as begin


def sweep(configs, out, changes=(), workers=2):
    return module.sweep(Namespace(configs=configs, set=list(changes), out=out, workers=workers))


def test_arguments():
    args = cli.parser().parse_args(["sweep", "a.toml", "b.toml", "--set", "training.lr=1,2", "--set", "model.width=8"])
    assert [str(path) for path in args.configs] == ["a.toml", "b.toml"]
    assert (args.set, str(args.out), args.workers) == (["training.lr=1,2", "model.width=8"], "runs/sweep", None)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-3,2e-3", [1e-3, 2e-3]),
        ("64,128", [64, 128]),
        ("constant,cosine", ["constant", "cosine"]),
        ("true,false", [True, False]),
        ("[9.0, 1, -8.0],[9, -9]", [[9.0, 1, -8.0], [9, -9]]),
        ("'a,b',c", ["'a", "b'", "c"]),  # not TOML as a whole: word by word
        ("'a,b'", ["a,b"]),
        ("5,cosine", [5, "cosine"]),
    ],
)
def test_values_are_toml_s_or_words(text, values):
    found = module._values(text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_a_grid_of_runs_and_its_table(recipe, tmp_path, capsys):
    config, out = recipe(tmp_path, data="ring", steps=60), tmp_path / "out"
    changes = ["training.lr=1e-3,1e30", "training.warmup=0"]
    assert sweep([config], out, changes) == 1
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[:4] == ["name", "lr", "state", "step"]
    good, bad = (next(line for line in table if line.startswith(name)) for name in ("lr=0.001 *", "lr=1e+30"))
    assert good.split()[2:5] == ["0.001", "finished", "60"]
    assert "failed" in bad
    assert "diverged" in bad
    assert load(out / "lr=0.001" / "checkpoint.safetensors").step == 60


def test_where_all_runs_finish_the_exit_code_is_0(recipe, tmp_path, monkeypatch, capsys):
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(
            module, "begin", lambda configs, folder, workers: begin(configs, folder=folder, executor=pool)
        )
        assert sweep([recipe(tmp_path, data="ring", steps=3)], tmp_path / "out") == 0
    assert "1 runs: 1 finished; best recipe:" in capsys.readouterr().out


def test_several_files_are_named_after_themselves(recipe, tmp_path, monkeypatch):
    got = []

    def noted(configs, **options):
        got.append(configs)
        raise ValueError("stop here")

    monkeypatch.setattr(module, "begin", noted)
    one = recipe(tmp_path, data="ring")
    two = one.with_name("other.toml")
    two.write_text(one.read_text())
    for changes in ([], ["model.width=8,16"]):
        with pytest.raises(SystemExit, match="stop here"):
            sweep([one, two], tmp_path, changes)
    assert got[0] == [one, two]
    assert list(got[1]) == ["recipe,width=8", "recipe,width=16", "other,width=8", "other,width=16"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["training.lr"], "--set needs KEY=VALUE,VALUE,... such as training.lr=1e-3,2e-3, but got 'training.lr'"),
        (["training.lr="], "but got 'training.lr='"),
        (["=3"], "but got '=3'"),
        (["training.lr=1", "training.lr=2"], "--set training.lr is given twice"),
        (["lr=1"], "such as 'training.lr', but got 'lr'"),
        (["training.lr=1,x"], "lr=x: training.lr, the learning rate, must be a positive number, but got 'x'"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_anything_starts(recipe, tmp_path, changes, sentence):
    with pytest.raises(SystemExit) as caught:
        sweep([recipe(tmp_path)], tmp_path / "out", changes)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"There is no file .*nowhere.toml"):
        sweep([tmp_path / "nowhere.toml"], tmp_path)


def test_ctrl_c_saves_the_runs_and_the_same_command_goes_on(recipe, tmp_path):
    """In a terminal the interrupt reaches the whole group; the workers are in sessions of their own."""
    config, out = recipe(tmp_path, data="ring", steps=10**7), tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "difflab.cli", "sweep", str(config), "--set", "training.seed=0,1", "--out", str(out),
         "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    metrics = out / "seed=0" / "metrics.csv"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and len(metrics.read_text().splitlines()) > 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "the same command goes on" in shown
    assert shown.count("stopped") >= 2
    assert load(out / "seed=0" / "checkpoint.safetensors").step >= 100
    assert not (out / "seed=1").exists()
