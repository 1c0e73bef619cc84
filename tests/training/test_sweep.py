"""A sweep: its runs are what they would be alone, its numbers are those of their metrics, and none disturbs another."""

import csv
import math
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.integrate import quad

import difflab
from difflab.plots import loss_curves
from difflab.schedules import VPCosine
from difflab.training import load
from difflab.training.recipe import recipe_from
from difflab.training.sweeps import Sweep, SweepRun, grid, job
from difflab.training.sweeps.measured import last_step

BASE = {
    "data": {"name": "ring"},
    "model": {"width": 8},
    "training": {"steps": 200, "batch": 16, "device": "cpu", "save_every": 50},
}


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def alone(config, folder):
    """The tensors at the end of a run of `config`, trained by itself."""
    trainer = recipe_from(config).trainer(folder, threads=1)
    trainer.start()
    assert trainer.wait(60) == "finished"
    return load(folder / "checkpoint.safetensors").tensors


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def losses_in(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return np.array([[float(row["step"]), float(row["loss"])] for row in csv.DictReader(file)])


def until(condition, timeout=60.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.01)


def test_runs_are_to_the_bit_what_they_are_alone(tmp_path, threads):
    """Two at once in threads of one process: first weights come from a stream that all threads share."""
    configs = grid(BASE, {"training.lr": [1e-3, 1e-2], "training.seed": [0, 1]})
    runs = difflab.sweep(configs, executor=threads, folder=tmp_path / "sweep")
    assert isinstance(runs, Sweep)
    assert len(runs) == 4
    ended = list(runs)
    assert sorted(run.name for run in ended) == sorted(configs)
    assert runs.done
    for run in runs.runs:
        assert isinstance(run, SweepRun)
        assert (run.state, run.error, run.step, run.note) == ("finished", "", 200, "")
        assert same(load(run.checkpoint).tensors, alone(configs[run.name], tmp_path / "alone" / run.name))
        weights = run.load().state_dict()
        assert all(torch.equal(weights[key], load(run.checkpoint).denoiser.state_dict()[key]) for key in weights)


def test_threads_build_their_runs_one_after_the_other(tmp_path, monkeypatch):
    """First weights are drawn from torch's global stream, seeded for each: two threads in there at once would mix them."""
    inside, most = [], []

    def watched(config, name):
        inside.append(name)
        most.append(len(inside))
        time.sleep(0.05)
        inside.remove(name)
        return recipe_from(config, name)

    monkeypatch.setattr(job, "recipe_from", watched)
    short = BASE | {"training": BASE["training"] | {"steps": 2}}
    with ThreadPoolExecutor(4) as pool:
        difflab.sweep(grid(short, {"training.seed": [0, 1, 2, 3]}), executor=pool, folder=tmp_path).wait()
    assert most == [1, 1, 1, 1]


def test_numbers_are_those_of_the_metrics(tmp_path, threads):
    """With one standard Gaussian for data and alpha^2 + sigma^2 = 1 the posterior of x_0 has the variance sigma^2, whatever
    x_t is: a network that predicts x_0 has the mean of sigma^2 over t for floor. The estimate draws one t in each of 1,024
    strata, and sigma^2 grows from 0 to 1 over all of them: its error is below 1 / 1024."""
    one = BASE | {"data": {"name": "ring", "components": 1}, "model": {"width": 8, "prediction": "x0"}}
    runs = difflab.sweep(grid(one, {"training.lr": [1e-3, 5e-3]}), executor=threads, folder=tmp_path).wait()
    floor = quad(lambda t: float(VPCosine().alpha_sigma(torch.tensor(t, dtype=torch.float64))[1]) ** 2, 0, 1)[0]
    table = runs.table()
    for run, row in zip(runs.runs, table, strict=True):
        found = losses_in(run.folder)
        assert found[-1, 0] == 200
        late = found[found[:, 0] > 160, 1]
        assert row["loss"] == pytest.approx(late.mean(), rel=1e-12)
        if len(late) > 1:
            assert row["loss_error"] == pytest.approx(late.std(ddof=1) / len(late) ** 0.5, rel=1e-12)
        assert run.floor is not None
        assert run.floor.value == pytest.approx(floor, abs=1 / 1024)
        assert row["excess"] == pytest.approx(late.mean() - run.floor.value, rel=1e-12)
        assert row["excess_error"] == pytest.approx(math.hypot(row["loss_error"], run.floor.error), nan_ok=True)
        assert row["steps_per_second"] == pytest.approx(200 / row["seconds"])
        assert row["training.lr"] == run.config["training"]["lr"]
    best = min(table, key=lambda row: row["loss"])
    assert runs.best is not None
    assert runs.best.name == best["name"]
    assert f"{best['name']} *" in repr(runs)
    assert f'font-weight:bold">{best["name"]}</td>' in runs._repr_html_()


def test_the_error_of_the_loss_is_over_the_last_fifth(tmp_path, threads):
    config = BASE | {"training": BASE["training"] | {"steps": 1000}}
    run = difflab.sweep([config], executor=threads, folder=tmp_path).wait().runs[0]
    found = losses_in(run.folder)
    late = found[found[:, 0] > 800, 1]
    assert len(late) > 2
    assert run.loss.value == pytest.approx(late.mean(), rel=1e-12)
    assert run.loss.error == pytest.approx(late.std(ddof=1) / len(late) ** 0.5, rel=1e-12)


def test_one_that_fails_leaves_the_others(tmp_path, threads):
    """At the learning rate 1e30 the second step's loss is not finite; the weights of step 0 are kept."""
    configs = grid(BASE | {"training": BASE["training"] | {"warmup": 0}}, {"training.lr": [1e30, 1e-3]})
    runs = difflab.sweep(configs, executor=threads, folder=tmp_path).wait()
    bad, good = runs.runs
    assert (bad.state, good.state) == ("failed", "finished")
    assert "diverged" in bad.error
    assert "\n" not in bad.error
    assert bad.error in repr(runs)
    assert runs.best is good
    assert runs["lr=0.001"] is good
    with pytest.raises(KeyError, match="no run 'x'; it has lr=1e"):
        runs["x"]


def test_it_returns_at_once_and_can_be_stopped_and_gone_on_with(tmp_path):
    configs = grid(
        BASE | {"training": BASE["training"] | {"steps": 1500, "save_every": 100_000}}, {"training.seed": [0, 1]}
    )
    with ThreadPoolExecutor(1) as pool:
        runs = difflab.sweep(configs, executor=pool, folder=tmp_path / "sweep")
        assert runs.runs[1].state == "waiting"
        until(lambda: runs.runs[0].step > 0)
        assert runs.runs[0].state == "running"
        assert runs.wait(0.0) is runs
        assert not runs.done
        runs.stop()
        assert [run.state for run in runs.runs] == ["stopped"] * 2
        reached = load(runs.runs[0].checkpoint).step
        assert 0 < reached < 1500
        assert runs.runs[0].step == reached
        assert not runs.runs[1].checkpoint.exists()
        again = difflab.sweep(configs, executor=pool, folder=tmp_path / "sweep").wait()
    assert [run.state for run in again.runs] == ["finished"] * 2
    assert [one["step"] for one in again.runs[0].starts] == [reached]
    assert same(load(again.runs[0].checkpoint).tensors, alone(configs["seed=0"], tmp_path / "alone"))


def test_a_sweep_that_is_done_is_done_at_once_when_asked_again(tmp_path, threads):
    configs = grid(BASE, {"training.seed": [0, 1]})
    first = difflab.sweep(configs, executor=threads, folder=tmp_path).wait()
    written = [run.checkpoint.read_bytes() for run in first.runs]
    second = difflab.sweep(configs, executor=threads, folder=tmp_path).wait()
    assert [run.checkpoint.read_bytes() for run in second.runs] == written
    assert [row["loss"] for row in second.table()] == [row["loss"] for row in first.table()]
    longer = {name: one | {"training": one["training"] | {"steps": 250}} for name, one in configs.items()}
    assert [run.step for run in difflab.sweep(longer, executor=threads, folder=tmp_path).wait().runs] == [250, 250]


def test_a_run_of_another_configuration_is_not_gone_on_with(tmp_path, threads):
    difflab.sweep({"a": BASE, "b": BASE}, executor=threads, folder=tmp_path).wait()
    before = (tmp_path / "a" / "checkpoint.safetensors").read_bytes()
    for changes, sentence in (
        (
            {"training": BASE["training"] | {"lr": 0.1}},
            r"^b: .*/b holds a run whose training.lr is default, not 0.1: give",
        ),
        ({"training": BASE["training"] | {"steps": 100}}, "training.steps is 200, not 100"),
        ({"data": {"name": "grid"}}, "data.name is ring, not grid"),
    ):
        with pytest.raises(ValueError, match=sentence) as caught:
            difflab.sweep({"a": BASE, "b": BASE | changes}, executor=threads, folder=tmp_path)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "a" / "checkpoint.safetensors").read_bytes() == before


