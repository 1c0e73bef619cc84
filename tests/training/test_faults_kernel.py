"""Interrupts and restarts of a real kernel: a sentence and no traceback, and at most the step in hand is lost."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, TrainingInterrupted, fit, load, train
from difflab.training.interrupts import HeldBack

RING = GaussianMixture.ring()
SETUP = """
import torch
import torch._dynamo  # seconds, at the first optimiser, which an interrupt of a loop of one's own would cut short
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, fit, train
ring = GaussianMixture.ring()
denoiser = NetworkDenoiser.for_data(ring, VPCosine(), width=16)
options = dict(steps=10**8, batch=16, device="cpu", generator=torch.Generator().manual_seed(7))
"""


class Kernel:
    """A kernel as JupyterLab has one."""

    def __init__(self):
        manager = pytest.importorskip("jupyter_client.manager")
        self.manager = manager.KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=os.environ | {"OMP_NUM_THREADS": "1"})
        self.connect()

    def connect(self):
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(60)

    def restart(self):
        self.client.stop_channels()
        self.manager.restart_kernel()
        self.connect()

    def run(self, code, interrupt_after=None):
        """What a cell shows: its text, its value, and the lines of its errors. `interrupt_after` this many seconds from "go"."""
        cell, shown = self.client.execute(code), {"text": "", "value": None, "errors": []}
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown["text"] += content["text"]
                if interrupt_after is not None and "go" in content["text"]:
                    time.sleep(interrupt_after)
                    self.manager.interrupt_kernel()
            elif kind == "execute_result":
                shown["value"] = content["data"]["text/plain"]
            elif kind == "error":
                shown["errors"] += content["traceback"]
            elif kind == "status" and content["execution_state"] == "idle":
                return shown

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.close()


def test_an_interrupt_of_fit_shows_one_sentence_and_the_run_goes_on(kernel, tmp_path):
    kernel.run(SETUP)
    where = f"folder={str(tmp_path / 'run')!r}, progress=False, **options"
    shown = kernel.run(f"print('go')\nfit(denoiser, ring, {where})", interrupt_after=1.5)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    step = load(checkpoint).step
    assert step > 0
    sentence = (
        f"Training was interrupted after step {step} of 100000000: {checkpoint} holds it,"
        " and the same call with resume=True goes on from there."
    )
    assert shown["errors"] == [sentence]
    assert shown["text"] == "go\n"
    assert kernel.run("import sys; stopped = sys.last_value; stopped.step")["value"] == str(step)
    assert kernel.run("type(stopped.denoiser).__name__")["value"] == "'NetworkDenoiser'"
    # what is on the disk is what the denoiser of the notebook holds
    same = f"from difflab.training import load; saved = load({str(checkpoint)!r}).tensors\n"
    same += "all(torch.equal(v, saved[f'weights/{k}']) for k, v in denoiser.state_dict().items())"
    assert kernel.run(same)["value"] == "True"
    more = f"options |= dict(steps={step} + 5, resume=True)\nfit(denoiser, ring, {where})"
    assert kernel.run(more)["errors"] == []
    assert load(checkpoint).step == step + 5


def test_an_interrupt_of_a_loop_of_one_s_own_is_a_sentence_too(kernel):
    kernel.run(SETUP)
    shown = kernel.run("print('go')\nfor state in train(denoiser, ring, **options): pass", interrupt_after=1.0)
    # nearly always within a step; else within the loop's own body, which is Python's to tell
    told = kernel.run("import sys; [type(sys.last_value).__name__, str(sys.last_value)]")["value"]
    if "TrainingInterrupted" in told:
        assert len(shown["errors"]) == 1
        assert shown["errors"][0] in told
        assert "the denoiser keeps what it has learned" in shown["errors"][0]
    else:
        assert "KeyboardInterrupt" in shown["errors"][-1]
    again = """
