"""Several processes as users start them: torchrun, accelerate, and a call in a notebook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from difflab.commands import train as command
from difflab.training import LaunchFailed, launch, load
from difflab.training.interrupts import Asked
from difflab.training.metrics_file import FILE
from difflab.training.recipe import RecipeError, recipe_from

TABLES = {
    "data": {"name": "ring"},
    "model": {"width": 16},
    "training": {"steps": 60, "batch": 64, "device": "cpu", "lr": 2e-3, "seed": 3},
}
FOREVER = {**TABLES, "training": TABLES["training"] | {"steps": 10**7}}
SPOKEN = 120  # seconds in which processes have come up and ended


def toml(path: Path, tables: dict) -> Path:
    lines = [f"[{title}]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in t.items()) for title, t in tables.items()]
    path.write_text("".join(lines))
    return path


def ran(*command: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | changes,
        timeout=SPOKEN,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The run's folder as one process writes it."""
    folder = tmp_path_factory.mktemp("alone")
    trainer = recipe_from(TABLES).trainer(folder)
    trainer.start()
    assert trainer.wait(SPOKEN) == "finished", trainer.error
    return folder


def assert_same_run(one: Path, other: Path) -> None:
    """To rounding, 1e-5 of the weights' size at most (test_distributed.py), and the same streams."""
    mine, its = (load(folder / "checkpoint.safetensors").tensors for folder in (one, other))
    assert mine.keys() == its.keys()
    for key, value in mine.items():
        torch.testing.assert_close(its[key], value, rtol=1e-4, atol=1e-5, msg=lambda m, key=key: f"{key}: {m}")
        assert not key.startswith("streams/") or torch.equal(its[key], value)
    rows = [[line.split(",")[:2] for line in (folder / FILE).read_text().splitlines()[1:]] for folder in (one, other)]
    assert [step for step, _ in rows[0]] == [step for step, _ in rows[1]] == ["50", "60"]
    assert [float(loss) for _, loss in rows[1]] == pytest.approx([float(loss) for _, loss in rows[0]], rel=1e-5)