def test_two_sweeps_never_write_into_one_run(tmp_path, threads):
    long = {"a": BASE | {"training": BASE["training"] | {"steps": 100_000}}}
    first = difflab.sweep(long, executor=threads, folder=tmp_path)
    until(lambda: first.runs[0].state == "running")
    try:
        second = difflab.sweep(long, executor=threads, folder=tmp_path).wait(60)
        assert second.runs[0].state == "failed"
        assert "writes into" in second.runs[0].error
        assert first.runs[0].state == "running"
    finally:
        first.stop()
    assert first.runs[0].state == "stopped"


def test_a_recipe_s_file_that_lies_there_without_a_sweep_is_refused_in_its_row(tmp_path, threads):
    """A checkpoint of other data, of `difflab train` say, has no note of a sweep beside it."""
    alone(BASE | {"data": {"name": "grid"}}, tmp_path / "a")
    run = difflab.sweep({"a": BASE}, executor=threads, folder=tmp_path).wait().runs[0]
    assert run.state == "failed"
    assert "cannot be resumed here" in run.error


class Elsewhere(Executor):
    """Workers with a disk of their own."""

    def __init__(self, disk):
        self.disk = disk

    def submit(self, fn, /, *args, **kwargs):
        name, config, _, stop, token = args
        future = Future()
        threading.Thread(target=lambda: future.set_result(fn(name, config, str(self.disk / name), stop, token))).start()
        return future


