"""The monitor's buttons, pressed as people press them, and what is left when it goes."""

import threading
import time

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.scenes.training_monitor import TrainingMonitor
from difflab.schedules import VPCosine
from difflab.training import Trainer


def wait_until(condition, timeout: float = 30.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.02)


def new_trainer(steps: int = 100_000, **options) -> Trainer:
    ring = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(ring, VPCosine(), "eps")
    return Trainer(denoiser, ring, steps=steps, batch=32, generator=torch.Generator().manual_seed(0), **options)


def press(monitor: TrainingMonitor, name: str) -> None:
    monitor._receive(monitor, {"request": name}, [])


def training_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "difflab-training"]


def test_the_curve_is_the_trainers_and_ends_with_it() -> None:
    monitor = TrainingMonitor(new_trainer(300), floor=0.3, floor_error=0.01)
    press(monitor, "start")
    wait_until(lambda: monitor.state == "finished")
    numbers = monitor.numbers()
    assert numbers["step"] == numbers["total_steps"] == 300
    assert monitor.curve.tolist() == monitor.trainer.curve().tolist()
    assert numbers["loss"] == pytest.approx(float(monitor.curve[-8:, 1].mean()))
    assert numbers["floor"] == 0.3


def test_start_pressed_three_times_trains_once() -> None:
    before = len(training_threads())
    monitor = TrainingMonitor()
    monitor.make_trainer = new_trainer
    for _ in range(3):
        press(monitor, "start")
    monitor.settle()
    wait_until(lambda: monitor.state == "running")
    assert len(training_threads()) == before + 1
    press(monitor, "stop")
    wait_until(lambda: len(training_threads()) == before)


def test_pause_and_stop_return_before_the_step_in_hand_is_over() -> None:
    gate = threading.Event()
    trainer = new_trainer(on_step=lambda _: gate.wait(20))  # a step that takes long
    monitor = TrainingMonitor(trainer)
    press(monitor, "start")
    wait_until(lambda: trainer.step >= 1)
    start = time.monotonic()
    press(monitor, "pause")
    press(monitor, "stop")
    assert time.monotonic() - start < 5
    gate.set()
    wait_until(lambda: trainer.state == "stopped")


def test_a_failure_is_told_and_taken_back_when_the_next_training_begins() -> None:
    def fail(state) -> None:
        if state.step == 5:
            raise KeyError("x")

    trainers = [new_trainer(on_step=fail), new_trainer(50)]
    monitor = TrainingMonitor()
    monitor.make_trainer = lambda: trainers.pop(0)
    press(monitor, "start")
    wait_until(lambda: monitor.state == "failed")
    wait_until(lambda: "Training failed at step 6: KeyError" in monitor.error)
    press(monitor, "start")
    wait_until(lambda: monitor.state == "finished")
    monitor.settle()
    assert monitor.error == ""


def test_buttons_without_a_trainer_say_what_to_do() -> None:
    monitor = TrainingMonitor()
    press(monitor, "pause")
    monitor.settle()
    assert monitor.error == "Nothing is training: press Start first."
    press(monitor, "start")
    monitor.settle()
    assert "attach(trainer)" in monitor.error


def test_monitors_that_are_gone_leave_no_thread_behind() -> None:
    def watching() -> int:
        return sum(t.name == "difflab monitor" for t in threading.enumerate())

    before = watching()  # of monitors that other tests left open
    monitors = [TrainingMonitor(new_trainer(10)) for _ in range(5)]
    assert watching() == before + 5
    for monitor in monitors:
        press(monitor, "start")
    wait_until(lambda: watching() == before)  # all have ended
    idle = [TrainingMonitor(new_trainer(10)) for _ in range(5)]
    assert watching() == before + 5
    for monitor in idle:
        monitor.close()
    wait_until(lambda: watching() == before)
