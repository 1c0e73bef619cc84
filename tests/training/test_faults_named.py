"""Whatever a configuration gets wrong is one sentence with the key as the user wrote it, the value, and what is allowed."""

import math

import pytest

from difflab.cli import main
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Settings, save, train
from difflab.training.differing import difference
from difflab.training.recipe import RecipeError, recipe_from

WRONG = [-1.5, "x", [1], math.nan]
RING = {"data": {"name": "ring"}, "training": {"steps": 3}}


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("key", sorted(Settings.__dataclass_fields__))
def test_every_setting_names_itself_in_python_and_in_a_recipe(key, value):
    with pytest.raises(ValueError, match=rf"^{key}\b.* must be .*, but got .*\.$") as caught:
        Settings(**{key: value})
    said = str(caught.value)
    assert repr(value).strip("[]") in said
    with pytest.raises(RecipeError) as caught:
        recipe_from({**RING, "training": {"steps": 3, key: value}}, "my.toml")
    assert str(caught.value) == f"my.toml: training.{said}"


@pytest.mark.parametrize(
    ("table", "key", "value", "allowed"),
    [
        ("training", "steps", 0, "of at least 1"),
        ("training", "threads", 0, "from 1 to 1024"),
        ("training", "seed", -1, "from 0 to"),
        ("training", "save_every", 0, "of at least 1"),
        ("training", "keep", -1, "from 0 to"),
        ("training", "tensorboard", "yes", "True or False"),
        ("training", "device", 3, "must be a name"),
        ("data", "name", "rnig", "choose one of ring"),
        ("data", "std", -1, "a number of 0 or more"),
        ("data", "std", 0.0, "a length above 0"),
        ("data", "components", 0, "from 1 to"),
        ("schedule", "name", "Linear", "choose one of"),
        ("schedule", "s", -1, "0 < s <= 1"),
        ("model", "width", 0, "from 1 to"),
        ("model", "prediction", "noise", "can predict eps, x0, v"),
        ("model", "network", "Foo", "choose one of MLP"),
        ("model", "seed", -1, "from 0 to"),
        ("model", "conditional", "yes", "true or false"),
    ],
)
def test_every_key_of_a_recipe_names_itself(table, key, value, allowed):
    tables = {name: dict(content) for name, content in RING.items()}
    tables.setdefault(table, {})[key] = value
    with pytest.raises(RecipeError, match=rf"^my\.toml: {table}\.{key}\b") as caught:
        recipe_from(tables, "my.toml")
    said = str(caught.value)
    assert repr(value) in said
    assert allowed in said
    assert "\n" not in said


def test_where_two_descriptions_differ():
    one = {"name": "MLP", "options": {"width": 16, "shape": [1, 8]}, "clip": [1.0, 0.1 + 0.2]}
    assert difference(one, one | {"clip": [1.0, 0.3]}, "net") is None  # the last bits
    assert difference(one, one | {"options": {"width": 32, "shape": [1, 8]}}, "net") == (
        "net.options.width",
        "16",
        "32",
    )
    assert difference(one, one | {"options": {"shape": [1, 8]}}, "net") == ("net.options.width", "16", "missing")
    assert difference(one, {}, "net") == ("net.name", "'MLP'", "missing")
    assert difference(one, one | {"clip": None}, "net") == ("net.clip", "[1.0, 0.30000000000000004]", "None")
    key, mine, its = difference({"values": list(range(1000))}, {"values": []}, "schedule")
    assert (key, its) == ("schedule.values", "[]")
    assert len(mine) <= 80


def test_the_command_line_says_what_a_recipe_is(tmp_path):
    data = GaussianMixture.ring()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=16)
    *_, state = train(denoiser, data, steps=1, batch=8, device="cpu")
    checkpoint = tmp_path / "c.safetensors"
    save(state.run, checkpoint)
    for content in (checkpoint.read_bytes(), b"\xff\xfe caf\xe9"):
        checkpoint.write_bytes(content)
        with pytest.raises(SystemExit, match=r"^c\.safetensors is not a recipe: that is a text file in TOML"):
            main(["train", str(checkpoint), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_another_network_than_in_the_folder_is_a_short_sentence_on_the_command_line(tmp_path):
    recipe = tmp_path / "ring.toml"
    text = "data.name = 'ring'\nmodel.width = {}\ntraining.steps = 2\ntraining.batch = 8\ntraining.device = 'cpu'\n"
    recipe.write_text(text.format(16))
    assert main(["train", str(recipe), "--out", str(tmp_path / "run")]) == 0
    recipe.write_text(text.format(24))
    sentence = r"^This checkpoint cannot be resumed here: its denoiser\.network\.options\.width is 16, not 24\.$"
    with pytest.raises(SystemExit, match=sentence):
        main(["train", str(recipe), "--out", str(tmp_path / "run")])


def test_a_run_that_had_ended_shows_no_loss(tmp_path, capsys):
    recipe = tmp_path / "ring.toml"
    recipe.write_text("data.name = 'ring'\ntraining.steps = 2\ntraining.batch = 8\ntraining.device = 'cpu'\n")
    for _ in range(2):
        assert main(["train", str(recipe), "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr()
    assert "nan" not in told.out + told.err
