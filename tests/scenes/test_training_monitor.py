"""The monitor's buttons, pressed as people press them, and what is left when it goes."""

import threading
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import traitlets

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import floor
from difflab.scenes.training_monitor import TrainingMonitor, loss_error
from difflab.schedules import VPCosine, VPLinear
from difflab.training import LossCurve, Trainer


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
    losses = monitor.curve[:, 1].astype(float)
    late = losses[len(losses) // 2 :]
    assert numbers["loss_error"] == pytest.approx(np.sqrt(((late[1:] - late[:-1]) ** 2).mean() / 2 / 8))
    assert numbers["excess_error"] == pytest.approx(np.hypot(numbers["loss_error"], 0.01))


def test_the_losss_error_is_that_of_eight_batches_also_while_it_falls() -> None:
    """Of 300 differences a standard deviation is known to sqrt(3 / 4 / 300), a twentieth: four of those."""
    rng = np.random.default_rng(0)
    losses = np.linspace(5.0, 3.0, 600) + 0.1 * rng.standard_normal(600)
    assert loss_error(losses) == pytest.approx(0.1 / 8**0.5, rel=0.2)
    assert loss_error(losses[:3]) is None


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


def test_buttons_that_have_nothing_to_drive_say_what_to_do() -> None:
    monitor = TrainingMonitor()
    press(monitor, "pause")
    monitor.settle()
    assert monitor.error == "Nothing is training: press Run first."
    monitor = TrainingMonitor(new_trainer(5))
    press(monitor, "start")
    wait_until(lambda: monitor.state == "finished")
    press(monitor, "start")
    monitor.settle()
    assert monitor.error == "This training has finished: give the monitor one with attach(trainer)."


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


def flat(trainer: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.denoiser.parameters()])


def test_it_trains_by_itself_with_the_seed_on_screen() -> None:
    """The same numbers as the same training by hand, also led by single steps, slowly, and looked at by nobody."""
    monitor = TrainingMonitor(seed=3, total_steps=40)
    for name in ("step", "step", "step"):  # the network is not built yet when the last one is pressed
        press(monitor, name)
    monitor.settle()
    wait_until(lambda: monitor.state == "paused")
    assert monitor.step == 3
    assert monitor.numbers()["step"] == 3
    monitor.slow, monitor.pace = True, 1000.0
    press(monitor, "step")
    wait_until(lambda: monitor.step == 4)
    trainer = monitor.trainer
    monitor.close()  # the page is gone: training goes on, and as fast as it can
    assert trainer.pace is None
    trainer.start()
    assert trainer.wait(30) == "finished"

    ring = GaussianMixture.ring()
    other = Trainer(
        NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=3),
        ring,
        steps=40,
        generator=torch.Generator().manual_seed(3),
    )
    other.start()
    other.wait(30)
    assert torch.equal(flat(trainer), flat(other))
    assert trainer.curve().tolist() == other.curve().tolist()
    assert len(trainer.curve()) == 40  # a point for each step: none is lost


def test_another_seed_is_another_training_when_run_is_pressed() -> None:
    monitor = TrainingMonitor(total_steps=5)
    press(monitor, "start")
    monitor.settle()
    first = monitor.trainer
    wait_until(lambda: monitor.state == "finished")
    monitor.seed = 1
    monitor.settle()
    assert (monitor.state, monitor.step, monitor.trainer) == ("idle", 0, None)
    press(monitor, "start")
    monitor.settle()
    wait_until(lambda: monitor.state == "finished")
    assert not torch.equal(flat(first), flat(monitor.trainer))


@pytest.mark.parametrize(("data", "prediction"), [("ring", "eps"), ("digits", "v")])
def test_the_floor_is_there_before_the_training(data, prediction) -> None:
    """Of the same loss, by other draws: five of the standard errors of both together."""
    monitor = TrainingMonitor(data)
    found = monitor.numbers()
    assert monitor.prediction == prediction
    oracle = ExactDenoiser(monitor.data, VPCosine())
    other = floor(oracle, prediction, n=1024, conditional=data == "digits", generator=torch.Generator().manual_seed(99))
    assert abs(found["floor"] - other.value) < 5 * (found["floor_error"] ** 2 + other.error**2) ** 0.5
    assert monitor.state == "idle"


