import math
import time

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import Geometric, VPCosine
from difflab.training import Trainer, load, train

RING = GaussianMixture.ring()


def fresh(seed=0):
    return NetworkDenoiser.for_data(RING, VPCosine(), seed=seed, width=8)


def seeded():
    return torch.Generator().manual_seed(7)


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_it_does_exactly_what_the_loop_does(make):
    trainer = make(steps=50)
    assert (trainer.state, trainer.step, trainer.total_steps) == ("idle", 0, 50)
    assert math.isnan(trainer.loss)
    trainer.start()
    assert trainer.wait(20) == "finished"
    losses = []
    for state in train(fresh(), RING, steps=50, batch=16, device="cpu", generator=seeded()):
        losses.append(float(state.loss))
    assert torch.equal(flat(trainer.snapshot()), flat(state.ema))
    assert trainer.step == 50
    assert trainer.loss == losses[-1]
    assert trainer.curve()[:, 0].tolist() == list(range(1, 51))
    assert trainer.curve()[:, 1].tolist() == pytest.approx(losses)
    assert trainer.error == ""
    assert trainer.steps_per_second == 0.0


def test_pausing_anywhere_changes_nothing_but_time(make):
    plain = make(steps=60)
    plain.start()
    plain.wait(20)
    halting = make(steps=60, on_step=lambda state: state.step % 7 == 0 and halting.pause())
    halting.start()
    pauses = 0
    while halting.wait(20) == "paused":
        pauses += 1
        assert halting.step % 7 == 0
        halting.resume()
    assert halting.state == "finished"
    assert pauses == 60 // 7
    assert torch.equal(flat(halting.snapshot()), flat(plain.snapshot()))


def test_a_pause_holds_still_until_resumed(make, until):
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 5)
    trainer.pause()
    assert trainer.state == "paused"
    step, weights = trainer.step, flat(trainer.snapshot())
    time.sleep(0.1)
    assert trainer.step == step
    assert torch.equal(flat(trainer.snapshot()), weights)
    assert trainer.steps_per_second == 0.0
    trainer.resume()
    assert trainer.state == "running"
    until(lambda: trainer.step > step)


def test_stop_ends_after_the_step_in_hand_and_keeps_what_was_learned(make, until):
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 5)
    trainer.stop()
    assert trainer.state == "stopped"
    assert trainer.step == trainer._run.step
    *_, state = train(fresh(), RING, steps=trainer.step, batch=16, device="cpu", generator=seeded())
    assert torch.equal(flat(trainer.snapshot()), flat(state.ema))
    trainer.stop()  # nothing happens
    trainer.pause()
    assert trainer.state == "stopped"
    with pytest.raises(RuntimeError, match="has stopped; make a new Trainer"):
        trainer.start()


def test_stop_works_before_the_start_during_a_pause_and_from_the_callback(make, until):
    idle = make()
    idle.stop()
    assert idle.state == "stopped"
    paused = make()
    paused.start()
    until(lambda: paused.step > 0)
    paused.pause()
    paused.stop()
    assert paused.state == "stopped"
    own = make(on_step=lambda state: state.step == 4 and own.stop())
    own.start()
    assert own.wait(20) == "stopped"
    assert own.step == 4


def test_waiting_for_a_while(make):
    trainer = make()
    assert trainer.wait() == "idle"
    trainer.start()
    start = time.monotonic()
    assert trainer.wait(0.1) == "running"
    assert time.monotonic() - start >= 0.1


def test_a_divergence_is_one_sentence_and_the_last_good_checkpoint_stays(make, tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    def poison(state):
        if state.step == 120:
            with torch.no_grad():
                next(state.run.denoiser.parameters()).fill_(float("nan"))

    trainer = make(on_step=poison, folder=tmp_path, save_every=40)
    trainer.start()
    assert trainer.wait(30) == "failed"
    assert trainer.error.startswith("Training diverged: the loss was not finite at step 121; the weights of step 100")
    assert trainer.step == 100
    assert load(path).step == 100
    assert flat(trainer.snapshot()).isfinite().all()
    assert torch.equal(flat(load(path).denoiser), flat(trainer.snapshot()))
    with pytest.raises(RuntimeError, match="has failed"):
        trainer.start()


def test_an_exception_of_a_callback_is_told(make):
    def broken(state):
        raise KeyError("x\ny")

    trainer = make(on_step=broken)
    trainer.start()
    assert trainer.wait(20) == "failed"
    assert "KeyError" in trainer.error
    assert "\n" not in trainer.error


def test_speed_is_that_of_running_time(make, until):
    trainer = make(on_step=lambda state: time.sleep(0.01))
    trainer.start()
    until(lambda: trainer.step > 5)
    trainer.pause()
    time.sleep(0.5)
    trainer.resume()
    step, start = trainer.step, time.perf_counter()
    time.sleep(1.0)
    speed = trainer.steps_per_second
    measured = (trainer.step - step) / (time.perf_counter() - start)
    assert speed == pytest.approx(measured, rel=0.3)  # counting the pause would have made it a third less


def test_a_checkpoint_can_be_saved_while_training_and_resumed(make, until, tmp_path):
    path = tmp_path / "c.safetensors"
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 5)
    trainer.save(path)
    trainer.stop()
    saved = load(path)
    assert 5 < saved.step <= trainer.step
    again = make(steps=saved.step + 3, resume=path)
    assert again.step == saved.step
    again.start()
    assert again.wait(20) == "finished"
    assert again.step == saved.step + 3


def test_another_schedule_from_the_next_step_on(make, until):
    trainer = make()
    trainer.start()
    until(lambda: trainer.step > 5)
    trainer.reschedule(Geometric())
    step = trainer.step
    assert trainer.snapshot().schedule == Geometric()
    assert trainer.denoiser.schedule == Geometric()
    until(lambda: trainer.step > step + 5)
    assert trainer.curve()[0, 0] > 5


def test_bad_arguments_are_refused_at_once():
    for options, sentence in (({"steps": 0}, "steps must be"), ({"steps": 5, "lr": -1.0}, "learning rate")):
        with pytest.raises(ValueError, match=sentence):
            Trainer(fresh(), RING, **options)
