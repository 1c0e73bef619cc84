"""What a run's directory is called, and where it stays."""

import shutil

import numpy as np
import pytest
from PIL import Image
from small_runs import states

from difflab.data import ImageFolder, Streamed
from difflab.training import NotSaved, load


def test_a_relative_directory_stays_where_it_is_when_the_notebook_moves_to_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = states(20, folder="run", save_every=5)
    for _ in range(7):
        next(run)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "run").mkdir(parents=True)
    monkeypatch.chdir(elsewhere)
    for _ in run:
        pass
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == 20
    assert list((elsewhere / "run").iterdir()) == []


def test_a_directory_that_was_removed_is_not_said_to_hold_a_whole_checkpoint(tmp_path):
    folder = tmp_path / "run"
    run = states(20, folder=folder, save_every=5)
    for _ in range(7):
        next(run)
    shutil.rmtree(folder)
    with pytest.raises(NotSaved, match=r"^The checkpoint of step 10 could not be written into .*run \([^()]*\)\.$"):
        list(run)


@pytest.mark.parametrize(
    ("error", "options"), [(ValueError, {"folder": ""}), (TypeError, {"folder": 5}), (TypeError, {"resume": 1.5})]
)
def test_what_is_no_directory_and_no_checkpoint_is_refused_by_its_key(error, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (key,) = options
    with pytest.raises(error, match=rf"^{key} must be [^\n]*, but got {options[key]!r}\.$"):
        states(3, **{"folder": tmp_path / "run"} | options)
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_relative_folder_are_found_when_the_notebook_moves_to_another(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for i in range(3):
        Image.fromarray(np.full((4, 4), 40 * i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
    data = Streamed(ImageFolder("images"))
    before = data.some(3)[0]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert np.array_equal(data.some(3)[0], before)
