"""A sweep on a real cluster of Dask's, two workers in processes of their own on this machine."""

import os
import signal
import time

import pytest
import torch

import difflab
from difflab.training import load
from difflab.training.recipe import recipe_from
from difflab.training.sweeps import grid

distributed = pytest.importorskip("distributed")

BASE = {
    "data": {"name": "ring"},
    "model": {"width": 8},
    "training": {"steps": 600, "batch": 16, "device": "cpu", "save_every": 50},
}


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as one,
    ):
        yield one


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


def test_a_killed_worker_of_the_cluster_loses_nothing_but_time(client, tmp_path):
    """Dask gives the job to another worker, where it goes on from its checkpoint, to the same bits."""
    workers = set(client.run(os.getpid).values())
    assert len(workers) == 2
    assert os.getpid() not in workers
    configs = grid(BASE, {"training.seed": [0, 1]})
    runs = difflab.sweep(configs, executor=client.get_executor(), folder=tmp_path / "sweep")
    victim = runs.runs[0]
    until(lambda: victim.checkpoint.exists() and victim.starts)
    assert victim.starts[0]["pid"] in workers
    os.kill(victim.starts[0]["pid"], signal.SIGKILL)
    runs.wait(180)
    assert [run.state for run in runs.runs] == ["finished"] * 2
    assert 0 < victim.starts[-1]["step"] < 600
    assert victim.starts[-1]["pid"] != victim.starts[0]["pid"]
    assert "lost a worker and went on from step" in victim.note
    expected = alone(configs[victim.name], tmp_path / "alone")
    got = load(victim.checkpoint).tensors
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[key], expected[key]) for key in got)


def test_a_sweep_on_the_cluster_can_be_stopped(client, tmp_path):
    long = BASE | {"training": BASE["training"] | {"steps": 10**6, "save_every": 10**6}}
    runs = difflab.sweep(grid(long, {"training.seed": [0, 1, 2]}), executor=client.get_executor(), folder=tmp_path)
    until(lambda: sum(run.step > 0 for run in runs.runs) == 2)
    runs.stop(60)
    assert [run.state for run in runs.runs] == ["stopped"] * 3
    assert sum(run.checkpoint.exists() for run in runs.runs) == 2
    until(lambda: not any(client.processing().values()))


def test_a_client_is_not_taken_for_its_executor(client, tmp_path):
    with pytest.raises(TypeError, match=r"give its get_executor\(\)"):
        difflab.sweep([BASE], executor=client, folder=tmp_path)
