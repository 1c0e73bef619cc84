"""A step that does not fit into memory: one sentence, and the run as after the step before."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, TrainingOutOfMemory, load, train
from difflab.training.faults import is_out_of_memory
from difflab.training.loop import begun, continued

RING = GaussianMixture.ring()
SENTENCE = r"^Out of memory at step {}: a batch of 16 does not fit on cpu; try a smaller batch or a smaller network\.$"

# Real: the process may have 1 GB more than it has, and a batch of 2^20 in a network of width 512 wants twice that for one layer.
LIMITED = """
import json, resource, sys
import torch
import torch._dynamo
from difflab.cli import main
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, fit, train
folder, recipe = sys.argv[1:3]
ring = GaussianMixture.ring()
def denoiser():
    return NetworkDenoiser.for_data(ring, VPCosine(), width=512)
fit(denoiser(), ring, steps=2, batch=8, device="cpu", progress=False)
size = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (size + 2**30, resource.RLIM_INFINITY))
said = {}
options = dict(steps=5, batch=2**20, device="cpu")
def told(name, start, *args, **options):
    try:
        start(*args, **options)
    except (MemoryError, SystemExit) as error:
        said[name] = str(error)
told("fit", fit, denoiser(), ring, progress=False, **options)
told("train", lambda *args, **options: list(train(*args, **options)), denoiser(), ring, **options)
told("before", fit, NetworkDenoiser.for_data(ring, VPCosine(), width=12_000, depth=2), ring, progress=False, **options)
trainer = Trainer(denoiser(), ring, folder=folder, **options)
trainer.start()
trainer.wait(60)
said["Trainer"] = trainer.error
told("cli", main, ["train", recipe, "--out", folder + "-cli"])
*_, state = train(denoiser(), ring, steps=3, batch=64, device="cpu")
said["after"] = state.step
print(json.dumps(said))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
def test_a_batch_that_really_does_not_fit(tmp_path):
    recipe = tmp_path / "ring.toml"
    recipe.write_text(
        "data.name = 'ring'\nmodel.width = 512\n[training]\nsteps = 5\nbatch = 1048576\ndevice = 'cpu'\nthreads = 1\n"
    )
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "run"), str(recipe)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    sentence = (
        "Out of memory at step 1: a batch of 1048576 does not fit on cpu; try a smaller batch or a smaller network."
    )
    before = (
        "Out of memory before the first step: the network, its averages and the data do not fit; try a smaller network."
    )
    assert said == {
        "fit": sentence,
        "train": sentence,
        "Trainer": sentence,
        "cli": sentence,
        "before": before,
        "after": 3,
    }


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("f8")), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"), True),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (OSError("out of memory"), False),
    ],
)
def test_memory_errors_are_known_by_their_kind_or_words(error, is_one):
    assert is_out_of_memory(error) == is_one


@pytest.mark.parametrize("where", ["forward", "backward", "update", "average"])
def test_wherever_it_happens_the_run_is_whole_and_goes_on_to_the_bit(where, tmp_path):
    options = {"steps": 60, "batch": 16, "device": "cpu"}

    def fresh():
        return NetworkDenoiser.for_data(RING, VPCosine(), width=16)

    def seeded():
        return torch.Generator().manual_seed(7)

    *_, unbroken = train(fresh(), RING, generator=seeded(), **options)
    run, folder = begun(fresh(), RING, generator=seeded(), folder=tmp_path, save_every=7, **options)

    def fails(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    states = continued(run, folder)
    for _ in range(30):
        next(states)
    match where:
        case "forward":
            run.objective.loss_of = run.blocks.draw = fails
        case "backward":
            run.descend = lambda loss: fails()
        case "update":
            run._update = fails
        case "average":
            run.ema.update = fails
    with pytest.raises(TrainingOutOfMemory, match=SENTENCE.format(31)) as caught:
        next(states)
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    # an update that was cut in two is undone as a whole: back to the last copy, and no newer checkpoint is replaced by it
    assert run.step == (0 if where in ("update", "average") else 30)
    assert run.whole
    assert load(tmp_path / "checkpoint.safetensors").step == (28 if where in ("update", "average") else 30)
    del states
    *_, resumed = train(fresh(), RING, generator=seeded(), folder=tmp_path, resume=True, **options)
    one, other = unbroken.run.state(), resumed.run.state()
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_trainer_shows_the_sentence_and_can_be_saved(make, tmp_path):
    trainer = make(steps=100)
    draw, steps = trainer._run.blocks.draw, []

    def fails():
        steps.append(1)
        if len(steps) == 21:
            raise RuntimeError(
                "DefaultCPUAllocator: not enough memory: you tried to allocate 8589934592 bytes.\nBuy more."
            )
        return draw()

    trainer._run.blocks.draw = fails
    trainer.start()
    assert trainer.wait(30) == "failed"
    assert (
        trainer.error
        == "Out of memory at step 21: a batch of 16 does not fit on cpu; try a smaller batch or a smaller network."
    )
    trainer.save(tmp_path / "c.safetensors")
    assert load(tmp_path / "c.safetensors").step == 20


def test_other_errors_of_a_network_keep_their_words_and_the_last_step(tmp_path):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    trainer = Trainer(denoiser, RING, steps=100, batch=16, device="cpu", folder=tmp_path, save_every=50)

    def spoil(state):
        if state.step == 12:
            trainer._run.blocks.draw = None

    trainer.on_step = spoil
    trainer.start()
    assert trainer.wait(30) == "failed"
    assert trainer.error == "Training failed at step 13: TypeError: 'NoneType' object is not callable"
    assert load(tmp_path / "checkpoint.safetensors").step == 12


def test_a_callback_that_raises_keeps_the_last_whole_step(tmp_path):
    def fails(state):
        if state.step == 33:
            raise ZeroDivisionError("float division by zero")

    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    trainer = Trainer(denoiser, RING, steps=100, batch=16, device="cpu", folder=tmp_path, save_every=50, on_step=fails)
    trainer.start()
    assert trainer.wait(30) == "failed"
    assert trainer.error == "Training failed at step 34: ZeroDivisionError: float division by zero"
    assert load(tmp_path / "checkpoint.safetensors").step == 33


def test_a_callback_that_leaves_python_ends_the_training_and_nothing_else():
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    trainer = Trainer(denoiser, RING, steps=100, batch=16, device="cpu", on_step=lambda state: sys.exit("bye"))
    trainer.start()
    assert trainer.wait(30) == "failed"
    assert "SystemExit: bye" in trainer.error
