"""Presets: what a scene is, as plain JSON in a file, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from traitlets import TraitError

from difflab import cli
from difflab.commands import lab as command
from difflab.data import FiniteSet, GaussianMixture
from difflab.data.names import named
from difflab.scenes import lab as lab_module
from difflab.scenes.forward_noising import ForwardNoising
from difflab.scenes.lab import Lab
from difflab.scenes.preset import data_from, data_told, read, scene_from
from difflab.scenes.schedule_desk import ScheduleDesk


def test_a_file_brings_the_scene_back_with_its_data(tmp_path):
    scene = ForwardNoising("moons", "VPLinear", seed=3, t=0.7, hidden=["seed"])
    again = scene_from(read(scene.save_preset(tmp_path / "moons.json")))
    assert isinstance(again, ForwardNoising)
    again.settle()
    assert again.data.name == scene.data.name
    assert (again.t, again.seed, again.hidden, again.schedule) == (0.7, 3, ["seed"], scene.schedule)
    np.testing.assert_array_equal(again.x0, scene.x0)  # the same seed of the same data draws the same samples


def test_a_mixture_is_told_by_its_numbers():
    mixture = GaussianMixture([0.2, 0.8], [[-1.0, 0.0], [1.0, 0.5]], [[[0.1, 0.02], [0.02, 0.3]]] * 2, name="two")
    again = data_from(json.loads(json.dumps(data_told(mixture))))
    assert again.name == "two"
    for of in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(again, of), getattr(mixture, of))


def test_options_of_a_name_are_kept():
    assert data_told(named("ring", components=5)) == {"name": "ring", "components": 5}
    assert len(data_from({"name": "ring", "components": 5}).weights) == 5


def test_data_of_ones_own_are_given_again(tmp_path):
    own = FiniteSet(np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32), name="own")
    preset = ForwardNoising(own).to_dict()
    assert "data" not in preset
    assert ForwardNoising.from_dict(preset, data=own).data is own


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"mixture": 3}, "Data in a preset"),
        ("ring", "Data in a preset"),
        ({"name": "nothing"}, "no data named 'nothing'"),
        ({"name": "ring", "parts": 3}, "no option 'parts'"),
    ],
)
def test_bad_data_are_one_sentence(told, said):
    with pytest.raises(ValueError, match=said):
        ForwardNoising.from_dict({"scene": "ForwardNoising", "data": told})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[]", r"must name its scene, one of ForwardNoising, .* but says \[\]"),
        ('{"scene": "Nothing"}', "but says 'Nothing'"),
    ],
)
def test_a_bad_file_ends_the_command_in_one_sentence(text, said, tmp_path, monkeypatch):
    monkeypatch.setattr("difflab.server.lab", lambda flags: pytest.fail("the server started"))
    path = tmp_path / "preset.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match=said):
        cli.main(["lab", "--preset", str(path)])


def test_the_command_hands_the_preset_to_the_kernels(tmp_path, monkeypatch):
    path = ScheduleDesk(steps=77).save_preset(tmp_path / "desk.json")
    monkeypatch.delenv(command.VARIABLE, raising=False)
    monkeypatch.setattr("os.environ", dict(__import__("os").environ))
    got = []
    monkeypatch.setattr("difflab.server.lab", got.extend)
    assert cli.main(["lab", "--no-browser", f"--preset={path}", "--port", "1"]) == 0
    assert got == ["--no-browser", "--port", "1"]
    monkeypatch.setattr(lab_module, "_shown", None)
    shown = lab_module.start()
    assert isinstance(shown, ScheduleDesk)
    assert shown.steps == 77


def test_hidden_takes_names_of_controls_only():
    with pytest.raises(Exception, match="ForwardNoising has no control 'colour of the sky'"):
        ForwardNoising(hidden=["colour of the sky"])
    with pytest.raises(Exception, match="hidden must be names of controls"):
        ForwardNoising(hidden=3)
    assert ForwardNoising(hidden="seed").hidden == ["seed"]


def test_a_preset_that_is_taken_over_wins_over_what_its_data_suggest():
    scene = ForwardNoising(n=100)
    scene.apply(ForwardNoising("moons", n=300, seed=5, picked=3).to_dict())
    scene.settle()
    assert (scene.data.name, scene.seed, scene.n, len(scene.x0), scene.picked) == ("two moons", 5, 300, 300, 3)


def test_a_broken_preset_changes_nothing():
    scene = ForwardNoising(n=100, seed=2)
    before = scene.to_dict()
    for wrong in ({"t": 3}, {"n": "many"}, {"n": 50, "picked": 70}, {"data": {"name": "nothing"}}, {"sky": 1}):
        broken = ForwardNoising("moons", n=300, t=0.9).to_dict() | {"picked": -1} | wrong
        with pytest.raises((ValueError, TraitError)):
            scene.apply(broken if "picked" not in wrong else {k: v for k, v in broken.items() if k != "data"})
        scene.settle()
        assert scene.to_dict() == before


def test_a_preset_of_the_lab_keeps_what_was_moved_after_the_data_was_chosen():
    lab = Lab("grid", steps=30, seed=4)
    lab.settle()
    lab.langevin.distance, lab.langevin.sigma_max, lab.langevin.n = 3.3, 7.7, 50
    lab.forward.n, lab.forward.picked, lab.reverse.picked, lab.bits.bins = 500, 7, [1, 2], 11
    lab.settle()
    told = json.loads(json.dumps(lab.to_dict()))
    again = Lab.from_dict(told)
    again.settle()
    assert again.to_dict() == told
    assert (again.data.name, len(again.forward.x0), again.preset) == ("3 x 3 grid", 500, "grid")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"forward": 3}, "a preset of 3, not of ForwardNoising"),
        ({"bits": {"scene": "WhereTheBitsGo", "bins": "x"}}, "bins must be a whole number from 1 to 200, but got 'x'"),
        ({"draw": {"scene": "DrawData", "ellipses": [3]}}, "An ellipse has weight, mean, axes and angle, but got 3"),
    ],
)
def test_what_is_wrong_inside_the_lab_leaves_all_of_it(wrong, said):
    lab = Lab(steps=30)
    before = lab.to_dict()
    with pytest.raises((ValueError, TraitError), match=said):
        lab.apply(before | {"preset": "moons", "t": 0.9} | wrong)
    lab.settle()
    assert lab.to_dict() == before
