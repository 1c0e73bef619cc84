"""A scene that follows a training: it measures while the training runs, takes its share only, and has the end."""

from __future__ import annotations

import gc
import time
import weakref

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.scenes.following import REST, SHARE, Measuring, Turn
from difflab.schedules import VPCosine
from difflab.training import Trainer


class Counter(Measuring):
    """Remembers what it was given to measure."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        super().__init__()

    def measure(self, denoiser):
        self.seen.append(next(denoiser.parameters()).detach().clone())


def trainer(steps: int) -> Trainer:
    ring = GaussianMixture.ring(8)
    return Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0), ring, steps=steps)


def until(true, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_the_last_measurement_is_of_the_end():
    scene, run = Counter(), trainer(60)
    scene.follow(run)
    run.start()
    run.wait(60)
    last = next(run.snapshot().parameters())
    until(lambda: scene.seen and torch.equal(scene.seen[-1], last))


def test_it_measures_while_the_training_runs():
    scene, run = Counter(), trainer(10**6)
    scene.follow(run)
    run.start()
    until(lambda: len(scene.seen) >= 2)
    run.stop()
    assert not torch.equal(scene.seen[0], scene.seen[1])


def test_unfollowed_it_is_left_alone():
    scene, run = Counter(), trainer(10**6)
    scene.follow(run)
    run.start()
    until(lambda: scene.seen)
    scene.unfollow()
    scene.settle()
    seen = len(scene.seen)
    time.sleep(1.5)  # longer than the least pause between two measurements
    run.stop()
    assert len(scene.seen) == seen


def test_a_scene_nobody_holds_is_let_go():
    scene, run = Counter(), trainer(10**6)
    scene.follow(run)
    gone = weakref.ref(scene)
    scene.close()
    del scene

    def collected() -> bool:
        gc.collect()
        return gone() is None

    until(collected)


def test_the_pause_grows_with_the_cost(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr("difflab.scenes.following.time.monotonic", lambda: now[0])
    turn = Turn()
    assert turn.due()
    with turn:  # the first time, which imports, is followed by the shortest rest
        now[0] = 1.0
    now[0] = 1.0 + 0.9 * REST
    assert not turn.due()
    now[0] = 10.0
    assert turn.due()
    with turn:
        now[0] = 12.0
    now[0] = 12.0 + 2.0 * SHARE - 0.1
    assert not turn.due()
    assert turn.due(over=True)
    now[0] += 0.2
    assert turn.due()


def test_three_scenes_leave_a_training_its_nineteen_twentieths():
    """The Lab has three that follow: WhereTheBitsGo, LossFloor and ScoreMap."""
    assert 3 / SHARE <= 0.05
