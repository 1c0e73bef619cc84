"""The Lab without a browser: one schedule, one clock, and training that the scenes follow."""

import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import traitlets

from difflab.data import GaussianMixture
from difflab.scenes.lab import Lab


def wait_until(condition, timeout: float = 60.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def lab():
    made = Lab(train_steps=400)
    yield made
    if made.monitor.trainer is not None:
        made.monitor.trainer.stop()


def test_the_first_picture_does_not_wait_for_torch() -> None:
    code = """
import sys
import difflab
assert "torch" not in sys.modules
import difflab.scenes.lab as room
from difflab.scenes import publisher
for lane in ("exact", "learned", "sample"):  # what is computed in the background may take its time
    publisher.lane(lane).put("hold", lambda: __import__("time").sleep(3))
lab = room.Lab()
assert lab.forward.x0.shape == (20000, 2)
assert "torch" not in sys.modules, "torch was imported before the first paint"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_desk_reshapes_every_scene(lab: Lab) -> None:
    before = lab.numbers()
    x0 = lab.forward.x0
    lab.desk.schedule = {"name": "VPLinear", "params": {"beta_min": 1e-4, "beta_max": 0.01}}
    lab.desk.steps = 200
    after = lab.numbers()
    for scene in (lab.forward, lab.reverse, lab.bits, lab.floor, lab.score):
        assert scene.schedule == lab.desk.schedule
    assert lab.bits.steps == 200
    assert lab.forward.x0 is x0  # no sample crosses again
    assert after["desk.alpha_bar_T"] > before["desk.alpha_bar_T"]
    assert after["bits.optimal"] != before["bits.optimal"]
    assert after["monitor.floor"] != before["monitor.floor"]


def test_one_clock(lab: Lab) -> None:
    lab.t = 0.8
    assert {scene.t for scene in lab.children_scenes().values()} == {0.8}


def test_training_moves_loss_and_bits_towards_the_exact_ones(lab: Lab) -> None:
    lab.settle()
    floor = lab.monitor.floor
    lab.train()
    wait_until(lambda: lab.monitor.state == "finished")
    wait_until(lambda: all(x is not None for x in (lab.bits.learned, lab.floor.excess, lab.score.learned)))
    numbers = lab.numbers()
    assert lab.error == lab.monitor.error == lab.bits.error == ""
    curve = lab.monitor.curve
    assert curve[-20:, 1].mean() < 0.7 * curve[:5, 1].mean()
    # nothing gets below the floor: 20 blocks of >= 512 rows have a standard error below 1 % of it
    assert curve[-20:, 1].mean() > 0.95 * floor
    assert numbers["bits.learned"] > numbers["bits.optimal"]
    # the loss at each level is the floor plus the exact excess, a mean of squares: nothing can be below
    assert numbers["floor.loss"] > numbers["floor.floor"]


def test_pause_resume_and_sampling_while_training(lab: Lab) -> None:
    lab.train_steps = 100_000
    lab.train()
    wait_until(lambda: lab.monitor.step > 20)
    lab.sample()
    lab.reverse.settle()
    assert lab.reverse.learned is not None
    assert lab.reverse.exact is not None
    lab.pause()
    wait_until(lambda: lab.monitor.state == "paused")
    step = lab.monitor.trainer.step
    time.sleep(0.3)
    assert lab.monitor.trainer.step == step
    lab.train()
    wait_until(lambda: lab.monitor.step > step)
    lab.choose("grid")  # a training under way is stopped
    lab.settle()
    wait_until(lambda: lab.monitor.state == "idle")
    assert lab.data.name == "3 x 3 grid"
    assert lab.bits.learned is None


def test_a_schedule_of_another_kind_takes_an_eps_network_along(lab: Lab) -> None:
    lab.train()
    wait_until(lambda: lab.monitor.state == "finished")
    lab.desk.schedule = "Geometric"
    lab.settle()
    wait_until(lambda: lab.bits.learned is not None)
    assert lab.monitor.trainer is not None
    assert lab.error == ""
    assert np.isfinite(lab.numbers()["bits.learned"])
    assert len(lab.monitor.curve) == 0  # losses under the old one have another floor


def test_bad_requests_are_refused_in_the_scene_and_lose_nothing(lab: Lab) -> None:
    lab.settle()
    lab._receive(lab, {"request": "preset", "args": {"name": "circles"}}, [])
    lab.settle()
    assert "no data named 'circles'" in lab.error
    assert (lab.preset, lab.data.name) == ("ring", "ring of 8")
    with pytest.raises(traitlets.TraitError, match="no data named 'circles'"):
        lab.preset = "circles"
    lab._receive(lab, {"request": "preset", "args": {"name": "moons"}}, [])
    lab.settle()
    assert lab.error == ""
    assert lab.data.name == "two moons"
    lab.monitor._receive(lab.monitor, {"request": "pause"}, [])
    lab.settle()
    assert "Nothing is training" in lab.monitor.error


def test_the_saved_page_carries_everything_and_asks_for_nothing(lab: Lab, tmp_path) -> None:
    lab.sample()
    page = lab.save_html(tmp_path / "lab.html").read_text(encoding="utf-8")
    state = json.loads(re.search(r'<script type="application/json" id="state">(.*?)</script>', page, re.S).group(1))
    assert state["scene"] == "Lab"
    assert state["forward"]["x0"]["shape"] == [20_000, 2]
    assert state["reverse"]["frames_1"]["dtype"] == "float16"
    assert len(page) < 3_000_000
    assert "<" not in re.search(r'id="state">(.*?)</script>', page, re.S).group(1)  # no name can end the element early
    # nothing is loaded: no address but the names of XML's own spaces
    assert set(re.findall(r"https?://[\w.]+", page)) <= {"http://www.w3.org"}


def test_the_seed_is_that_of_every_scene(lab: Lab) -> None:
    lab.seed = 5
    lab.settle()
    assert {scene.seed for scene in lab.children_scenes().values()} == {5}


def test_a_preset_of_the_lab_brings_everything_back() -> None:
    lab = Lab("moons", "VPLinear", steps=77, seed=3)
    lab.reverse.sampler, lab.t, lab.tab = "DDIM", 0.6, "bits"
    lab.settle()
    copy = Lab.from_dict(json.loads(json.dumps(lab.to_dict())))
    copy.settle()
    assert (copy.desk.schedule["name"], copy.desk.steps, copy.bits.steps) == ("VPLinear", 77, 77)
    assert (copy.data.name, copy.reverse.sampler, copy.t, copy.tab, copy.seed) == ("two moons", "DDIM", 0.6, "bits", 3)
    assert copy.numbers() == lab.numbers()


def test_digits_train_with_every_label_so_that_the_floor_is_the_loss_s_own() -> None:
    lab = Lab("digits", train_steps=2)
    lab.settle()
    lab.train()
    lab.settle()
    wait_until(lambda: lab.monitor.state == "finished", 120)
    assert lab.monitor.trainer._run.settings.label_dropout == 0.0


def test_a_network_that_a_schedule_cannot_take_along_is_named_until_the_next_one_trains() -> None:
    lab = Lab("digits", train_steps=2)
    lab.settle()
    lab.train()
    lab.settle()
    wait_until(lambda: lab.monitor.state == "finished", 120)
    lab.desk.schedule = "Geometric"
    lab.settle()
    assert "train it again" in lab.error
    lab.train()
    lab.settle()
    wait_until(lambda: lab.monitor.state == "finished", 120)
    lab.settle()
    assert lab.error == ""
    assert lab.monitor.prediction == "eps"


def drawn(lab: Lab, *, at: float) -> None:
    """A hand draws one ellipse in the place of all others."""
    lab.draw.set_mixture(GaussianMixture([1.0], [[at, 0.0]], [[[0.2, 0.0], [0.0, 0.2]]]))


def test_what_is_drawn_is_what_the_lab_diffuses(lab: Lab) -> None:
    lab.settle()
    assert lab.preset == "ring"
    drawn(lab, at=0.5)
    wait_until(lambda: lab.preset == "drawn" and abs(float(lab.data.means[0, 0]) - 0.5) < 1e-3)
    lab.settle()
    for scene in (lab.forward, lab.reverse, lab.bits, lab.floor, lab.score, lab.langevin):
        assert len(scene.data.weights) == 1
    drawn(lab, at=-0.5)
    wait_until(lambda: abs(float(lab.data.means[0, 0]) + 0.5) < 1e-3)


def test_a_drawing_does_not_take_a_trained_network_away(lab: Lab) -> None:
    lab.train()
    wait_until(lambda: lab.monitor.state == "finished")
    drawn(lab, at=0.5)
    wait_until(lambda: lab.drawing_waits)
    assert (lab.preset, len(lab.data.weights)) == ("ring", 8)
    assert lab.monitor.trainer is not None
    for at in (0.5, -0.5):  # the second one while "my drawing" is the preset already
        lab._receive(lab, {"request": "use_drawing"}, [])
        wait_until(lambda at=at: abs(float(lab.data.means[0, 0]) - at) < 1e-3)
        lab.settle()
        assert (lab.preset, lab.monitor.state, lab.drawing_waits) == ("drawn", "idle", False)
        lab.train()
        wait_until(lambda: lab.monitor.state == "finished")
        drawn(lab, at=-at)
        wait_until(lambda: lab.drawing_waits)
        assert abs(float(lab.data.means[0, 0]) - at) < 1e-3


def test_a_preset_is_drawn_on_the_sheet_and_feeds_nothing_back(lab: Lab) -> None:
    lab.choose("grid")
    lab.settle()
    assert len(lab.draw.data.weights) == 9
    assert lab.preset != "drawn"
    lab.choose("digits")  # which no sheet holds: it stays as it is
    lab.settle()
    assert (lab.data.name, lab.error) == ("digits 8x8", "")


def test_parts_carry_a_stub_until_they_are_shown_alone(lab: Lab) -> None:
    assert len(lab._esm) > 50_000
    assert all(len(scene._esm) < 150 and scene._css == "" for scene in lab.children_scenes().values())
    lab.forward._repr_mimebundle_()
    assert lab.forward._esm == lab._esm
    lab.desk._receive(lab.desk, {"request": "front_end"}, [])  # as the stub asks where it is drawn in a box of widgets
    assert (lab.desk._esm, lab.desk._css) == (lab._esm, lab._css)
