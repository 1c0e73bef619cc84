"""What is drawn is kept, told and refused; whom it feeds hears of every change."""

from __future__ import annotations

import base64
import gc
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets

from difflab.data import FiniteSet, GaussianMixture, digits, two_moons
from difflab.scenes.draw_data import DrawData
from difflab.scenes.drawings import DRAWINGS
from difflab.scenes.drawn import (
    MOST_POINTS,
    decode,
    encode,
)
from difflab.scenes.forward_noising import ForwardNoising
from difflab.scenes.langevin_bench import LangevinBench
from difflab.scenes.reverse_trajectories import ReverseTrajectories
from difflab.scenes.schedule_desk import ScheduleDesk

JS = Path(__file__).parents[2] / "js"
ELLIPSE = {"weight": 2.0, "mean": [1.0, -0.5], "axes": [0.6, 0.2], "angle": math.pi / 6}


def test_a_new_seed_draws_a_random_preset_anew_but_nobodys_own_drawing() -> None:
    scene = DrawData("random", seed=1)
    scene.set_state({"seed": 2})  # as the browser does
    scene.settle()
    assert scene.ellipses == DrawData("random", seed=2).ellipses
    mine = [ELLIPSE]
    scene.set_state({"ellipses": mine, "preset": ""})
    scene.set_state({"seed": 3})
    scene.settle()
    assert scene.ellipses == mine


def test_the_preset_that_the_browser_asks_for() -> None:
    scene = DrawData()
    scene._receive(scene, {"request": "preset", "args": {"name": "moons"}}, [])
    scene.settle()
    assert (scene.mode, scene.preset, scene.error) == ("points", "moons", "")
    scene._receive(scene, {"request": "preset", "args": {"name": "circle"}}, [])
    scene.settle()
    assert scene.error == "There is no drawing named 'circle'; choose one of " + ", ".join(DRAWINGS) + "."


def test_a_preset_holds_the_drawing_itself() -> None:
    scene = DrawData(seed=3)
    rng = np.random.default_rng(0)
    scene.set_points(rng.normal(size=(1000, 2)), rng.integers(0, 3, 1000))  # at once, though traits come a little later
    told = json.loads(json.dumps(scene.to_dict()))
    assert len(json.dumps(told)) < 1000 * 9 * 4 / 3 + 2500  # nine bytes a point in base64, and the rest
    back = DrawData.from_dict(told)
    np.testing.assert_array_equal(back.data.x, scene.data.x)
    np.testing.assert_array_equal(back.data.labels, scene.data.labels)
    scene = DrawData("random", seed=9)
    back = DrawData.from_dict(scene.to_dict())
    back.settle()
    assert (back.ellipses, back.seed, back.preset) == (scene.ellipses, 9, "random")
    other = DrawData("random", seed=2)
    other.apply(scene.to_dict() | {"ellipses": [ELLIPSE], "preset": ""})  # its new seed draws nothing over it
    other.settle()
    assert other.ellipses == [ELLIPSE]
    empty = DrawData()
    empty.clear()
    assert DrawData.from_dict(empty.to_dict()).ellipses == []


def test_numbers_of_a_mixture() -> None:
    scene = DrawData(mixture=GaussianMixture(None, [[0.0, 1.0]], [[[0.5, 0.1], [0.1, 0.3]]]))
    numbers = scene.numbers()
    # of one Gaussian in closed form: (1/2) log det(2 pi e C)
    due = 0.5 * math.log((2 * math.pi * math.e) ** 2 * (0.5 * 0.3 - 0.01))
    assert numbers["entropy"] == pytest.approx(due, rel=1e-12)
    assert numbers["entropy_error"] == 0.0
    assert numbers["components"] == 1
    assert numbers["second_moment"] == pytest.approx((0.5 + 0.3 + 1) / 2)
    scene.clear()
    assert "entropy" not in scene.numbers()  # what was measured of another drawing is not said of this one
    assert "sigma_data" not in scene.numbers()


