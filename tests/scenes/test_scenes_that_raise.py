"""A scene that raises while a training runs shows one red line; the training goes on, to the bit, and nothing is lost."""

import time

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.scenes.lab import Lab
from difflab.scenes.training_monitor import TrainingMonitor
from difflab.schedules import VPCosine
from difflab.training import Trainer, load, train

RING = GaussianMixture.ring()


def until(condition, timeout=60.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.01)


def fails(*_, **__):
    raise RuntimeError("the scene is broken")


@pytest.fixture
def trainer(tmp_path):
    made = Trainer(
        NetworkDenoiser.for_data(RING, VPCosine(), "eps", width=8), RING, steps=10**8, batch=16, device="cpu",
        generator=torch.Generator().manual_seed(7), folder=tmp_path / "run", save_every=50,
    )  # fmt: skip
    yield made
    made.stop()


def is_untouched(trainer, tmp_path):
    """Whether the run is what it would have been without anybody looking."""
    trainer.stop()
    assert (trainer.state, trainer.error) == ("stopped", "")
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), "eps", width=8)
    options = {"batch": 16, "device": "cpu", "generator": torch.Generator().manual_seed(7)}
    *_, state = train(denoiser, RING, steps=trainer.step, **options)
    saved = load(tmp_path / "run" / "checkpoint.safetensors")
    assert saved.step == trainer.step
    mine, its = state.run.state(), saved.tensors
    return all(torch.equal(mine[k], its[k]) for k in mine if k != "losses")  # a last step notes its mean


@pytest.mark.parametrize("broken", ["on_look", "publish", "curve"])
def test_a_monitor_that_raises_does_not_stop_what_it_watches(broken, trainer, tmp_path, monkeypatch):
    monitor = TrainingMonitor(trainer)
    if broken == "on_look":
        monitor.on_look = fails
    elif broken == "curve":
        monkeypatch.setattr(trainer, "curve", fails)
    else:
        monkeypatch.setattr(monitor, "_look", fails)
    trainer.start()
    until(lambda: monitor.error == "the scene is broken")
    step = trainer.step
    until(lambda: trainer.step > step + 50)
    assert trainer.state == "running"
    monkeypatch.undo()  # and the scene comes back by itself
    monitor.on_look = lambda: None
    until(lambda: monitor.error == "" and monitor.step > step)
    assert is_untouched(trainer, tmp_path)


def test_an_observer_that_raises_does_not_stop_what_is_watched(trainer, tmp_path):
    monitor = TrainingMonitor(trainer)
    monitor.observe(fails, "step")
    trainer.start()
    until(lambda: "the scene is broken" in monitor.error)
    step = trainer.step
    until(lambda: trainer.step > step + 50)
    assert is_untouched(trainer, tmp_path)


@pytest.mark.parametrize("lane", ["exact", "learned", "sample"])
def test_a_lane_of_the_lab_that_raises_leaves_the_training(lane, monkeypatch):
    lab = Lab(train_steps=100_000)
    try:
        lab.train()
        until(lambda: lab.monitor.trainer is not None and lab.monitor.trainer.step > 20)
        trainer = lab.monitor.trainer
        scene = {"exact": lab, "learned": lab, "sample": lab.reverse}[lane]
        job = {"exact": "_measure_floor", "learned": "_measure"}.get(lane)
        if job is None:
            monkeypatch.setattr(lab.reverse, "_denoiser", fails, raising=False)
            scene.compute("sample", "test", fails)
        else:
            monkeypatch.setattr(lab.training, job, fails)
            lab.compute(lane, "numbers", getattr(lab.training, job))
        until(lambda: scene.error == "the scene is broken")
        step = trainer.step
        until(lambda: trainer.step > step + 20)
        assert (trainer.state, trainer.error) == ("running", "")
        assert lab.monitor.trainer is trainer
    finally:
        if lab.monitor.trainer is not None:
            lab.monitor.trainer.stop()
        lab.close()


def test_a_training_that_fails_is_a_red_line_in_its_scene_and_stays(trainer, tmp_path):
    monitor = TrainingMonitor(trainer)
    trainer.on_step = lambda state: fails() if state.step == 60 else None
    trainer.start()
    until(lambda: monitor.error != "")
    assert monitor.error == "Training failed at step 61: RuntimeError: the scene is broken"
    assert monitor.state == "failed"
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 60
