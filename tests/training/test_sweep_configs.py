"""The configurations of a sweep: their names, what differs, and one sentence for what cannot be."""

import numpy as np
import pytest

from difflab.training.sweeps import grid
from difflab.training.sweeps.configs import differences, named

BASE = {"data": {"name": "ring"}, "model": {"width": 8}, "training": {"steps": 3}}


def test_a_grid_is_every_combination_and_the_last_key_changes_fastest():
    made = grid(BASE, {"training.lr": [1e-3, 2e-3], "model.width": [8, 16, 24]})
    assert [(one["training"]["lr"], one["model"]["width"]) for one in made.values()] == [
        (lr, width) for lr in (1e-3, 2e-3) for width in (8, 16, 24)
    ]
    assert list(made)[:2] == ["lr=0.001,width=8", "lr=0.001,width=16"]
    assert all(one["training"]["steps"] == 3 and one["data"] == {"name": "ring"} for one in made.values())
    assert BASE["model"] == {"width": 8}  # untouched


def test_names_say_what_differs_and_nothing_else():
    assert list(grid(BASE, {"training.lr": [1e-3], "training.decay": ["constant", "cosine"]})) == [
        "decay=constant",
        "decay=cosine",
    ]
    assert list(grid(BASE, {"training.lr": [1e-3]})) == ["run"]
    seeds = grid(BASE, {"training.seed": [0, 1], "model.seed": [0, 1]})  # two keys of one last part
    assert "training.seed=0,model.seed=1" in seeds
    nested = grid(BASE, {"schedule.name": ["ZeroTerminalSNR"], "schedule.base.beta_max": [0.02, 0.03]})
    assert list(nested) == ["beta_max=0.02", "beta_max=0.03"]
    assert nested["beta_max=0.03"]["schedule"] == {"name": "ZeroTerminalSNR", "base": {"beta_max": 0.03}}


def test_numpy_s_numbers_are_taken_as_numbers():
    made = grid(BASE, {"training.lr": np.geomspace(1e-4, 1e-2, 3), "model.width": np.array([8, 16])})
    assert "lr=0.001,width=16" in made
    one = made["lr=0.001,width=16"]
    assert (type(one["training"]["lr"]), type(one["model"]["width"])) == (float, int)
    assert len(named(made)) == 6


def test_what_is_no_name_of_a_folder_becomes_one():
    made = grid(BASE, {"data.name": ["a/b", "a:b"]})
    assert len(made) == 2
    assert all("/" not in name and ":" not in name and len(name) <= 80 for name in made)
    long = grid(BASE, {"training.times": ["x" * 300, "x" * 299 + "y"]})
    assert len(long) == 2
    assert max(map(len, long)) <= 80


def test_a_list_is_named_after_files_and_after_what_differs(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text('[data]\nname = "ring"\n[training]\nsteps = 2\n')
    fast = BASE | {"training": {"steps": 3, "lr": 0.01}}
    found = named([path, BASE, fast])
    assert list(found) == ["small", "lr=default", "lr=0.01"]
    assert found["small"] == {"data": {"name": "ring"}, "training": {"steps": 2}}
    assert list(named({"mine": path})) == ["mine"]
    assert list(named([BASE])) == ["run"]


def test_what_differs():
    own = differences(named([BASE, BASE | {"training": {"steps": 3, "lr": 0.01}}]))
    assert list(own.values()) == [{"training.lr": None}, {"training.lr": 0.01}]
    same = differences({"a": {"model": {"width": 1}}, "b": {"model": {"width": True}}})
    assert same["a"] == {"model.width": 1}  # though they are equal in Python


def with_training(**training):
    return BASE | {"training": {"steps": 3} | training}


@pytest.mark.parametrize(
    ("configs", "error", "sentence"),
    [
        ([], ValueError, "nothing to sweep over"),
        ({}, ValueError, "nothing to sweep over"),
        (BASE, TypeError, "needs several configurations"),
        ("ring.toml", TypeError, "needs several configurations.*ring.toml"),
        (3, TypeError, "needs a list of configurations, .* got 3"),
        ([3], TypeError, "is the tables of a recipe, or the path of its file, but got 3"),
        ([BASE, BASE], ValueError, "Two configurations are named 'run'"),
        ({"a": BASE, "A": with_training(lr=0.1)}, ValueError, "Two configurations are named 'A'"),
        ({"a/b": BASE}, ValueError, "name is that of its folder.*'a/b'"),
        ({"..": BASE}, ValueError, r"name is that of its folder.*'\.\.'"),
        ({3: BASE}, ValueError, "name is that of its folder.* 3"),
        ([BASE, with_training(lr="x")], ValueError, r"^lr=x: training.lr, the learning rate, must be .* got 'x'"),
        ({"a": with_training(speed=2)}, ValueError, "^a: training.speed is not known; choose from .*batch"),
        ({"a": BASE | {"colour": {}}}, ValueError, "^a: colour is not known; choose from data"),
        ({"a": BASE | {"training": 3}}, ValueError, r"^a: training must be a table"),
        (["nowhere.toml"], FileNotFoundError, "nowhere.toml"),
    ],
)
def test_configurations_are_refused_in_one_sentence(configs, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        named(configs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choices", "error", "sentence"),
    [
        ({}, TypeError, "needs values by dotted key"),
        ([1e-3], TypeError, "needs values by dotted key"),
        ({"lr": [1e-3]}, ValueError, "such as 'training.lr', but got 'lr'"),
        ({"optimiser.lr": [1e-3]}, ValueError, "got 'optimiser.lr'"),
        ({"training.": [1e-3]}, ValueError, "got 'training.'"),
        ({3: [1e-3]}, ValueError, "got 3"),
        ({"training.lr": 1e-3}, TypeError, "training.lr of a grid needs a list of values, but got 0.001"),
        ({"training.decay": "cosine"}, TypeError, "training.decay of a grid needs a list of values, but got 'cosine'"),
        ({"training.lr": []}, ValueError, "training.lr of a grid has no values"),
        ({"training.lr": [1e-3, 0.001]}, ValueError, "training.lr of a grid has the value 0.001 twice"),
        (
            {"model.width.deep": [3]},
            ValueError,
            "model.width.deep of a grid reaches into width, which is no table but 8",
        ),
    ],
)
def test_grids_are_refused_in_one_sentence(choices, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        grid(BASE, choices)
    assert "\n" not in str(caught.value)