def test_it_feeds_scenes_at_each_change() -> None:
    scene, forward = DrawData(), ForwardNoising("moons", n=50)
    seen: list[Any] = []
    threads: list[str] = []
    scene.on_data(lambda data: (seen.append(data), threads.append(threading.current_thread().name)))
    scene.feed(forward)
    scene.settle()
    assert isinstance(forward.data, GaussianMixture)
    assert forward.mixture is not None
    assert scene.feeds == ["ForwardNoising"]
    xy = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    scene.set_state({"mode": "points", "drawn": encode(np.array(xy), np.zeros(3))})
    scene.settle()
    assert {tuple(row) for row in forward.x0.tolist()} <= {tuple(row) for row in xy}
    assert seen[-1] is scene.data
    assert forward.data is scene.data
    assert threading.current_thread().name not in threads
    before = len(seen)
    scene.clear()  # fewer than two points: the others keep what they have
    scene.settle()
    assert len(seen) == before
    assert len(forward.data.x) == 3
    scene.unfeed(forward)
    scene.set_mixture(GaussianMixture.ring())
    scene.settle()
    assert isinstance(forward.data, FiniteSet)
    assert isinstance(seen[-1], GaussianMixture)
    assert scene.feeds == []


def test_every_kind_of_scene_is_fed_or_says_why_not() -> None:
    scenes = [ForwardNoising(n=10), ScheduleDesk(), ReverseTrajectories(), LangevinBench()]
    draw = DrawData()
    draw.feed(*scenes)
    draw.settle()
    assert [type(scene.data) for scene in scenes] == [GaussianMixture] * 4
    assert [scene.error for scene in scenes] == [""] * 4
    draw.set_points([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    draw.settle()
    assert all(scene.data is draw.data for scene in scenes[:3])
    assert scenes[3].error.startswith("This scene walks on a GaussianMixture of points in the plane")
    draw.set_mixture(GaussianMixture.grid())
    draw.settle()
    assert [scene.error for scene in scenes] == [""] * 4
    assert draw.error == ""


def test_it_keeps_no_scene_alive_and_shows_what_a_listener_raises() -> None:
    scene = DrawData()
    scene.feed(ForwardNoising(n=10))
    scene.settle()
    gc.collect()
    # ipywidgets keeps every open widget in its registry; the audience itself holds them weakly
    assert all(type(known).__name__ == "ReferenceType" for known in scene._audience._scenes)

    def fails(_data: object) -> None:
        raise ValueError("Nobody wants this data.")

    scene.on_data(fails)
    scene.set_mixture(GaussianMixture.grid())
    scene.settle()
    assert scene.error == "Nobody wants this data."


def test_too_little_is_said_in_a_sentence() -> None:
    scene = DrawData(mode="points")
    with pytest.raises(ValueError, match="two points or more, and nothing is drawn yet: draw, or call set_points"):
        _ = scene.data
    scene.set_points([[0.0, 1.0]])
    with pytest.raises(ValueError, match="two points or more, and one point is drawn"):
        _ = scene.data
    scene.clear()
    scene.settle()
    scene.mode = "mixture"
    with pytest.raises(ValueError, match="Nothing is drawn yet: a mixture needs one ellipse or more"):
        _ = scene.data


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"data": "circle"}, ValueError, "no data named 'circle'"),
        ({"data": 3}, TypeError, "must be a data set or one of"),
        ({"data": digits()}, ValueError, "points in the plane and mixtures, but digits 8x8 has the shape"),
        ({"data": GaussianMixture.random(3, dim=3)}, ValueError, "mixtures in the plane, but .* has 3 dimensions"),
        ({"data": GaussianMixture.random(40)}, ValueError, "at most 32 components, but got 40"),
        ({"data": FiniteSet([[0.0, 0], [1, 1]], weights=[0.5, 0.5])}, ValueError, "a set without weights"),
        ({"data": "ring", "points": [[0, 0]]}, ValueError, "one of data, points and mixture, but got data and points"),
        ({"labels": [1]}, ValueError, "labels are the classes of points"),
        ({"points": [1, 2, 3]}, ValueError, r"shape \(n, 2\), but got \(3,\)"),
        ({"points": np.zeros((MOST_POINTS + 1, 2))}, ValueError, "at most 20,000 points, but got 20,001"),
        ({"points": [[0, float("nan")]]}, ValueError, "must be finite"),
        ({"points": [[0, "a"]]}, ValueError, "Points must be real numbers"),
        ({"points": [[0, 0]], "labels": [10]}, ValueError, "whole numbers from 0 to 9"),
        ({"points": [[0, 0]], "labels": [0.5]}, ValueError, "whole numbers from 0 to 9"),
        ({"points": [[0, 0]], "labels": [0, 1]}, ValueError, "one label for each of the 1 points"),
        ({"mixture": "ring"}, TypeError, "mixture must be a GaussianMixture, but got 'ring'"),
        ({"seed": -1}, ValueError, "seed must be a whole number from 0 to 2,147,483,647, but got -1"),
        ({"pen_class": 10}, traitlets.TraitError, "pen_class"),
        ({"brush": 7.0}, traitlets.TraitError, "brush"),
        ({"ellipses": "ring"}, traitlets.TraitError, "must be a list of ellipses"),
        ({"ellipses": [{"mean": [0, 0]}]}, traitlets.TraitError, "weight, mean, axes and angle"),
        ({"ellipses": [ELLIPSE | {"weight": 0}]}, traitlets.TraitError, "a number above 0, but got 0"),
        (
            {"ellipses": [ELLIPSE | {"axes": [1, 0]}]},
            traitlets.TraitError,
            "axes of an ellipse must be two numbers from",
        ),
        ({"ellipses": [ELLIPSE | {"angle": math.inf}]}, traitlets.TraitError, "angle of an ellipse must be a number"),
        ({"ellipses": [ELLIPSE | {"mean": [0]}]}, traitlets.TraitError, "mean of an ellipse must be two numbers"),
        ({"drawn": "points"}, traitlets.TraitError, "Drawn points are"),
        ({"drawn": {"xy": "!", "classes": ""}}, traitlets.TraitError, "must be base64"),
        ({"drawn": {"xy": "AAAA", "classes": "Bw=="}}, traitlets.TraitError, "but got 3 and 1 bytes"),
        ({"hidden": ["colour"]}, traitlets.TraitError, "has no control 'colour'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments: dict[str, Any], error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        DrawData(**arguments)
    assert "\n" not in str(caught.value)


def test_others_are_refused_too() -> None:
    scene = DrawData()
    with pytest.raises(TypeError, match="other scenes that show data"):
        scene.feed(scene)
    with pytest.raises(TypeError, match="other scenes that show data"):
        scene.feed(ForwardNoising(n=5), "ForwardNoising")  # type: ignore[arg-type]
    assert scene.feeds == []  # nobody was added
    with pytest.raises(TypeError, match="on_data takes a function"):
        scene.on_data(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must be a data set or one of ring, "):
        scene.show(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not of DrawData"):
        DrawData.from_dict(ScheduleDesk().to_dict())
    # from the browser: refused in the scene, which keeps what it had
    before = scene.ellipses
    scene.set_state({"ellipses": [ELLIPSE | {"axes": [0, 1]}]})
    scene.settle()
    assert "axes of an ellipse" in scene.error
    assert scene.ellipses == before
    bad = {"xy": base64.b64encode(np.float32([np.nan, 0]).tobytes()).decode(), "classes": "AA=="}
    with pytest.raises(ValueError, match="must be finite"):
        decode(bad)


def test_it_shows_what_other_scenes_show() -> None:
    scene = DrawData()
    scene.show(two_moons(), seed=5)
    scene.settle()
    assert (scene.mode, scene.seed) == ("points", 5)
    np.testing.assert_array_equal(scene.data.x, two_moons().x)  # type: ignore[union-attr]
    np.testing.assert_array_equal(scene.data.labels, two_moons().labels)  # type: ignore[union-attr]


def test_the_page_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    full = DrawData(points=rng.normal(size=(MOST_POINTS, 2)))
    assert full.save_html(tmp_path / "full.html").stat().st_size < 3_000_000