@pytest.mark.parametrize(
    "launcher",
    [
        ("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        ("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    ],
    ids=["torchrun", "accelerate"],
)
def test_the_command_is_the_same_run_on_two_processes(tmp_path, alone, launcher):
    config = toml(tmp_path / "ring.toml", TABLES)
    done = ran(*launcher, "-m", "difflab", "train", config, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        f"Trained to step 60: {tmp_path / 'out' / 'checkpoint.safetensors'}"
    ]  # said once
    assert done.stderr.count("60/60") >= 1
    assert_same_run(alone, tmp_path / "out")


def test_what_cannot_be_is_said_once(tmp_path):
    config = toml(tmp_path / "ring.toml", TABLES | {"training": TABLES["training"] | {"batch": 63}})
    done = ran(
        "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "difflab", "train", config, "--out", tmp_path
    )  # fmt: skip
    assert done.returncode == 1
    sentence = "batch must be a multiple of 2, the number of processes that train together, but got 63."
    assert done.stderr.splitlines().count(sentence) == 1
    assert "difflab/commands" not in done.stderr  # no traceback of ours; the launcher shows its own


def test_a_notebook_s_way(tmp_path, alone, capfd):
    first = launch(TABLES | {"training": TABLES["training"] | {"steps": 30}}, folder=tmp_path / "out")
    denoiser = launch(toml(tmp_path / "ring.toml", TABLES), folder=tmp_path / "out", processes=1)  # goes on, alone
    assert "60/60" in capfd.readouterr().err
    its = load(alone / "checkpoint.safetensors").denoiser.state_dict()
    for name, mine in denoiser.state_dict().items():
        torch.testing.assert_close(mine, its[name], rtol=1e-4, atol=1e-5)
    assert not torch.equal(next(first.parameters()), next(denoiser.parameters()))
    assert next(denoiser.parameters()).device.type == "cpu"


def begun(folder: Path, then, rows: int = 1) -> None:
    """Call `then` from another thread as soon as a run in `folder` has noted as many rows of metrics."""

    def wait() -> None:
        deadline = time.monotonic() + SPOKEN
        while not ((folder / FILE).exists() and len((folder / FILE).read_text().splitlines()) > rows):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        then()

    threading.Thread(target=wait, daemon=True).start()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those that were told of this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            found.append(process)
    return found


def test_a_kernel_s_interrupt_and_its_end_stop_all_after_one_step(tmp_path):
    folder = tmp_path / "out"
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        cell = f"from difflab.training import launch; launch({FOREVER!r}, folder={str(folder)!r})"
        client.execute(cell)
        begun(folder, manager.interrupt_kernel)
        said = errors(client)
        step = load(folder / "checkpoint.safetensors").step
        assert said == [
            [f"Training was interrupted: {folder} holds step {step}, and the same call goes on from there."]
        ]
        assert step >= 50
        assert step % 1000  # no checkpoint of those that are due anyway
        assert processes_of(folder) == []
        client.execute(cell)
        ended = threading.Event()
        begun(folder, lambda: (manager.shutdown_kernel(now=True), ended.set()), rows=step // 50 + 1)
        assert ended.wait(SPOKEN)
    finally:
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel(now=True)
    deadline = time.monotonic() + 30
    while processes_of(folder) and time.monotonic() < deadline:  # nobody is left who trains for nobody
        time.sleep(0.1)
    assert processes_of(folder) == []
    later = load(folder / "checkpoint.safetensors").step
    assert later > step
    assert later % 1000


def errors(client) -> list[list[str]]:
    """What the cell in hand shows as errors, once it is done."""
    found = []
    while True:
        message = client.get_iopub_msg(timeout=SPOKEN)
        if message["msg_type"] == "error":
            found.append(message["content"]["traceback"])
        if found and message["content"].get("execution_state") == "idle":
            return found


def test_a_process_that_is_killed_ends_all_with_one_sentence(tmp_path):
    folder = tmp_path / "out"
    killed = []

    def kill() -> None:
        ranks = [p for p in processes_of(folder) if "torch.distributed.run" not in p.cmdline()]
        second = next(p for p in ranks if p.environ()["RANK"] == "1")
        killed.append(second.pid)
        second.kill()

    begun(folder, kill)
    with pytest.raises(LaunchFailed, match=r"^Another of the 2 processes that train together ended\.$"):
        launch(FOREVER, folder=folder, progress=False)
    assert killed
    assert load(folder / "checkpoint.safetensors").step >= 50  # what the first one had is whole, and was written
    assert processes_of(folder) == []


def test_what_goes_wrong_arrives_as_one_sentence(tmp_path):
    tables = TABLES | {"training": TABLES["training"] | {"lr": 1e30, "warmup": 0}}
    with pytest.raises(
        LaunchFailed, match=r"^Training diverged: the loss was not finite at step \d+; the weights of step 0"
    ):
        launch(tables, folder=tmp_path / "out", processes=1, progress=False)
    assert load(tmp_path / "out" / "checkpoint.safetensors").step == 0


@pytest.mark.parametrize(
    ("recipe", "options", "error", "sentence"),
    [
        (TABLES, {"processes": 3}, ValueError, "training.batch must be a multiple of 3 processes, but got 64"),
        (TABLES, {"processes": 0}, ValueError, "processes must be a whole number from 1 to 1024, but got 0"),
        (TABLES, {"folder": 7}, TypeError, "folder must be the path of a directory, but got 7"),
        ({"data": {"name": "rong"}}, {}, RecipeError, "rong"),
        ("nowhere.toml", {}, FileNotFoundError, "nowhere.toml"),
        (None, {}, TypeError, "A recipe is read from the path of its TOML file, but got None"),
        (TABLES, {"device": "abacus"}, ValueError, "There is no device named 'abacus'; choose auto, cpu"),
        (TABLES, {"progress": "no"}, ValueError, "progress must be True or False, but got 'no'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_started(monkeypatch, tmp_path, recipe, options, error, sentence):
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(error, match=sentence):
        launch(recipe, **{"folder": tmp_path} | options)


def test_accelerate_s_one_process_is_told_of(monkeypatch, capsys):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    command._tell_of_one()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MASTER_PORT", "29500")  # which accelerate sets for more than one
    command._tell_of_one()
    assert "starts one process whatever --num_processes says" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "0")
    command._tell_of_one()
    assert capsys.readouterr().err == ""


def test_a_third_signal_is_not_held_back():
    with Asked() as asked:
        assert asked.by is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.by == signal.SIGTERM
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.by == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_end_of_the_terminal_is_held_back_but_where_nohup_ignores_it():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with Asked() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked.by == signal.SIGHUP
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Asked() as asked:
            os.kill(os.getpid(), signal.SIGHUP)
            assert asked.by is None
    finally:
        signal.signal(signal.SIGHUP, before)