def test_the_floor_of_a_given_training_is_found_and_moves_with_its_schedule() -> None:
    trainer = new_trainer(weighting="min-snr")
    monitor = TrainingMonitor(trainer)
    monitor.settle()
    oracle = ExactDenoiser(trainer.data, VPCosine())
    expected = trainer.objective.floor(oracle, "eps", generator=torch.Generator().manual_seed(99))
    error = (monitor.floor_error**2 + expected.error**2) ** 0.5
    assert abs(monitor.floor - expected.value) < 5 * error
    before = monitor.floor
    trainer.start()
    trainer.reschedule(VPLinear())
    wait_until(lambda: monitor.floor not in (None, before))
    trainer.stop()


def test_a_curve_that_rests_goes_with_its_schedule() -> None:
    """Else losses under the old schedule would lie under the floor of the new one."""
    trainer = new_trainer()
    monitor = TrainingMonitor(trainer)
    trainer.advance(20)
    wait_until(lambda: monitor.state == "paused" and monitor.curve is not None and len(monitor.curve))
    trainer.reschedule(VPLinear())
    wait_until(lambda: len(monitor.curve) == 0 and monitor.loss is None)
    assert monitor.step == 20
    assert "loss" not in monitor.numbers()


def test_a_floor_that_was_given_stays() -> None:
    monitor = TrainingMonitor(new_trainer(5), floor=0.25)
    monitor.settle()
    assert monitor.floor == 0.25


def test_a_monitor_of_ones_own_training_takes_another_one() -> None:
    monitor = TrainingMonitor()
    assert monitor.own
    trainer = new_trainer(10)
    monitor.attach(trainer)
    assert not monitor.own
    press(monitor, "start")
    wait_until(lambda: monitor.state == "finished")
    assert monitor.trainer is trainer
    with pytest.raises(ValueError, match="attach another one instead"):
        monitor.show("moons")


def test_slow_is_slow_and_can_be_changed_while_it_runs() -> None:
    monitor = TrainingMonitor(new_trainer(), slow=True, pace=2.0)
    assert monitor.trainer.pace == 2.0
    press(monitor, "start")
    start = time.monotonic()
    wait_until(lambda: monitor.trainer.step >= 3)
    assert time.monotonic() - start > 0.9  # two intervals of half a second, and what a clock is off by
    monitor.pace = 500.0
    assert monitor.trainer.pace == 500.0
    monitor.slow = False
    wait_until(lambda: monitor.trainer.step > 50)
    press(monitor, "stop")


def test_other_data_are_trained_on_next() -> None:
    monitor = TrainingMonitor("ring")
    monitor.settle()
    monitor.show("digits", seed=2)
    monitor.settle()
    assert (monitor.seed, monitor.prediction, monitor.data.name) == (2, "v", digits().name)
    assert TrainingMonitor.from_dict(monitor.to_dict()).to_dict() == monitor.to_dict()


def test_an_hour_of_looking_needs_no_more_memory() -> None:
    """Two hundred thousand steps and as many looks as in a minute: what is kept after the first ten seconds does not grow by
    more than a curve. (tests/training/test_curve.py has a million.)"""
    curve, steps = LossCurve(), iter(range(1, 200_001))
    trainer = SimpleNamespace(
        state="running", step=0, total_steps=10**6, steps_per_second=250.0, error="", curve=curve.points, denoiser=None
    )
    monitor = TrainingMonitor()
    monitor.make_trainer = lambda: trainer
    kept = []
    tracemalloc.start()
    for look in range(200):
        for _ in range(1000):
            trainer.step = next(steps)
            curve.add(trainer.step, 1 / trainer.step)
        monitor.look(trainer)
        if look in (49, 199):
            monitor.settle()
            kept.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert monitor.step == 200_000
    assert len(monitor.curve) <= 600
    assert kept[1] - kept[0] < 100_000  # 600 points are 5 kB, their lists 40 kB


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"trainer": 5}, "What is monitored is a Trainer, or data to train on, but got int."),
        ({"data": 5}, "data must be a data set or one of"),
        ({"smoothing": 0}, "smoothing must be a whole number from 1 to 100, but got 0."),
        ({"total_steps": 1.5}, "total_steps must be a whole number"),
        ({"pace": 0.0}, "pace"),
        ({"view": "both"}, "view"),
    ],
)
def test_bad_input_is_refused(arguments, sentence) -> None:
    with pytest.raises((TypeError, ValueError, traitlets.TraitError), match=sentence):
        TrainingMonitor(**arguments)


def test_a_trainer_has_its_own_data() -> None:
    with pytest.raises(ValueError, match="give either"):
        TrainingMonitor(new_trainer(), data="moons")
