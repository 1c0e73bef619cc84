"""A run's directory: what is kept in it, what is made of what a fault left there, and who may write into it."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import warnings

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import CheckpointError, Trainer, fit, load, train
from difflab.training.folder import FolderError

RING = GaussianMixture.ring()


def trained(folder, steps, **options):
    """The last state of a training there."""
    options = {"batch": 16, "device": "cpu", "save_every": 4, "keep": 2} | options
    generator = torch.Generator().manual_seed(7)
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    state = None
    for state in train(denoiser, RING, steps=steps, folder=folder, generator=generator, **options):  # noqa: B007
        pass
    return state


def trainer_in(folder, **options):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    return Trainer(denoiser, RING, folder=folder, **{"steps": 10**8, "batch": 16, "device": "cpu"} | options)


def steps_of(folder):
    """{name: step} of all checkpoints there."""
    return {path.name: load(path).step for path in folder.glob("*.safetensors")}


@pytest.mark.parametrize("links", [True, False])
def test_the_newest_and_a_few_older_ones_are_kept_under_their_steps(links, tmp_path, monkeypatch):
    if not links:  # such as exFAT

        def refuses(*_):
            raise PermissionError("Operation not permitted")

        monkeypatch.setattr(os, "link", refuses)
    trained(tmp_path, 18)
    assert steps_of(tmp_path) == {
        "checkpoint.safetensors": 18, "checkpoint-000000016.safetensors": 16, "checkpoint-000000012.safetensors": 12
    }  # fmt: skip
    trained(tmp_path, 22, resume=True, keep=0)
    assert steps_of(tmp_path) == {"checkpoint.safetensors": 22}
    trained(tmp_path, 23, resume=True, keep=1)
    assert steps_of(tmp_path) == {"checkpoint.safetensors": 23, "checkpoint-000000022.safetensors": 22}


@pytest.mark.parametrize("harm", ["cut short", "zeros", "gone"])
def test_where_the_newest_cannot_be_read_the_run_goes_on_from_the_one_before(harm, tmp_path):
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    trained(whole, 18)
    shutil.copytree(whole, hurt)
    newest = hurt / "checkpoint.safetensors"
    content = newest.read_bytes()
    if harm == "gone":
        newest.unlink()
    else:
        newest.write_bytes(content[: len(content) // 2] if harm == "cut short" else bytes(len(content)))
    with pytest.warns(
        UserWarning, match=r"The run goes on from step 16, checkpoint-000000016\.safetensors\.$"
    ) as warned:
        one = trained(hurt, 24, resume=True)
    said = str(warned[0].message)
    assert len(warned) == 1
    assert "checkpoint.safetensors" in said
    assert "\n" not in said
    other = trained(whole, 24, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(one.run.state().values(), other.run.state().values(), strict=True))
    aside = hurt / "unread-checkpoint.safetensors"
    assert aside.exists() == (harm != "gone")  # it may be of a newer difflab: nobody throws it away
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained(hurt, 26, resume=True).step == 26


def test_where_nothing_can_be_read_the_newest_is_told_and_left(tmp_path):
    trained(tmp_path, 6)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 2
    for path in files:
        path.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"^checkpoint\.safetensors is not a difflab checkpoint\.$"):
        trained(tmp_path, 8, resume=True)
    assert [path.read_bytes() for path in files] == [b"x", b"x"]


def test_a_folder_that_only_has_older_ones_holds_a_run(tmp_path):
    trained(tmp_path, 18)
    (tmp_path / "checkpoint.safetensors").unlink()
    with (
        pytest.warns(UserWarning, match=r"There is no checkpoint\.safetensors in .* The run goes on from step 16"),
        pytest.raises(FolderError, match="already holds a run, at step 16: give resume=True"),
    ):
        trained(tmp_path, 18)
    assert len(steps_of(tmp_path)) == 2


def test_going_back_to_an_older_one_keeps_the_newer_ones_until_they_are_written_anew(tmp_path):
    trained(tmp_path, 18)
    older = tmp_path / "checkpoint-000000012.safetensors"
    state = trained(tmp_path, 14, resume=older, lr=1e-3)
    assert steps_of(tmp_path) == {
        "checkpoint.safetensors": 14, "checkpoint-000000018.safetensors": 18, "checkpoint-000000016.safetensors": 16
    }  # fmt: skip
    assert torch.equal(load(tmp_path / "checkpoint.safetensors").tensors["step"], state.run.state()["step"])
    # on the new way step 16 is another one, and takes the place of the old one
    before = load(tmp_path / "checkpoint-000000016.safetensors").tensors["weights/network.first.weight"]
    trained(tmp_path, 20, resume=True, lr=1e-3)
    after = load(tmp_path / "checkpoint-000000016.safetensors")
    assert after.step == 16
    assert not torch.equal(before, after.tensors["weights/network.first.weight"])


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    trained(tmp_path, 6)
    (tmp_path / "averages").mkdir(exist_ok=True)
    left = [
        tmp_path / ".checkpoint.safetensors.0123abcd.unfinished",
        tmp_path / "averages" / ".average.unfinished",
    ]
    mine = [tmp_path / "notes.unfinished", tmp_path / ".hidden", tmp_path / "checkpoint-best.safetensors"]
    for path in (*left, *mine):
        path.write_bytes(b"x")
    trained(tmp_path, 20, resume=True)
    assert not any(path.exists() for path in left)
    assert all(path.read_bytes() == b"x" for path in mine)


HOLD = """
import sys, time, torch
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer
ring = GaussianMixture.ring()
trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), width=16), ring, steps=10**8, batch=16, device="cpu",
    folder=sys.argv[1], save_every=10, resume=True)
