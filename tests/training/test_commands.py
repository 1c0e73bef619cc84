import os
import signal
import subprocess
import sys
import time
from argparse import Namespace

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.training import load
from difflab.training.commands import sample, train

RECIPE = """
[data]
name = "{data}"
[model]
width = 16
conditional = true
[training]
steps = {steps}
batch = 16
device = "cpu"
"""


def recipe(tmp_path, data="digits", steps=4):
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(data=data, steps=steps))
    return path


def asked(path, **options):
    return Namespace(
        **{
            "checkpoint": path,
            "out": path.parent / "grid.png",
            "n": 20,
            "seed": 0,
            "labels": None,
            "sampler": "ddim",
            "steps": 5,
        }
        | options
    )


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train(Namespace(config=recipe(folder), out=folder)) == 0
    return folder / "checkpoint.safetensors"


def test_train_then_train_on(tmp_path, capsys):
    out = tmp_path / "out"
    assert train(Namespace(config=recipe(tmp_path, steps=3), out=out)) == 0
    assert load(out / "checkpoint.safetensors").step == 3
    assert train(Namespace(config=recipe(tmp_path, steps=7), out=out)) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    once = tmp_path / "once"
    assert train(Namespace(config=recipe(tmp_path, steps=7), out=once)) == 0
    resumed, straight = (load(p / "checkpoint.safetensors").tensors for p in (out, once))
    assert all(torch.equal(resumed[k], straight[k]) for k in straight)


def test_without_out_the_file_s_name_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(Namespace(config=recipe(tmp_path, steps=1), out=None)) == 0
    assert (tmp_path / "runs" / "recipe" / "checkpoint.safetensors").exists()


def test_an_interrupt_leaves_a_checkpoint(tmp_path):
    """Ctrl-C in a process of its own: exit status 130, and a checkpoint of a whole step."""
    code = (
        "import sys; from argparse import Namespace; from difflab.training.commands import train;"
        f"sys.exit(train(Namespace(config={str(recipe(tmp_path, steps=10**7))!r}, out={str(tmp_path / 'out')!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    shown = ""
    deadline = time.monotonic() + 60
    while "loss=0" not in shown and "loss=1" not in shown and "loss=2" not in shown:  # the bar shows that it is running
        shown += process.stderr.read(1)
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in out
    assert "Traceback" not in err
    assert load(tmp_path / "out" / "checkpoint.safetensors").step > 0


def test_the_grid_holds_the_samples_of_every_class(checkpoint):
    args = asked(checkpoint)
    assert sample(args) == 0
    picture = np.asarray(Image.open(args.out))
    tile = 8 * 6 + 6
    assert picture.shape == (2 * tile, 10 * tile)
    assert picture.std() > 10
    first = picture.copy()
    sample(args)
    assert np.array_equal(np.asarray(Image.open(args.out)), first)
    sample(asked(checkpoint, seed=1))
    assert not np.array_equal(np.asarray(Image.open(args.out)), first)


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
def test_labels_take_turns_in_columns(checkpoint, sampler):
    args = asked(checkpoint, labels="3,5,7", n=7, sampler=sampler)
    sample(args)
    assert Image.open(args.out).size == (3 * 54, 3 * 54)


def test_points_become_a_density(tmp_path):
    train(Namespace(config=recipe(tmp_path, data="ring", steps=2), out=tmp_path))
    args = asked(tmp_path / "checkpoint.safetensors", n=500)
    sample(args)
    assert Image.open(args.out).size == (480, 480)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "at least 1"),
        ({"labels": "3,x"}, "whole numbers with commas"),
        ({"labels": "10"}, "between 0 and 9"),
        ({"sampler": "magic"}, "no sampler named 'magic'"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_bad_requests_end_in_one_sentence(checkpoint, options, sentence):
    with pytest.raises(SystemExit, match=sentence) as caught:
        sample(asked(checkpoint, **options))
    assert "\n" not in str(caught.value)


def test_bad_files_end_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"There is no file .*nowhere.toml"):
        train(Namespace(config=tmp_path / "nowhere.toml", out=tmp_path))
    with pytest.raises(SystemExit, match=r"There is no file .*nowhere.safetensors"):
        sample(asked(tmp_path / "nowhere.safetensors"))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x00.")
    with pytest.raises(SystemExit, match="is a pickle"):
        sample(asked(tmp_path / "checkpoint.safetensors"))
    with pytest.raises(SystemExit, match="is a pickle"):
        train(Namespace(config=recipe(tmp_path), out=tmp_path))


def test_a_divergence_ends_in_one_sentence(tmp_path):
    path = recipe(tmp_path, steps=200)
    path.write_text(path.read_text() + "lr = 1e30\nwarmup = 0\n")
    with pytest.raises(SystemExit, match="Training diverged: the loss was not finite at step"):
        train(Namespace(config=path, out=tmp_path / "out"))
    assert load(tmp_path / "out" / "checkpoint.safetensors").step == 0
