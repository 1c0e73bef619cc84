"""Runs beside one another: trainers of this kernel, directories of others, and what is refused."""

import gc
import math
import time

import numpy as np
import pytest
import torch

import difflab
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.scenes.compared import POINTS, OfFolder, tail
from difflab.scenes.run_comparison import RunComparison
from difflab.schedules import VPCosine
from difflab.training import Trainer, train

RING = GaussianMixture.ring()
HEAD = "step,loss,learning_rate,seconds\n"


def trainer(steps=200, **options):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    return Trainer(denoiser, RING, steps=steps, batch=16, generator=torch.Generator().manual_seed(0), **options)


def wait_until(condition, timeout=30.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.02)


def curve_of(scene, run):
    return scene.curves[scene.curves[:, 0] == run, 1:]


def test_it_shows_the_trainers_own_curves_and_ends_with_them():
    runs = [trainer(name="one"), trainer(name="two", on_step=lambda state: 1 / 0 if state.step == 90 else None)]
    scene = RunComparison(runs)
    assert [(row["name"], row["state"], row["loss"]) for row in scene.runs] == [
        ("one", "idle", None),
        ("two", "idle", None),
    ]
    for run in runs:
        run.start()
    wait_until(lambda: [row["state"] for row in scene.runs] == ["finished", "failed"])
    for i, run in enumerate(runs):
        own = run.curve()
        assert np.array_equal(curve_of(scene, i), own if len(own) <= POINTS else curve_of(scene, i))
        assert scene.runs[i]["step"] == run.step
    assert "ZeroDivisionError" in scene.runs[1]["note"]
    numbers = scene.numbers()
    last = runs[0].curve()[runs[0].curve()[:, 0] >= 0.8 * runs[0].curve()[-1, 0], 1].astype(float)
    assert numbers["one.loss"] == pytest.approx(last.mean())
    assert numbers["one.error"] == pytest.approx(last.std(ddof=1) / math.sqrt(len(last)))
    assert (numbers["runs"], numbers["one.step"], numbers["two.step"]) == (2, 200, 90)


def test_without_runs_it_shows_every_trainer_of_the_kernel_those_to_come_too():
    gc.collect()
    scene = RunComparison()
    before = len(scene.runs)
    later = trainer(steps=30, name="the one that came later")
    later.start()
    wait_until(lambda: any(row["name"] == later.name and row["state"] == "finished" for row in scene.runs))
    assert scene.runs[-1]["name"] == later.name  # the newest last: a colour stays with its run
    assert len(scene.runs) <= before + 1


def test_a_directory_is_followed_as_rows_are_added_and_read_anew_when_it_went_back(tmp_path):
    table = tmp_path / "metrics.csv"
    run = OfFolder(tmp_path)
    row, curve = run.look()
    assert (row["step"], row["loss"], len(curve)) == (0, None, 0)
    table.write_text(HEAD + "50,0.5,1e-3,1.0\n100,0.4,1e-3,2.0\n150,0.")
    row, curve = run.look()
    assert curve.tolist() == [[50, 0.5], [100, pytest.approx(0.4)]]  # a line that is not whole waits
    assert row["speed"] == pytest.approx(50.0)
    with open(table, "a") as file:
        file.write("3,1e-3,3.0\n200,nan,1e-3,4.0\n")
    row, curve = run.look()
    assert curve[:, 0].tolist() == [50, 100, 150]
    assert row["step"] == 200
    table.write_text(HEAD + "50,0.5,1e-3,1.0\n")  # resumed from an earlier checkpoint
    assert run.look()[1].tolist() == [[50, 0.5]]


def test_a_real_directory_and_a_trainer_stand_side_by_side(tmp_path):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16)
    for _ in train(denoiser, RING, steps=200, batch=16, folder=tmp_path / "run", device="cpu"):
        pass
    scene = difflab.RunComparison([str(tmp_path / "run"), trainer(name="idle one")])
    assert [row["name"] for row in scene.runs] == ["run", "idle one"]
    rows = np.genfromtxt(tmp_path / "run" / "metrics.csv", delimiter=",", names=True)
    assert np.allclose(curve_of(scene, 0), np.stack([rows["step"], rows["loss"]], 1), rtol=1e-6)
    assert scene.runs[0]["step"] == 200


def test_long_curves_are_thinned_to_means():
    from difflab.scenes.compared import _thinned

    assert POINTS == 100
    curve = np.stack([np.arange(1009.0), np.sin(np.arange(1009.0))], 1).astype(np.float32)
    thin = _thinned(curve)
    assert len(thin) <= POINTS
    assert thin[0] == pytest.approx(curve[:11].mean(0), rel=1e-5)
    assert thin[-1] == pytest.approx(curve[91 * 11 :].mean(0), rel=1e-5)
    assert _thinned(curve[:0]).shape == (0, 2)


def test_the_error_beside_a_loss_needs_two_points():
    assert tail(np.zeros((0, 2))) == {"loss": None, "error": None}
    assert tail(np.array([[1.0, 0.5]])) == {"loss": 0.5, "error": None}


def test_its_preset_and_its_page(tmp_path):
    scene = RunComparison([trainer()], scale="linear")
    again = RunComparison.from_dict(scene.to_dict(), runs=[trainer()])
    assert again.scale == "linear"
    assert "RunComparison" in scene.save_html(tmp_path / "runs.html").read_text()


@pytest.mark.parametrize(
    ("runs", "error", "sentence"),
    [
        (3, TypeError, "Runs to compare are Trainers, directories of runs or a sweep, one or several, but got 3"),
        ([None], TypeError, "one or several, but got None"),
        ("nowhere/at/all", ValueError, "There is no directory nowhere/at/all"),
        (["."] * 25, ValueError, "One chart tells up to 24 runs apart, but got 25"),
    ],
)
def test_what_is_no_run_is_refused_in_one_sentence(runs, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        RunComparison(runs)
    assert "\n" not in str(caught.value)


def test_the_runs_of_a_sweep_are_told_apart_by_what_differs(tmp_path):
    base = {"data": {"name": "ring"}, "model": {"width": 16}, "training": {"steps": 100, "batch": 16, "device": "cpu"}}
    sweep = difflab.sweep(difflab.sweep.grid(base, {"training.lr": [1e-3, 5e-3]}), folder=tmp_path, workers=1)
    scene = RunComparison(sweep)
    assert [row["differs"] for row in scene.runs] == ["lr 0.001", "lr 0.005"]
    sweep.wait(120)
    numbers = scene.numbers()
    wait_until(lambda: [row["state"] for row in scene.runs] == ["finished"] * 2)
    for run, row in zip(sweep.runs, scene.runs, strict=True):
        assert row["excess"] == run.excess.value
        assert numbers[f"{run.name}.step"] == 100
