"""Disks that are full, for real: one sentence, the older checkpoint whole, and the run in memory can be saved elsewhere."""

import errno
import os
import subprocess
import sys

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import NotSaved, Trainer, fit, load, save, train

RING = GaussianMixture.ring()
SMALL = {"batch": 16, "device": "cpu"}
SENTENCE = r"^The checkpoint of step 30 could not be written into .* \({}\); the one of step 20 there is whole\.$"

# In all of these the disk takes checkpoints of 16 KB, the first one or two of them, and no more.
BODY = """
import json, os, sys
import torch
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import NotSaved, Trainer, fit, load, save, train
folder, elsewhere = sys.argv[1:3]
ring = GaussianMixture.ring()
def denoiser():
    return NetworkDenoiser.for_data(ring, VPCosine(), width=16)
def seeded():
    return torch.Generator().manual_seed(7)
common = dict(batch=16, device="cpu", steps=100, save_every=10, keep=100)
trainer = Trainer(denoiser(), ring, folder=folder, generator=seeded(), **common)
{prepare}
trainer.start()
end = trainer.wait(60)
newest = load(folder + "/checkpoint.safetensors").step
readable = [load(os.path.join(folder, name)).step for name in os.listdir(folder) if name.endswith(".safetensors")]
left = [name for name in os.listdir(folder) if name.endswith(".unfinished")]
trainer.save(elsewhere)
saved = load(elsewhere).step
whole = [s.run.state() for s in train(denoiser(), ring, generator=seeded(), **common)][-1]
on = [s.run.state() for s in train(denoiser(), ring, resume=elsewhere, **common)][-1]
print(json.dumps(dict(
    end=end, error=trainer.error, step=trainer.step, newest=newest, readable=sorted({*readable}), left=left, saved=saved,
    same=all(torch.equal(whole[k], on[k]) for k in whole),
)))
"""


def told(done):
    import json

    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check(told, reason, folder):
    assert told["end"] == "failed"
    assert told["newest"] >= 10
    assert told["step"] == told["saved"] == told["newest"] + 10
    assert told["error"] == (
        f"The checkpoint of step {told['step']} could not be written into {folder} ({reason});"
        f" the one of step {told['newest']} there is whole."
    )
    assert told["readable"] == sorted({*range(10, told["newest"] + 1, 10)})
    assert told["left"] == []
    assert told["same"]


def runs(prepare, folder, elsewhere, before=()):
    command = [*before, sys.executable, "-c", BODY.replace("{prepare}", prepare), str(folder), str(elsewhere)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def may_mount():
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not may_mount(), reason="a small file system can only be mounted by root on Linux")
def test_a_full_disk(tmp_path):
    """A file system of 128 KB, which nobody but the training sees."""
    folder = tmp_path / "small" / "run"
    folder.parent.mkdir()
    mount = f'mount -t tmpfs -o size=128k none "{folder.parent}" && exec "$@"'
    done = runs("", folder, tmp_path / "elsewhere.safetensors", before=("unshare", "-m", "sh", "-c", mount, "sh"))
    check(told(done), os.strerror(errno.ENOSPC), folder)


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
def test_a_file_larger_than_is_allowed(tmp_path):
    """As of a quota, and in the midst of the run: files may have 1 KB from step 25 on."""
    prepare = """
import resource, signal
def on_step(state):
    if state.step == 25:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, resource.RLIM_INFINITY))
    if state.step == 30:
        raise RuntimeError("it went on")
trainer.on_step = on_step
save_real, trainer.save = trainer.save, lambda path: (
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2), save_real(path))
"""
    folder = tmp_path / "run"
    check(told(runs(prepare, folder, tmp_path / "elsewhere.safetensors")), os.strerror(errno.EFBIG), folder)


@pytest.fixture
def full(monkeypatch):
    """full(after): from the `after`-th flush to the disk on, there is no space."""

    def fill(after):
        real, calls = os.fsync, []

        def fsync(file):
            calls.append(file)
            if len(calls) > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(file)

        monkeypatch.setattr(os, "fsync", fsync)

    return fill


@pytest.mark.parametrize("start", [fit, lambda *args, **options: list(train(*args, **options))], ids=["fit", "train"])
def test_whoever_trains_gets_the_run_with_the_sentence(start, full, tmp_path, monkeypatch):
    options = SMALL | {"folder": tmp_path / "run", "save_every": 10, "generator": torch.Generator().manual_seed(7)}
    if start is fit:
        options["progress"] = False
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    real = os.replace
    done = []

    def replace(source, target):
        if str(target).endswith("checkpoint.safetensors"):
            done.append(target)
            if len(done) >= 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(NotSaved, match=SENTENCE.format(os.strerror(errno.ENOSPC))) as caught:
        start(denoiser, RING, steps=100, **options)
    monkeypatch.undo()
    assert isinstance(caught.value, OSError)
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 20
    save(caught.value.run, tmp_path / "elsewhere.safetensors")
    assert load(tmp_path / "elsewhere.safetensors").step == 30
    *_, state = train(denoiser, RING, steps=35, resume=tmp_path / "elsewhere.safetensors", **SMALL)
    assert state.step == 35


def test_the_command_line_says_so_too(full, tmp_path):
    from difflab.cli import main

    recipe = tmp_path / "ring.toml"
    recipe.write_text(
        "data.name = 'ring'\nmodel.width = 16\n[training]\nsteps = 100\nbatch = 16\ndevice = 'cpu'\nsave_every = 10\n"
    )
    full(3)
    with pytest.raises(
        SystemExit, match=r"^The checkpoint of step \d+ could not be written into .*run \(No space left"
    ):
        main(["train", str(recipe), "--out", str(tmp_path / "run")])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_metrics_that_cannot_be_written_end_the_run_in_the_same_way(tmp_path):
    folder = tmp_path / "run"
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    trainer = Trainer(denoiser, RING, steps=200, folder=folder, save_every=30, **SMALL)

    def fill(state):
        if state.step == 40:
            os.dup2(os.open("/dev/full", os.O_WRONLY), trainer._folder._metrics._file.fileno())

    trainer.on_step = fill
    trainer.start()
    assert trainer.wait(60) == "failed"
    assert "could not be written into" in trainer.error
    assert "(No space left on device)" in trainer.error
    assert "\n" not in trainer.error
    assert load(folder / "checkpoint.safetensors").step >= 30
    again = Trainer(denoiser, RING, steps=200, folder=folder, save_every=30, resume=True, **SMALL)
    assert again.step >= 30
    again.start()
    assert again.wait(60) == "finished"