stopped = getattr(sys.last_value, "step", state.step)
other = NetworkDenoiser.for_data(ring, VPCosine(), width=16)
list(train(other, ring, **options | dict(steps=stopped, generator=torch.Generator().manual_seed(7))))
"""
    assert kernel.run(again)["errors"] == []
    same = "all(torch.equal(a, b) for a, b in zip(denoiser.parameters(), other.parameters()))"
    assert kernel.run(same)["value"] == "True"


def test_a_divergence_is_a_sentence_too(kernel):
    code = SETUP + "fit(denoiser, ring, lr=1e30, warmup=0, progress=False, **options)"
    assert kernel.run(code)["errors"] == [
        "Training diverged: the loss was not finite at step 2; the weights of step 0 were kept. Try a smaller learning rate."
    ]


def test_an_interrupt_leaves_what_trains_in_the_background(kernel):
    kernel.run(SETUP)
    kernel.run("trainer = Trainer(denoiser, ring, **options); trainer.start()")
    shown = kernel.run("print('go')\ntrainer.wait()", interrupt_after=0.5)
    assert "KeyboardInterrupt" in shown["errors"][-1]
    before = int(kernel.run("trainer.step")["value"])
    assert kernel.run("trainer.state")["value"] == "'running'"
    time.sleep(0.2)
    assert int(kernel.run("trainer.step")["value"]) > before
    kernel.run("trainer.stop()")


def test_a_restart_loses_at_most_the_step_in_hand(kernel, tmp_path):
    kernel.run(SETUP)
    where = f"folder={str(tmp_path / 'run')!r}, save_every=10**6, **options"
    kernel.run(f"trainer = Trainer(denoiser, ring, {where}); trainer.start()")
    time.sleep(0.3)
    before = int(kernel.run("trainer.step")["value"])
    assert before > 10
    kernel.restart()
    saved = load(tmp_path / "run" / "checkpoint.safetensors").step
    assert saved >= before
    kernel.run(SETUP)
    shown = kernel.run(f"trainer = Trainer(denoiser, ring, resume=True, {where}); trainer.start(); trainer.step")
    assert shown["errors"] == []
    assert int(shown["value"]) >= saved
    kernel.run("trainer.stop()")
    end = load(tmp_path / "run" / "checkpoint.safetensors")
    assert end.step > saved
    # to the bit, whatever the kernel went through; but for the mean loss of the next row, which an end writes down
    *_, unbroken = train(fresh(), RING, steps=end.step, generator=seeded(), batch=16, device="cpu")
    state = unbroken.run.state()
    assert all(torch.equal(state[k], end.tensors[k]) for k in state if k != "losses")


@pytest.fixture
def pressing():
    """pressing(seconds, times): interrupts this process so much later."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        pytest.skip("interrupts reach the main thread alone")
    threads = []

    def press(*moments):
        def work():
            for moment in moments:
                time.sleep(moment)
                os.kill(os.getpid(), signal.SIGINT)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield press
    for thread in threads:
        thread.join()


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16)


def seeded():
    return torch.Generator().manual_seed(7)


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("progress", [True, False])
def test_an_interrupted_fit_is_whole_wherever_it_was(folder, progress, pressing, tmp_path, capsys):
    options = {"batch": 16, "device": "cpu"} | ({"folder": tmp_path} if folder else {})
    denoiser = fresh()
    before = signal.getsignal(signal.SIGINT)
    pressing(0.3)
    with pytest.raises(TrainingInterrupted) as caught:
        fit(denoiser, RING, steps=10**8, generator=seeded(), progress=progress, **options)
    assert signal.getsignal(signal.SIGINT) is before
    stopped = caught.value
    *_, state = train(fresh(), RING, steps=stopped.step, batch=16, device="cpu", generator=seeded())
    for mine, its in ((denoiser, state.run.denoiser), (stopped.denoiser, state.ema)):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), its.parameters(), strict=True))
    if folder:
        assert load(tmp_path / "checkpoint.safetensors").step == stopped.step
        Trainer(fresh(), RING, steps=10**8, resume=True, **options).stop()  # the folder is free
    else:
        assert str(stopped).endswith(
            "the denoiser keeps what it has learned; give folder= to be able to go on from there."
        )
    assert stopped._render_traceback_() == [str(stopped)]


def test_a_second_interrupt_does_not_wait_and_leaves_a_whole_run_too(pressing, tmp_path):
    denoiser = fresh()
    run_to = {"batch": 16, "device": "cpu", "folder": tmp_path, "save_every": 10}
    list(train(denoiser, RING, steps=20, generator=seeded(), **run_to))

    def slow(state):
        while True:
            time.sleep(0.01)

    with HeldBack() as interrupt:
        pressing(0.1, 0.1)
        with pytest.raises(KeyboardInterrupt):
            slow(None)
        assert interrupt.pressed
    assert load(tmp_path / "checkpoint.safetensors").step == 20


def test_where_interrupts_are_ignored_they_stay_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with HeldBack() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
        assert not interrupt.pressed
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_fit_in_another_thread_minds_no_interrupts():
    ends = []
    thread = threading.Thread(
        target=lambda: ends.append(fit(fresh(), RING, steps=5, batch=16, device="cpu", progress=False))
    )
    thread.start()
    thread.join()
    assert isinstance(ends[0], NetworkDenoiser)


def test_a_process_that_ends_writes_what_its_trainers_have(tmp_path):
    code = SETUP + (
        "import sys, time\n"
        "trainers = [Trainer(NetworkDenoiser.for_data(ring, VPCosine(), width=16), ring, folder=f'{sys.argv[1]}/{i}',"
        " save_every=10**6, **options) for i in range(2)]\n"
        "[t.start() for t in trainers]\n"
        "while min(t.step for t in trainers) < 20: time.sleep(0.01)\n"
        "print(*(t.step for t in trainers))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for i, step in enumerate(map(int, done.stdout.split())):
        assert load(tmp_path / str(i) / "checkpoint.safetensors").step >= step
