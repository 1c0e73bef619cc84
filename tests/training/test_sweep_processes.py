"""Sweeps in processes: a worker that is killed loses one run at most, and no signal reaches it by accident."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

import difflab
from difflab.training import load
from difflab.training.recipe import recipe_from
from difflab.training.sweeps import LocalProcesses, WorkerLost, grid

BASE = {
    "data": {"name": "ring"},
    "model": {"width": 8},
    "training": {"steps": 800, "batch": 16, "device": "cpu", "save_every": 50},
}


def until(condition, timeout=120.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.02)


def alone(config, folder):
    trainer = recipe_from(config).trainer(folder, threads=1)
    trainer.start()
    assert trainer.wait(120) == "finished"
    return load(folder / "checkpoint.safetensors").tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture(scope="module")
def pool():
    with LocalProcesses(2) as processes:
        yield processes


def test_jobs_are_done_in_processes_that_outlive_them_and_are_not_this_one(pool):
    ids = [pool.submit(os.getpid) for _ in range(6)]
    assert [pool.submit(pow, 2, n).result(60) for n in range(4)] == [1, 2, 4, 8]
    pids = {one.result(60) for one in ids}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_what_a_job_raises_arrives_and_what_cannot_be_sent_is_said(pool):
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(60)
    with pytest.raises(RuntimeError, match="cannot be sent back"):
        pool.submit(open, os.devnull).result(60)  # an open file
    with pytest.raises(AttributeError):
        pool.submit(lambda: 3)
    with pytest.raises(SystemExit):
        pool.submit(sys.exit, 3).result(60)  # raised in the job: the worker lives
    assert pool.submit(print, "no answer").result(60) is None  # what is printed is none


def test_a_worker_that_ends_loses_its_job_alone(pool):
    others = [pool.submit(time.sleep, 0.2) for _ in range(2)]
    with pytest.raises(WorkerLost, match=r"^the worker ended with exit code 7$"):
        pool.submit(os._exit, 7).result(60)
    assert [one.result(60) for one in others] == [None, None]
    after = [pool.submit(time.sleep, 0.2) for _ in range(4)]  # as many as reach both workers, the new one too
    assert [one.result(60) for one in after] == [None] * 4


def test_a_job_that_waits_can_be_cancelled_and_a_closed_pool_takes_none():
    with LocalProcesses(1) as pool:
        long = pool.submit(time.sleep, 1.0)
        until(long.running)
        waits, waits_too = pool.submit(pow, 2, 3), pool.submit(pow, 2, 3)
        assert waits.cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        assert waits_too.cancelled()
        assert long.result(60) is None
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(pow, 2, 3)


def test_a_killed_worker_s_run_goes_on_in_another_one_to_the_same_bits(tmp_path):
    configs = grid(BASE, {"training.seed": [0, 1]})
    runs = difflab.sweep(configs, folder=tmp_path / "sweep", workers=2)
    victim, other = runs.runs
    until(lambda: victim.checkpoint.exists() and other.starts)
    os.kill(victim.starts[0]["pid"], signal.SIGKILL)
    runs.wait(120)
    assert [run.state for run in runs.runs] == ["finished", "finished"]
    assert (victim.losses, other.losses) == (1, 0)
    assert len(other.starts) == 1
    again = victim.starts[1]["step"]
    assert 0 < again < 800
    assert victim.note == f"lost a worker and went on from step {again}"
    assert victim.note in repr(runs)
    assert same(load(victim.checkpoint).tensors, alone(configs[victim.name], tmp_path / "alone"))


def test_without_retries_it_is_lost_and_alone_in_it(tmp_path):
    runs = difflab.sweep(grid(BASE, {"training.seed": [0, 1]}), folder=tmp_path, workers=2, retries=0)
    victim, other = runs.runs
    until(lambda: victim.checkpoint.exists())
    os.kill(victim.starts[0]["pid"], signal.SIGKILL)
    runs.wait(120)
    assert (victim.state, other.state) == ("lost", "finished")
    assert victim.error == "lost: the worker was ended by SIGKILL, as where memory runs out"
    assert load(victim.checkpoint).step >= 50
    assert runs.best is other


def test_a_pool_of_processes_that_breaks_keeps_what_is_finished(tmp_path):
    """Python's own pool breaks as a whole: the run that is done stays done, the two in hand are lost, each with a sentence."""
    short = BASE | {"training": BASE["training"] | {"steps": 20}}
    long = BASE | {"training": BASE["training"] | {"steps": 100_000}}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = difflab.sweep({"short": short, "long": long, "longer": long}, executor=pool, folder=tmp_path)
        until(lambda: runs["short"].ended and runs["long"].checkpoint.exists() and runs["longer"].starts)
        os.kill(runs["long"].starts[0]["pid"], signal.SIGKILL)
        runs.wait(60)
    assert [run.state for run in runs.runs] == ["finished", "lost", "lost"]
    for run in runs.runs[1:]:
        assert run.error.startswith("lost: its executor broke as a whole (BrokenProcessPool: ")
        assert "\n" not in run.error


def script(tmp_path, steps, body, preexec=None):
    """A process in a group of its own, as a terminal or a notebook starts one, with no guard around its main module."""
    config = BASE | {"training": BASE["training"] | {"steps": steps, "save_every": 10**6}}
    code = f"""
        import difflab, os, sys, time
        runs = difflab.sweep({{"a": {config!r}}}, folder={str(tmp_path)!r}, workers=1)
        while not runs["a"].step:
            time.sleep(0.02)
        print(runs["a"].starts[0]["pid"], flush=True)
        {body}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=preexec,
    )  # fmt: skip


def test_an_interrupt_of_the_group_ends_the_waiting_and_not_the_runs(tmp_path):
    body = (
        "runs.show(); print('interrupted', runs['a'].state); runs.wait(); print(runs['a'].state, len(runs['a'].starts))"
    )
    process = script(tmp_path, 2500, body)
    process.stdout.readline()
    time.sleep(0.3)  # it waits in show() by then, or ends by the interrupt, and the test fails
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert out.endswith("interrupted running\nfinished 1\n"), out + err


def deaf():
    """As a kernel between two cells, or a job of a shell in the background: children ignore interrupts, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("end", "preexec"), [("sys.exit()", None), ("os.kill(os.getpid(), 9)", None), ("os.kill(os.getpid(), 9)", deaf)]
)
def test_where_the_process_of_a_sweep_ends_its_runs_are_saved(tmp_path, end, preexec):
    """In whatever way it ends. The only checkpoint is the one at the end of a run: one is due every million steps."""
    process = script(tmp_path, 10**6, end, preexec)
    process.communicate(timeout=120)
    until(lambda: (tmp_path / "a" / "checkpoint.safetensors").exists(), 30)
    reached = load(tmp_path / "a" / "checkpoint.safetensors").step
    assert 0 < reached < 10**6
    config = BASE | {"training": BASE["training"] | {"steps": 10**6, "save_every": 10**6}}
    until(lambda: not running(tmp_path / "a", config), 30)


def running(folder, config):
    try:
        recipe_from(config).trainer(folder).stop()
    except ValueError as error:
        return "Another training writes into" in str(error)
    return False
