"""Step by step and slowly: a training does no other steps, and none less."""

import threading
import time

import pytest
import torch

from difflab.training.pace import Pace


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


@pytest.fixture
def now(monkeypatch):
    """now[0] is the time, in seconds."""
    clock = [1000.0]
    monkeypatch.setattr("difflab.training.pace.time.monotonic", lambda: clock[0])
    return clock


def test_single_steps_and_a_pace_change_no_bit(make):
    plain = make(steps=60)
    plain.start()
    plain.wait(20)
    led = make(steps=60)
    led.advance()
    assert led.wait(20) == "paused"
    assert led.step == 1
    led.pace = 500.0
    led.advance(9)
    assert led.wait(20) == "paused"
    assert led.step == 10
    led.start()
    time.sleep(0.02)
    led.pace = None
    assert led.wait(20) == "finished"
    assert led.step == 60
    assert torch.equal(flat(led.snapshot()), flat(plain.snapshot()))
    assert torch.equal(flat(led.denoiser), flat(plain.denoiser))
    assert led.curve().tolist() == plain.curve().tolist()


def test_steps_asked_for_together_are_all_done(make):
    """From four threads at once, while earlier ones are under way."""
    trainer = make()

    def ask():
        for _ in range(25):
            trainer.advance()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trainer.wait(20) == "paused"
    assert trainer.step == 100


def test_a_running_training_stops_after_so_many_more(make):
    """`on_step` asks at step 7, when that step is done: three more."""
    trainer = make(on_step=lambda state: trainer.advance(3) if state.step == 7 else None)
    trainer.start()
    assert trainer.wait(20) == "paused"
    assert trainer.step == 10


def test_start_and_pause_forget_what_was_to_be_done(make, until):
    trainer = make()
    trainer.pace = 2.0
    trainer.advance(1000)
    until(lambda: trainer.step >= 1)
    trainer.pause()
    assert trainer.state == "paused"
    step = trainer.step
    trainer.advance()
    assert trainer.wait(20) == "paused"
    assert trainer.step == step + 1  # not the rest of the thousand
    trainer.advance(2)
    trainer.start()
    trainer.pace = None
    until(lambda: trainer.step > step + 100)


def test_the_last_step_ends_the_training(make):
    trainer = make(steps=5)
    trainer.advance(5)
    assert trainer.wait(20) == "finished"
    assert trainer.step == 5
    with pytest.raises(RuntimeError, match="has finished"):
        trainer.advance()


def test_a_slow_training_can_be_paused_looked_at_hurried_and_stopped_at_once(make, until):
    """A step a minute: whatever waits for a step to come would take as long."""
    trainer = make()
    trainer.pace = 1 / 60
    start = time.monotonic()
    trainer.start()
    until(lambda: trainer.step == 1)
    trainer.snapshot()
    trainer.pause()
    assert trainer.state == "paused"
    trainer.start()  # the first step after a pause does not wait
    until(lambda: trainer.step == 2)
    trainer.pace = None
    until(lambda: trainer.step > 20)
    trainer.pace = 1 / 60
    trainer.stop()
    assert trainer.state == "stopped"
    assert time.monotonic() - start < 30


def test_the_pace_is_kept_and_not_exceeded(make):
    """50 steps a second: 20 intervals take 0.4 s at least, and on a busy machine not ten times as long."""
    trainer = make()
    trainer.pace = 50.0
    start = time.monotonic()
    trainer.advance(21)
    assert trainer.wait(20) == "paused"
    assert 0.4 <= time.monotonic() - start < 4.0


def test_a_little_lateness_is_made_up_for_and_much_is_not(now):
    pace = Pace()
    pace.limit = 10.0
    assert pace.early == 0
    pace.begin()
    assert pace.early == pytest.approx(0.1)
    now[0] += 0.13
    assert pace.early == 0
    pace.begin()
    assert pace.early == pytest.approx(0.07)
    now[0] += 5.0
    pace.begin()
    assert pace.early == pytest.approx(0.1)
    pace.rest()
    assert pace.early == 0
    pace.limit = 1e-300
    pace.begin()
    assert pace.early == 3600.0  # no wait of any machine is longer than it can be


@pytest.mark.parametrize("pace", [0, -1.0, float("nan"), float("inf"), "slow", True])
def test_a_pace_that_is_none_is_refused(make, pace):
    trainer = make()
    trainer.pace = 3
    with pytest.raises(ValueError, match="pace must be a number of steps per second above 0, or None"):
        trainer.pace = pace
    assert trainer.pace == 3.0


@pytest.mark.parametrize("n", [0, -1, 1.5, "two", None, True])
def test_so_many_steps_are_refused(make, n):
    trainer = make()
    with pytest.raises(ValueError, match="advance's n must be a whole number"):
        trainer.advance(n)
    assert trainer.state == "idle"


def test_a_pause_needs_no_processor(make):
    """A tenth of the time at most, where a thread that asks again and again takes all of it."""
    trainer = make()
    trainer.pace = 100.0
    trainer.advance(3)
    assert trainer.wait(20) == "paused"
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.05