trainer.start()
while trainer.step < 25:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
"""


def test_two_processes_in_one_folder_are_told_and_a_killed_one_holds_nothing(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "ready\n"
        before = load(tmp_path / "checkpoint.safetensors").step
        for start in (trainer_in, lambda folder: trained(folder, 5), lambda folder: fit_in(folder)):
            with pytest.raises(
                FolderError, match=rf"^Another training \(process {other.pid} on .*\) writes into .*: stop that one, or"
            ) as caught:
                start(tmp_path)
            assert "\n" not in str(caught.value)
        assert other.poll() is None
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.stdout.close()
    trainer = trainer_in(tmp_path, resume=True)
    assert trainer.step >= before >= 20
    trainer.stop()


def fit_in(folder):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    return fit(denoiser, RING, steps=5, batch=16, device="cpu", folder=folder, progress=False)


def test_two_trainers_of_one_process_are_told(tmp_path):
    first = trainer_in(tmp_path)
    for state in ("idle", "running"):
        assert first.state == state
        with pytest.raises(
            FolderError, match=r"^Another training of this process writes into .*: stop that one, or give an"
        ):
            trainer_in(tmp_path, resume=True)
        with pytest.raises(FolderError, match="of this process"):
            trainer_in(tmp_path / ".." / tmp_path.name, resume=True)  # another name of the same place
        first.start()
    first.stop()
    assert not (tmp_path / "writer").exists()
    trainer_in(tmp_path, resume=True).stop()


def test_every_end_of_a_training_lets_go_of_the_folder(tmp_path):
    def free(**options):
        trainer_in(tmp_path, resume=True, **options).stop()

    trainer_in(tmp_path).stop()  # never started
    free()
    trainer_in(tmp_path, resume=True)  # never started, and forgotten
    gc.collect()
    free()
    states = train(
        NetworkDenoiser.for_data(RING, VPCosine(), width=16),
        RING,
        steps=9,
        batch=16,
        device="cpu",
        folder=tmp_path,
        resume=True,
    )
    del states  # never begun
    gc.collect()
    free()

    def fails(state):
        raise OSError("the network drive is gone")

    trainer = trainer_in(tmp_path, resume=True, on_step=fails)
    trainer.start()
    assert trainer.wait(20) == "failed"
    free()
    for wrong in ({"steps": 0}, {"lr": -1.0}, {"weighting": "none"}, {"conditional": True}, {"on_stop": 1}):
        with pytest.raises((ValueError, TypeError)):
            trainer_in(tmp_path, resume=True, **wrong)
        free()


@pytest.mark.parametrize("where", ["a file", "below a file", "proc"])
def test_a_place_that_cannot_be_written_into_is_one_sentence_before_anything_is_computed(where, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    folder = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "run", "proc": "/proc/none"}[where]
    if where == "proc" and not os.path.isdir("/proc/self"):
        pytest.skip("there is no /proc here")
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    before = [p.detach().clone() for p in denoiser.parameters()]
    for start in (train, fit, Trainer):
        with pytest.raises(FolderError, match=rf"^Nothing can be written into {folder} \(.+\): give another folder\.$"):
            start(denoiser, RING, steps=5, device="cpu", folder=folder)
    assert all(torch.equal(a, b) for a, b in zip(denoiser.parameters(), before, strict=True))
    from difflab.cli import main

    recipe = tmp_path / "ring.toml"
    recipe.write_text("data.name = 'ring'\ntraining.steps = 3\ntraining.device = 'cpu'")
    with pytest.raises(SystemExit, match=r"^Nothing can be written into .*: give another folder\.$"):
        main(["train", str(recipe), "--out", str(folder)])


READ_ONLY = """
import os, sys
import torch._dynamo
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import fit
ring = GaussianMixture.ring()
denoiser = NetworkDenoiser.for_data(ring, VPCosine(), width=16)
os.setuid(65534)  # root may write everywhere
try:
    fit(denoiser, ring, steps=5, batch=16, device="cpu", folder=sys.argv[1], resume=True, progress=False)
except ValueError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("holds_a_run", [True, False])
def test_a_folder_of_somebody_else_is_one_sentence(holds_a_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    if holds_a_run:
        trained(folder, 6)
    there = {path.name: path.read_bytes() for path in folder.iterdir()}
    for place in (folder, *folder.parents):
        if place.is_relative_to("/tmp") and place != tmp_path.anchor:
            place.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY, folder], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == f"Nothing can be written into {folder} (Permission denied): give another folder.\n", (
        done.stderr
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == there