def test_without_a_shared_disk_the_curve_comes_back(tmp_path):
    runs = difflab.sweep({"a": BASE}, executor=Elsewhere(tmp_path / "there"), folder=tmp_path / "here").wait()
    run = runs.runs[0]
    assert (run.state, run.step) == ("finished", 200)
    there = losses_in(tmp_path / "there" / "a")
    np.testing.assert_array_equal(losses_in(run.folder), there)
    assert run.loss.value == pytest.approx(there[there[:, 0] > 160, 1].mean())
    assert not run.checkpoint.exists()


class Odd(Executor):
    """Refuses the first job, breaks on the second, cancels the third, and does what the others ask for."""

    def __init__(self):
        self.count = 0

    def submit(self, fn, /, *args, **kwargs):
        self.count += 1
        future = Future()
        if self.count == 1:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if self.count == 2:
            future.set_exception(BrokenExecutor("a child died\nand so on"))
        elif self.count == 3:
            future.cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_what_becomes_of_an_executor_stands_in_the_rows(tmp_path):
    runs = difflab.sweep(grid(BASE, {"training.seed": [0, 1, 2, 3]}), executor=Odd(), folder=tmp_path).wait(60)
    assert [run.state for run in runs.runs] == ["lost", "lost", "lost", "finished"]
    assert [run.error for run in runs.runs] == [
        "lost: RuntimeError: cannot schedule new futures after shutdown",
        "lost: its executor broke as a whole (BrokenExecutor: a child died)",
        "lost: its executor cancelled it",
        "",
    ]


def test_losses_of_different_objectives_have_no_best(tmp_path, threads):
    runs = difflab.sweep(grid(BASE, {"model.prediction": ["v", "eps"]}), executor=threads, folder=tmp_path).wait()
    assert [run.state for run in runs.runs] == ["finished", "finished"]
    assert runs.best is None
    assert "best" not in runs.line()
    assert all(run.excess is not None for run in runs.runs)


