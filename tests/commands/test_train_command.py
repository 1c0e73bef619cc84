"""`difflab train`: what it writes, goes on from and says."""

import os
import signal
import subprocess
import sys
import time
from argparse import Namespace

import pytest
import torch

from difflab.cli import main
from difflab.commands import train as module
from difflab.training import Trainer, load


def train(config, out, device=None):
    return module.train(Namespace(config=config, out=out, device=device))


def test_train_then_train_on(recipe, tmp_path, capsys):
    out = tmp_path / "out"
    assert train(recipe(tmp_path, steps=3), out) == 0
    assert load(out / "checkpoint.safetensors").step == 3
    assert train(recipe(tmp_path, steps=7), out) == 0
    assert "Going on from step 3" in capsys.readouterr().out
    once = tmp_path / "once"
    assert train(recipe(tmp_path, steps=7), once) == 0
    resumed, straight = (load(p / "checkpoint.safetensors").tensors for p in (out, once))
    assert all(torch.equal(resumed[k], straight[k]) for k in straight)


def test_without_out_the_file_s_name_is_taken(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train(recipe(tmp_path, steps=1), None) == 0
    assert (tmp_path / "runs" / "recipe" / "checkpoint.safetensors").exists()


def test_an_interrupt_leaves_a_checkpoint(recipe, tmp_path):
    """Ctrl-C in a process of its own: exit status 130, and a checkpoint of a whole step."""
    code = (
        "import sys; from argparse import Namespace; from difflab.commands.train import train;"
        f"config, out = {str(recipe(tmp_path, steps=10**7))!r}, {str(tmp_path / 'out')!r};"
        "sys.exit(train(Namespace(config=config, out=out, device=None)))"
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


def test_a_divergence_ends_in_one_sentence(recipe, tmp_path):
    path = recipe(tmp_path, steps=200)
    path.write_text(path.read_text() + "lr = 1e30\nwarmup = 0\n")
    with pytest.raises(SystemExit, match="Training diverged: the loss was not finite at step"):
        train(path, tmp_path / "out")
    assert load(tmp_path / "out" / "checkpoint.safetensors").step == 0


def test_an_interrupt_on_broken_weights_leaves_the_good_checkpoint(recipe, tmp_path, monkeypatch):
    """The update before the interrupt broke the weights, and no loss has told of it yet."""
    train(recipe(tmp_path, steps=3), tmp_path)
    good = (tmp_path / "checkpoint.safetensors").read_bytes()

    def broken(*args, **options):
        def poison(state):
            if state.step == 5:
                with torch.no_grad():
                    next(state.run.denoiser.parameters()).fill_(torch.nan)
                trainer.stop()

        trainer = Trainer(*args, on_step=poison, **options)
        return trainer

    monkeypatch.setattr("difflab.training.recipe.Trainer", broken)
    with pytest.raises(SystemExit, match=r"after step 5 are not finite, so checkpoint\.safetensors was not written"):
        train(recipe(tmp_path, steps=100), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == good


def test_the_command_line_chooses_the_device_over_the_recipe(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("difflab.device._has", lambda kind: False)
    path = recipe(tmp_path, steps=1)
    path.write_text(path.read_text().replace('device = "cpu"', 'device = "mps"'))
    with pytest.raises(SystemExit, match="This machine offers torch no mps device"):
        train(path, tmp_path)
    assert train(path, tmp_path, device="cpu") == 0
    with pytest.raises(SystemExit, match="This machine offers torch no cuda device"):
        train(path, tmp_path, device="cuda")


def test_bad_files_end_in_one_sentence(recipe, tmp_path):
    with pytest.raises(SystemExit, match=r"There is no file .*nowhere.toml"):
        train(tmp_path / "nowhere.toml", tmp_path)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x00.")
    with pytest.raises(SystemExit, match="is a pickle"):
        train(recipe(tmp_path), tmp_path)


def test_other_data_of_the_same_name_ends_in_one_sentence(recipe, tmp_path):
    path = recipe(tmp_path, data="ring", steps=1)
    train(path, tmp_path)
    path.write_text(path.read_text().replace("[data]", "[data]\nstd = 1.0"))
    with pytest.raises(SystemExit, match="was trained on other data of the name 'ring of 8'"):
        train(path, tmp_path)


def test_an_interrupt_before_anything_began_is_no_traceback(monkeypatch, capsys):
    def pressed(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("difflab.commands.train.train", pressed)
    assert main(["train", "any.toml"]) == 130
    assert capsys.readouterr().err == "difflab train was interrupted.\n"


def test_a_run_that_has_ended_is_not_begun_again(recipe, tmp_path, capsys):
    path = recipe(tmp_path, steps=3)
    assert train(path, tmp_path / "out") == 0
    before = (tmp_path / "out" / "checkpoint.safetensors").read_bytes()
    capsys.readouterr()
    assert train(path, tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "Already trained to step 3" in shown.out
    assert shown.err == ""
    assert (tmp_path / "out" / "checkpoint.safetensors").read_bytes() == before
    assert train(recipe(tmp_path, steps=5), tmp_path / "out") == 0  # the directory is free again
    assert load(tmp_path / "out" / "checkpoint.safetensors").step == 5
