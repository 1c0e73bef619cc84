"""The recipes that come along are the ones that the benchmarks measured."""

import importlib
from pathlib import Path

import pytest

from difflab.data import deformed, digits, mnist_5k
from difflab.training.recipe import read

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def benchmark_of():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_a_recipe_trains_as_its_benchmark_does(benchmark_of, name):
    recipe, benchmark = read(ROOT / "configs" / f"{name}.toml"), benchmark_of(name)
    if name == "digits":
        assert recipe.data is digits(copies=benchmark.COPIES)
        assert (benchmark.learned_from(digits(), 2).x == deformed(digits(), 2).x).all()  # of the same kind
    else:
        assert recipe.data is mnist_5k()
    assert {key: value for key, value in recipe.training.items() if key != "steps"} == benchmark.SETTINGS
    config = recipe.denoiser.config
    assert config["prediction"] == benchmark.NETWORK["prediction"]
    told = {key: value for key, value in benchmark.NETWORK.items() if key != "prediction"}
    assert config["network"]["options"].items() >= (told | {"classes": 10, "width": 64}).items()


def test_every_recipe_that_comes_along_can_be_read():
    recipes = sorted((ROOT / "configs").glob("*.toml"))
    assert [path.stem for path in recipes] == ["digits", "mnist", "ring"]
    assert all(read(path).training["steps"] >= 1000 for path in recipes)