def test_the_figure_shows_what_lies_above_the_floor(tmp_path, threads):
    runs = difflab.sweep(grid(BASE, {"training.lr": [1e-3, 5e-3]}), executor=threads, folder=tmp_path).wait()
    figure = runs.figure()
    assert [trace.name for trace in figure.data] == ["lr=0.001", "lr=0.005"]
    assert "above its exact floor" in figure.layout.yaxis.title.text
    for run, trace in zip(runs.runs, figure.data, strict=True):
        steps, losses = losses_in(run.folder).T
        np.testing.assert_array_equal(trace.x, steps)
        shown = [math.nan if y is None else y for y in trace.y]
        above = losses - run.floor.value
        np.testing.assert_allclose(shown, np.where(above > 0, above, np.nan), rtol=1e-5)


def test_a_figure_without_floors_or_losses(tmp_path, threads):
    config = BASE | {"training": BASE["training"] | {"lr": 1e30, "warmup": 0}}
    runs = difflab.sweep({"bad": config}, executor=threads, folder=tmp_path / "bad").wait()
    with pytest.raises(ValueError, match="no run has a loss yet"):
        runs.figure()
    with pytest.raises(TypeError, match=r"Loss curves are given by name, .* but got \[\(1, 0.5\)\]"):
        loss_curves([(1, 0.5)])
    both = difflab.sweep({"bad": config, "good": BASE}, executor=threads, folder=tmp_path / "both").wait()
    assert "above its exact floor" in both.figure().layout.yaxis.title.text  # the bad one has no loss to be compared
    both["good"].floor = None
    assert both.figure().layout.yaxis.title.text == "loss"


def test_an_interrupt_ends_the_waiting_and_not_the_runs(tmp_path, threads, monkeypatch, capsys):
    runs = difflab.sweep({"a": BASE}, executor=threads, folder=tmp_path)
    wait = Sweep.wait
    monkeypatch.setattr(Sweep, "wait", lambda self, timeout=None: (_ for _ in ()).throw(KeyboardInterrupt))
    runs.show()
    assert "Still going on" in capsys.readouterr().out
    monkeypatch.setattr(Sweep, "wait", wait)
    runs.show(every=0.05)
    shown = capsys.readouterr().out.splitlines()
    assert "1 runs: 1 finished; best a:" in shown[-4]  # where the line was written over and over
    assert shown[-1].split()[:3] == ["a", "*", "finished"]
    assert runs.runs[0].state == "finished"


def test_a_table_in_a_notebook_quotes_what_it_is_given(tmp_path, threads):
    runs = difflab.sweep([BASE], executor=threads, folder=tmp_path).wait()
    runs.runs[0].error = "<b>bad</b>"
    assert "&lt;b&gt;bad" in runs._repr_html_()
    assert "<b>bad" not in runs._repr_html_()


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"executor": "dask"}, TypeError, "executor must be one of concurrent.futures, or None, but got 'dask'"),
        ({"executor": type("Client", (), {"get_executor": 0})()}, TypeError, r"give its get_executor\(\)"),
        ({"workers": 0}, ValueError, "workers must be a whole number from 1 to 1024, but got 0"),
        ({"workers": 2.0}, ValueError, "workers must be a whole number"),
        ({"executor": Odd(), "workers": 2}, ValueError, "workers = 2 belongs to the default executor"),
        ({"retries": -1}, ValueError, "retries must be a whole number from 0"),
        ({"folder": 3}, TypeError, "folder must be the path of a directory, but got 3"),
    ],
)
def test_refused_in_one_sentence_before_anything_is_started(tmp_path, monkeypatch, options, error, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=sentence) as caught:
        difflab.sweep([BASE], **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"Nothing can be written into .*file/sweep"):
        difflab.sweep([BASE], folder=tmp_path / "file" / "sweep")


def test_the_last_step_is_read_from_the_last_whole_line(tmp_path):
    assert last_step(tmp_path) == 0
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n")
    assert last_step(tmp_path) == 0
    path.write_text("step,loss\n" + "".join(f"{step},0.5\n" for step in range(50, 200_050, 50)) + "2000")
    assert path.stat().st_size > 3 * 4096
    assert last_step(tmp_path) == 200_000
