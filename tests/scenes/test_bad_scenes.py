"""What cannot be is refused by every scene in one sentence: arguments, traits from both sides, requests, data, presets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets

from difflab.data import FiniteSet, GaussianMixture
from difflab.scenes import MODULES, scene_class
from difflab.scenes.base import Scene
from difflab.scenes.preset import read, scene_from

#: small ones, so that many can be made
SMALL: dict[str, dict[str, Any]] = {
    "ForwardNoising": {"n": 50},
    "ReverseTrajectories": {"n": 20},
    "LangevinBench": {"n": 20, "calls": 20},
    "WhereTheBitsGo": {"steps": 20},
    "ScheduleDesk": {"steps": 20},
    "Lab": {"steps": 20},
}
WITH_DATA = [name for name in MODULES if name not in ("Lab", "RunComparison")]
REFUSED = (ValueError, TypeError, traitlets.TraitError)
WRONG = [True, -1, float("nan"), float("inf"), 10**30, "x" * 1000, [1], {"a": 1}, object()]


def one_sentence(said: str, *words: str) -> None:
    assert said.strip()
    assert "\n" not in said
    for word in words:
        assert word.casefold() in said.casefold(), said


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    made = {name: scene_class(name)(**SMALL.get(name, {})) for name in MODULES}
    for scene in made.values():
        scene.settle()
    return made


@pytest.mark.parametrize("name", MODULES)
def test_clock_and_seed_take_numbers_of_python_and_numpy_only(name: str, scenes: dict[str, Scene]) -> None:
    scene = scenes[name]
    for trait in ("t", "seed"):
        kept = getattr(scene, trait)
        for value in WRONG:
            with pytest.raises(traitlets.TraitError) as caught:
                setattr(scene, trait, value)
            one_sentence(str(caught.value), trait, "but got")
            assert len(str(caught.value)) < 200
        assert getattr(scene, trait) == kept
    scene.t = np.float32(0.5)
    scene.seed = np.int64(0)
    assert (scene.t, type(scene.t), type(scene.seed)) == (0.5, float, int)


@pytest.mark.parametrize("name", MODULES)
def test_a_wrong_value_of_the_browser_is_a_red_line_and_changes_nothing(name: str, scenes: dict[str, Scene]) -> None:
    scene = scenes[name]
    before = scene.to_dict()
    for trait in scene.preset_traits:
        scene.set_state({trait: {"not": "this"}})
        scene.settle()
        one_sentence(scene.error, trait)
        assert scene.to_dict() == before
    scene.set_state({"hidden": []})
    scene.settle()
    assert scene.error == ""


MESSAGES: list[Any] = [
    None,
    [],
    "ready",
    {},
    {"request": None},
    {"request": ["sample"]},
    {"request": "close"},  # a method, and no request
    {"request": "beat", "args": 3},
    {"request": "beat", "args": {"beats": 1}},
    {"request": "ready", "args": {"now": True}},
]


@pytest.mark.parametrize("name", MODULES)
def test_a_wrong_request_is_a_red_line(name: str, scenes: dict[str, Scene]) -> None:
    scene = scenes[name]
    wrong = [{"request": known, "args": args} for known in scene.requests() for args in ({"sky": 1}, 3, [1], "abc")]
    for message in MESSAGES + wrong:
        scene._receive(None, message, [])
        scene.settle()
        one_sentence(scene.error, "request")
        scene.error, scene.error_source = "", None


def test_a_beat_leaves_the_line_that_a_user_was_told(scenes: dict[str, Scene]) -> None:
    scene = scenes["ForwardNoising"]
    scene._receive(None, {"request": "sky"}, [])
    scene._receive(None, {"request": "beat", "args": {"beat": 1}}, [])
    scene.settle()
    assert "'sky'" in scene.error


@pytest.mark.parametrize("name", WITH_DATA)
@pytest.mark.parametrize("data", [3, "nothing", np.zeros((5, 2)), [GaussianMixture.ring()], GaussianMixture])
def test_what_is_no_data_is_refused(name: str, data: Any, scenes: dict[str, Scene]) -> None:
    with pytest.raises(REFUSED) as caught:
        scene_class(name)(data=data)
    one_sentence(str(caught.value), "data")
    with pytest.raises(REFUSED) as caught:
        scenes[name].show(data)  # type: ignore[attr-defined]
    one_sentence(str(caught.value), "data")


@pytest.mark.parametrize("name", WITH_DATA)
@pytest.mark.parametrize("seed", [-1, 1.5, "3", 2**31])
def test_a_seed_of_other_data_is_refused_with_nothing_shown(name: str, seed: Any, scenes: dict[str, Scene]) -> None:
    before = scenes[name].to_dict()
    with pytest.raises(ValueError, match="seed must be a whole number from 0 to 2,147,483,647, but got"):
        scenes[name].show("moons" if name != "LangevinBench" else "grid", seed)  # type: ignore[attr-defined]
    scenes[name].settle()
    assert scenes[name].to_dict() == before


SOLID = GaussianMixture.random(dim=3)
ROWS = FiniteSet(np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32), name="rows")


@pytest.mark.parametrize("name", ["ForwardNoising", "ReverseTrajectories", "ScoreMap", "LangevinBench", "DrawData"])
@pytest.mark.parametrize("data", [SOLID, ROWS])
def test_data_that_cannot_be_drawn_are_refused_by_name(name: str, data: Any) -> None:
    with pytest.raises(ValueError, match="plane") as caught:
        scene_class(name)(data)
    one_sentence(str(caught.value), data.name)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("wrong", [None, 3, [], {}, {"scene": 3}, {"scene": "Sky"}, {"scene": ["Lab"]}])
def test_what_is_no_preset_is_refused(name: str, wrong: Any, scenes: dict[str, Scene]) -> None:
    for take in (scene_class(name).from_dict, scenes[name].apply):
        with pytest.raises(ValueError, match=f"not of {name}"):
            take(wrong)


@pytest.mark.parametrize("name", MODULES)
def test_one_wrong_value_in_a_preset_is_named_and_nothing_is_taken_over(name: str, scenes: dict[str, Scene]) -> None:
    scene = scenes[name]
    before = scene.to_dict()
    for trait in scene.preset_traits:
        with pytest.raises((ValueError, traitlets.TraitError)) as caught:
            scene.apply({"hidden": ["png"], "t": 0.9} | before | {trait: {"not": "this"}})
        one_sentence(str(caught.value))
    with pytest.raises(ValueError, match=f"A preset of {name} has no sky"):
        scene.apply(before | {"sky": 1})
    scene.settle()
    assert scene.to_dict() == before


@pytest.mark.parametrize("scene", ["Sky", 3, None, [], {}])
def test_a_file_that_names_no_scene_is_refused(scene: Any, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps({"scene": scene}))
    with pytest.raises(ValueError, match="must name its scene"):
        read(tmp_path / "p.json")
    with pytest.raises(ValueError, match="There is no scene named"):
        scene_from({"scene": scene})


POINT = FiniteSet(np.array([[0.5, 0.5]] * 3, np.float32), name="one point")
FAR = GaussianMixture([0.5, 0.5], [[-1e6, 0.0], [1e6, 0.0]], 1.0, "far modes")
NARROW = GaussianMixture([1.0], [[0.0, 0.0]], 1e-14, "a needle")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("WhereTheBitsGo", POINT, "all of one point is one point"),
        ("ForwardNoising", FAR, "points up to 10,000 from 0, but far modes reaches 1e"),
        ("ReverseTrajectories", FAR, "points up to 10,000 from 0, but far modes reaches 1e"),
        ("LangevinBench", NARROW, "sigma_min must be a number from 1e-06 to 10000"),
    ],
)
def test_data_beyond_what_a_scene_can_show_are_refused(
    name: str, data: Any, said: str, scenes: dict[str, Scene]
) -> None:
    before = scenes[name].to_dict()
    with pytest.raises(REFUSED, match=said):
        scene_class(name)(data)
    with pytest.raises(REFUSED, match=said):
        scenes[name].show(data)  # type: ignore[attr-defined]
    scenes[name].settle()
    assert scenes[name].to_dict() == before


def test_a_desk_of_one_point_has_no_advice_and_no_error() -> None:
    desk = scene_class("ScheduleDesk")(steps=20, data=POINT)
    assert np.isfinite(list(desk.numbers().values())).all()
    assert (desk.advice, desk.error) == (None, "")
