"""The table of what a run measured: true, the same in memory and in metrics.csv, and without gaps after an interruption."""

import math
import os
import time
from collections import deque

import numpy as np
import pytest
import torch
from small_runs import killed_at, states

from difflab.training import TrainingDiverged, metrics
from difflab.training.metrics_file import read
from difflab.training.metrics_table import COLUMNS, Metrics, Row

MEASURED = ("step", "loss", "learning_rate", "gradient_norm")  # the same in every run of the same seeds


def table(folder):
    """As a reader with nothing of ours sees it."""
    return np.genfromtxt(folder / "metrics.csv", delimiter=",", names=True)


def assert_same(one, other, names=COLUMNS):
    for name in names:
        assert np.array_equal(one[name], other[name], equal_nan=True), name


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The metrics of 320 steps."""
    *_, state = states(320, folder=tmp_path_factory.mktemp("unbroken") / "run", warmup=200)
    return state.run.metrics.columns()


def test_rows_say_what_was_measured(tmp_path, monkeypatch):
    """A row's loss is the mean of the fifty before it: sums of float32, each rounded by 2^-24 of at most 50 times a loss of about
    1, are right to 50 * 2^-24 = 3e-6. The norm is that of the gradient before it is cut, of squares that are summed in float32:
    right to 1e-5."""
    losses, norms = [], []
    clip = torch.nn.utils.clip_grad_norm_

    def looked_at(parameters, *options):
        norms.append(math.sqrt(sum(float(p.grad.double().square().sum()) for p in parameters)))
        return clip(parameters, *options)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", looked_at)
    for state in states(120, folder=tmp_path / "run", warmup=200, lr=1e-3, clip_gradient=0.05):
        losses.append(float(state.loss))
    rows = table(tmp_path / "run")
    assert rows.dtype.names == COLUMNS
    assert rows["step"].tolist() == [50, 100, 120]
    means = [np.mean(losses[:50]), np.mean(losses[50:100]), np.mean(losses[100:])]
    np.testing.assert_allclose(rows["loss"], means, atol=1e-5)
    np.testing.assert_allclose(rows["learning_rate"], [1e-3 * k / 200 for k in (50, 100, 120)], rtol=1e-7)
    np.testing.assert_allclose(rows["gradient_norm"], [norms[k - 1] for k in (50, 100, 120)], rtol=1e-5)
    assert (rows["gradient_norm"] > 0.051).all()
    assert (np.diff(rows["seconds"]) >= 0).all()
    np.testing.assert_allclose(  # seconds are rounded to 1e-3
        rows["seconds"], np.cumsum(np.array([50, 50, 20]) / rows["steps_per_second"]), atol=2e-3
    )


def test_file_memory_and_metrics_are_one_table(tmp_path):
    *_, state = states(120, folder=tmp_path / "run")
    told = metrics(tmp_path / "run")
    assert tuple(told) == COLUMNS
    assert [v.dtype for v in told.values()] == [np.int64] + [np.float64] * 5
    assert_same(told, state.run.metrics.columns())
    assert_same(told, table(tmp_path / "run"))


def test_gradients_that_are_not_clipped_have_no_norm(tmp_path, make):
    trainer = make(60, folder=tmp_path / "run")
    trainer.start()
    trainer.wait(60)
    assert (tmp_path / "run" / "metrics.csv").read_text().splitlines()[1].endswith(",")
    for rows in (trainer.metrics(), metrics(tmp_path / "run"), table(tmp_path / "run")):
        assert np.isnan(rows["gradient_norm"]).all()
        assert np.isfinite(rows["loss"]).all()


def test_a_trainer_without_a_folder_has_its_table_too(tmp_path, make):
    alone, beside = make(120), make(120, folder=tmp_path / "run")
    assert all(len(column) == 0 for column in alone.metrics().values())
    for trainer in (alone, beside):
        trainer.start()
        assert trainer.wait(60) == "finished"
    assert_same(alone.metrics(), metrics(tmp_path / "run"), MEASURED)
    alone.write_metrics(tmp_path / "elsewhere" / "metrics.csv")
    assert_same(alone.metrics(), metrics(tmp_path / "elsewhere"))
    assert alone.metrics()["step"].tolist() == [50, 100, 120]


@pytest.mark.parametrize("last", [1, 49, 50, 130])
def test_a_run_that_was_stopped_goes_on_with_the_same_table(tmp_path, unbroken, last):
    options = {"folder": tmp_path / "run", "resume": True, "warmup": 200}
    first = states(320, **options)
    for _ in range(last):
        next(first)
    first.close()
    *_, state = states(320, **options)
    assert_same(metrics(tmp_path / "run"), unbroken, MEASURED)
    assert_same(state.run.metrics.columns(), unbroken, MEASURED)
    assert (np.diff(metrics(tmp_path / "run")["seconds"]) >= 0).all()


def test_rows_after_the_checkpoint_that_a_killed_run_goes_on_from_are_noted_once(tmp_path, unbroken):
    """Killed at any byte of the row of step 250, with the checkpoint of step 170."""
    killed_at(260, tmp_path / "first", tmp_path / "run", save_every=170, warmup=200)
    there = (tmp_path / "run" / "metrics.csv").read_bytes()
    assert metrics(tmp_path / "run")["step"].tolist() == [50, 100, 150, 200, 250]
    begins = there.index(b"\n250,") + 1
    for end in range(begins, len(there)):
        (tmp_path / "run" / "metrics.csv").write_bytes(there[:end])
        assert metrics(tmp_path / "run")["step"].tolist() == [50, 100, 150, 200]
    for _ in states(320, folder=tmp_path / "run", resume=True, save_every=170, warmup=200):
        pass
    assert_same(metrics(tmp_path / "run"), unbroken, MEASURED)


def test_rows_reach_the_disk_before_the_checkpoint_that_follows_them(tmp_path, monkeypatch):
    """Power may go at any moment: a checkpoint whose rows are lost would leave a gap."""
    order, fsync = [], os.fsync
    for_steps = states(100, folder=tmp_path / "run")

    def noting(descriptor):
        order.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))
        fsync(descriptor)

    for _ in range(99):
        next(for_steps)
    monkeypatch.setattr(os, "fsync", noting)
    next(for_steps)
    file = (tmp_path / "run" / "metrics.csv").stat()
    assert order[0] == (file.st_ino, file.st_size)
    assert len(order) > 1
    for_steps.close()


def test_what_diverged_is_seen_and_forgotten_when_the_run_goes_on(tmp_path):
    """Weights that were blown up after step 130: the run is back at one before, and its table tells what happened."""
    blown = states(320, folder=tmp_path / "run")
    for _ in range(130):
        state = next(blown)
    for p in state.run.parameters:
        p.data.mul_(1e4)
    with pytest.raises(TrainingDiverged) as caught:
        deque(blown, maxlen=0)
    kept = caught.value.kept
    assert kept < 130
    before = metrics(tmp_path / "run")
    assert before["loss"].max() > 1e3
    for _ in states(kept + 50, folder=tmp_path / "run", resume=True):
        pass
    after = metrics(tmp_path / "run")
    assert after["step"].tolist() == [*range(50, kept + 51, 50)]
    assert_same({k: v[before["step"] <= kept] for k, v in before.items()}, {k: v[:-1] for k, v in after.items()})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"step,loss",
        b"step,loss,learning_rate,seconds\r\n50,1.5,0.001,2.5\r\n",
        b"step,loss,learning_rate,seconds\n50,1.5,0.001,2.5\nx,y,z,w\n100,1.25\n\xff\xfe\0\0\n",
        b"seconds,step,grade,learning_rate,loss\n2.5,50,A,0.001,1.5\n100,7",
    ],
)
def test_tables_of_others_are_read_as_far_as_they_can_be(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    rows = read(tmp_path / "metrics.csv")
    known = {"step": 50, "loss": 1.5, "learning_rate": 0.001, "seconds": 2.5}
    assert [{k: v for k, v in row.items() if not math.isnan(v)} for row in rows] == (
        [known] if b"50" in content else []
    )
    assert metrics(tmp_path)["step"].tolist() == [row["step"] for row in rows]


def test_what_holds_no_table_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"^There is no metrics.csv in .*: give the folder= that a run trains in\.$"
    ):
        metrics(tmp_path / "nowhere")
    with pytest.raises(TypeError, match=r"^folder must be the path of a run's directory, but got 3\.$"):
        metrics(3)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_seconds_and_speeds_are_those_of_training(clock):
    """50 steps in 5 s, 50 in 10 s of which 6 s are a pause, and, after an interruption at step 130, the 20 up to 150 in 1 s. The
    30 steps that were not noted before it count as the 12.5 a second of the row before them: 2.4 s."""
    noted = Metrics()
    clock.now = 2000.0  # it was made long before its first step
    noted.go_on(0)
    clock.now += 5
    assert noted.add(50, 1.0, 0.1)[3:5] == (5.0, 10.0)
    clock.now += 10
    noted.leave_out(6)
    assert noted.add(100, 1.0, 0.1)[3:5] == (9.0, 12.5)
    again = Metrics()
    again.hold(noted.rows())
    clock.now = 5000.0
    again.go_on(130)
    clock.now += 1
    assert again.add(150, 1.0, 0.1)[3:5] == (12.4, 20.0)


def test_no_speed_is_told_where_no_time_has_passed(clock):
    noted = Metrics()
    noted.go_on(0)
    assert math.isnan(noted.add(50, 1.0, 0.1).steps_per_second)
    noted.go_on(70)
    assert noted.add(100, 1.0, 0.1).seconds == 0


def test_a_pause_is_no_training(make, until):
    trainer = make(100, on_step=lambda state: trainer.pause() if state.step == 60 else None)
    begun = time.monotonic()
    trainer.start()
    until(lambda: trainer.state == "paused")
    paused = time.monotonic()
    time.sleep(0.5)
    pause = time.monotonic() - paused
    trainer.resume()
    assert trainer.wait(60) == "finished"
    rows = trainer.metrics()
    assert pause >= 0.5
    assert rows["seconds"][-1] <= time.monotonic() - begun - pause + 1e-3  # to which seconds are rounded
    assert rows["steps_per_second"][-1] > 40 / (time.monotonic() - begun - pause)


@pytest.mark.parametrize("many", [1, 3, 4, 5, 11, 16, 1000])
def test_long_runs_hold_rows_by_a_growing_stride_and_the_newest(many):
    """8 places: rows whose number is a multiple of the stride, the smallest power of 2 at which they are less than 8."""
    noted, every = Metrics(limit=8), [Row(50 * k, 1 / k, 0.1, float(k), 10.0, 0.5) for k in range(1, many + 1)]
    noted.hold(every)
    stride = next(2**k for k in range(20) if many // 2**k < 8)
    assert noted.rows() == [row for k, row in enumerate(every, 1) if k % stride == 0 or k == many]
