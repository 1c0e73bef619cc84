"""The gauge against the KL of two Gaussians, the mmse against a closed form, NCSNv2's advice, and refusals that lose nothing."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import traitlets

from difflab.advice import level_overlap
from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.scenes.choices import SCHEDULES
from difflab.scenes.schedule_desk import ScheduleDesk, terminal
from difflab.scenes.schedule_table import table_of
from difflab.schedules import EDM, Flow, Geometric, Learned, SubVP, Tabulated, VPBetaSigmoid, VPLinear, schedule_from


def kl(mean: float, std: float, prior: float) -> float:
    """KL(N(mean, std^2) || N(0, prior^2)), in nats."""
    return math.log(prior / std) + (std**2 + mean**2) / (2 * prior**2) - 0.5


@pytest.mark.parametrize(
    ("name", "params"), [("VPLinear", {"beta_max": 0.007}), ("VPCosine", {"s": 0.2}), ("Geometric", {"sigma_max": 2.0})]
)
@pytest.mark.parametrize("steps", [10, 1000])
def test_L_T_is_the_average_kl_to_the_prior(name: str, params: dict, steps: int) -> None:
    data = FiniteSet([[1.5, -0.5], [0.25, 2.0], [-1.0, 0.0]])
    schedule = schedule_from(name, params)
    alpha, sigma = (float(a[-1]) for a in schedule.table(steps))
    expected = sum(kl(alpha * float(v), sigma, schedule.prior_std) for v in data.x.ravel()) / data.x.size
    got = terminal(data, {"name": name, "params": params}, steps)
    # both are sums of terms of order 1 that cancel: float64 leaves 1e-15 or so of them
    assert got["L_T"] == pytest.approx(expected, rel=1e-9, abs=1e-14)
    assert got["unit"] == "nats/dim"


def test_digits_are_measured_in_bits() -> None:
    spec = {"name": "VPLinear", "params": {"beta_max": 0.007}}
    alpha, sigma = (float(a[-1]) for a in VPLinear(beta_max=0.007).table(1000))
    nats = sum(kl(alpha * float(v), sigma, 1.0) for v in digits().x[:, 0].ravel()) / digits().x.size
    got = terminal(digits(), spec, 1000)
    assert got["unit"] == "bits/dim"
    assert got["L_T"] == pytest.approx(nats / math.log(2), rel=1e-6)


def test_the_gauge_turns_at_a_hundredth_of_a_nat_also_where_it_counts_bits() -> None:
    """A Geometric schedule has L_T = m / (2 sigma_max^2) nats for the data's second moment m: just below 0.01, 0.0139 bits."""
    m = float((digits().x.astype(float) ** 2).mean())
    for nats, reaches in ((0.0099, True), (0.0101, False)):
        spec = {"name": "Geometric", "params": {"sigma_min": 0.01, "sigma_max": math.sqrt(m / (2 * nats))}}
        got = terminal(digits(), spec, 1000)
        assert got["L_T"] == pytest.approx(nats / math.log(2), rel=1e-6)
        assert got["reaches_noise"] is reaches
        assert (got["sentence"] == "") is reaches


def test_a_schedule_that_does_not_reach_noise_says_what_to_do() -> None:
    desk = ScheduleDesk("VPLinear")
    assert desk.numbers()["reaches_noise"] == 1.0
    assert desk.terminal["sentence"] == ""
    desk.schedule = {"name": "VPLinear", "params": {"beta_max": 0.006}}
    numbers = desk.numbers()
    assert numbers["reaches_noise"] == 0.0
    assert numbers["beta_max"] == 0.006
    assert "Raise beta" in desk.terminal["sentence"]
    desk.schedule = Geometric(sigma_max=1.0)
    assert desk.numbers()["reaches_noise"] == 0.0
    assert "Raise sigma max" in desk.terminal["sentence"]


@pytest.mark.parametrize(
    ("trait", "value", "sentence"),
    [
        ("schedule", {"name": "Cosine"}, "no schedule named 'Cosine'"),
        ("schedule", {"name": "Geometric", "params": {"sigma_min": 3, "sigma_max": 2}}, "0 < sigma_min < sigma_max"),
        ("schedule", {"name": "VPCosine", "params": {"s": "wide"}}, "must be a number"),
        ("schedule", {"name": "VPCosine", "params": {"beta": 1}}, "no parameter 'beta'"),
        ("schedule", 3, "must be a Schedule"),
        ("schedule", {"name": "Tabulated", "params": {"values": [2, 3]}}, "must fall strictly"),
        ("schedule", {"name": "Mine", "params": {"table": "0"}}, "this Python has not met it yet"),
        ("steps", 0, "from 1 to 10,000"),
        ("steps", 10**9, "from 1 to 10,000"),
        ("steps", "many", "from 1 to 10,000"),
        ("t", 1.5, "from 0 \\(data\\) to 1 \\(noise\\)"),
    ],
)
def test_a_bad_value_is_refused_in_the_cell_and_in_the_scene(trait: str, value: object, sentence: str) -> None:
    desk = ScheduleDesk(VPLinear(), 100, GaussianMixture.ring())
    before = getattr(desk, trait)
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(desk, trait, value)
    desk.set_state({trait: value})  # as it would come from the browser
    desk.settle()
    assert getattr(desk, trait) == before
    assert sentence.replace("\\", "") in desk.error
    assert "\n" not in desk.error


def test_a_preset_comes_back() -> None:
    desk = ScheduleDesk(Geometric(sigma_max=12.0), 40, t=0.6)
    copy = ScheduleDesk.from_dict(desk.to_dict())
    assert copy.numbers() == desk.numbers()
    with pytest.raises(ValueError, match="not of ScheduleDesk"):
        ScheduleDesk.from_dict({"scene": "Lab"})
    with pytest.raises(ValueError, match="has no knob"):
        ScheduleDesk.from_dict({"scene": "ScheduleDesk", "knob": 1})


def test_every_choice_of_the_desk_is_a_schedule_at_both_ends_of_its_sliders() -> None:
    ring = GaussianMixture.ring()
    for choice in SCHEDULES:
        usual = choice.get("fixed", {}) | {p["name"]: p["default"] for p in choice["params"]}
        assert len(choice["params"]) <= 2
        for p in choice["params"]:
            assert p["min"] <= p["default"] <= p["max"]
            for end in ("min", "max"):
                schedule_from(choice["name"], usual | {p["name"]: p[end]})
        known = schedule_from(choice["name"], usual)
        desk = ScheduleDesk(known, data=ring)
        assert desk.numbers()["reaches_noise"] in (0.0, 1.0)
        assert not desk.error


def test_a_schedule_that_ends_without_data_tells_nothing() -> None:
    numbers = ScheduleDesk(Flow(), 50, t=1.0).numbers()
    assert (numbers["L_T"], numbers["alpha_bar_T"], numbers["log_snr"]) == (0.0, 0.0, -math.inf)
    # the ring's own variance per coordinate: nothing better than its mean can be said
    assert numbers["mmse"] == pytest.approx(GaussianMixture.ring().sigma_data ** 2, rel=1e-12)
    assert ScheduleDesk(SubVP(), 50).numbers()["reaches_noise"] == 1.0


def test_the_mmse_is_that_of_a_gaussian_and_says_how_sure_it_is() -> None:
    single = GaussianMixture([1.0], [[0.0, 0.0]], [[[0.49, 0.0], [0.0, 0.49]]])
    desk = ScheduleDesk(data=single, t=0.6)
    numbers = desk.numbers()
    expected = 0.49 / (1 + 0.49 * math.exp(numbers["log_snr"]))  # 1 / (1 / var + SNR), for every draw alike
    assert numbers["mmse"] == pytest.approx(expected, rel=1e-6)  # float32 samples
    assert numbers["mmse_error"] <= 1e-6
    ring = ScheduleDesk(t=0.6)
    few = ring.numbers()
    ring.view = "mmse"
    many = ring.numbers()
    assert many["mmse_error"] < few["mmse_error"] / 5  # 4096 draws a level instead of some twenty
    apart = abs(many["mmse"] - few["mmse"])
    assert 0 < apart < 5 * few["mmse_error"]
    assert ring.mmse.shape[0] == 3


def test_the_advice_is_that_of_the_engine_and_has_its_numbers() -> None:
    desk = ScheduleDesk(data="digits")
    numbers = desk.numbers()
    x = digits().x.reshape(len(digits().x), -1).astype(np.float64)
    square = (x**2).sum(1)
    farthest = math.sqrt((square[:, None] + square[None] - 2 * x @ x.T).max())
    assert numbers["advised_sigma_max"] == pytest.approx(farthest, rel=1e-6)
    ends = numbers["advised_sigma_max"] / numbers["advised_sigma_min"]
    assert numbers["advised_ratio"] ** (numbers["advised_levels"] - 1) == pytest.approx(ends, rel=1e-9)
    assert numbers["advised_overlap"] == pytest.approx(level_overlap(numbers["advised_ratio"], 64), abs=1e-9)
    sentence = desk.advice["sentence"]
    for told in (
        "D = 64",
        f"{farthest:.3g}",
        f"{numbers['advised_levels']:.0f} levels",
        f"{numbers['advised_epsilon']:.2g}",
    ):
        assert told in sentence


def test_pinned_schedules_are_measured_too() -> None:
    desk = ScheduleDesk(pinned=["VPLinear", EDM(), VPLinear()], steps=50)
    desk.settle()
    assert [p["name"] for p in desk.pinned] == ["VPLinear", "EDM"]  # the same one only once
    assert [e["schedule"] for e in desk.ends] == desk.pinned
    assert desk.ends[0]["L_T"] == terminal(desk.data, VPLinear().to_dict(), 50)["L_T"]
    assert desk.get_state()["pinned"] == desk.pinned  # formulas need no table
    desk.pinned = [VPBetaSigmoid()]
    assert desk.get_state()["pinned"][0].keys() == {"name", "params", "table"}
    with pytest.raises(traitlets.TraitError, match="At most 4 schedules can be pinned, but got 5"):
        desk.pinned = [Geometric(sigma_max=float(s)) for s in (2, 3, 4, 5, 6)]
    with pytest.raises(traitlets.TraitError, match="pinned must be a list"):
        desk.pinned = "VPLinear"
    desk.set_state({"pinned": [{"name": "Nope", "params": {}}]})
    desk.settle()
    assert "no schedule named" in desk.error
    assert desk.pinned == [VPBetaSigmoid().to_dict()]


def ask(desk: ScheduleDesk, token: int, name: str, params: dict) -> None:
    """As the browser does while a slider moves."""
    args = {"token": token, "name": name, "params": params}
    desk._receive(desk, {"request": "table", "args": args}, [])
    desk.settle()


def test_a_table_is_answered_to_the_question_and_an_error_in_the_scene() -> None:
    desk = ScheduleDesk()
    ask(desk, 7, "VPBetaSigmoid", {"beta_max": 0.03})
    answer = desk.table
    assert (answer["token"], answer["params"]) == (7, {"beta_min": 1e-4, "beta_max": 0.03})
    shape = answer["table"]["shape"]
    sent = np.frombuffer(answer["table"]["data"], answer["table"]["dtype"]).reshape(shape)
    np.testing.assert_array_equal(sent, table_of(VPBetaSigmoid(1e-4, 0.03)))
    ask(desk, 8, "VPBetaSigmoid", {"beta_max": 3.0})
    assert "beta_max <= 0.5" in desk.error
    assert desk.table == answer
    ask(desk, 9, "ZeroTerminalSNR", {})
    assert desk.table["params"]["base"]["name"] == "VPScaledLinear"
    assert not desk.error
    # the slider is let go: the browser sends the schedule without its table, and gets it back with it
    desk.set_state({"schedule": {"name": "VPBetaSigmoid", "params": {"beta_max": 0.03}, "table": {"anything": 1}}})
    assert desk.schedule == VPBetaSigmoid(1e-4, 0.03).to_dict()
    assert desk.get_state()["schedule"].keys() == {"name", "params", "table"}


@dataclass(frozen=True)
class Lifted(Tabulated):
    """Somebody's own class: no name of difflab's tells it."""


def test_a_schedule_of_ones_own_is_shown_measured_and_found_again(tmp_path: Path) -> None:
    mine = Lifted((8.0, -9.0))
    desk = ScheduleDesk(mine, 100)
    numbers = desk.numbers()
    alpha, sigma = (float(a) for a in mine.alpha_sigma(1.0))
    assert numbers["alpha_bar_T"] == alpha**2
    assert numbers["L_T"] == pytest.approx(kl(alpha * math.sqrt(desk.data.second_moment), sigma, 1.0), rel=1e-6)
    assert desk.schedule["name"] == "Lifted"
    assert desk.get_state()["schedule"]["table"]["shape"][0] == 2
    again = ScheduleDesk.from_dict(json.loads(json.dumps(desk.to_dict())))
    assert again.numbers() == numbers
    assert desk.save_html(tmp_path / "own.html").stat().st_size < 3_000_000
    learned = ScheduleDesk(Learned())
    assert learned.schedule["name"] == "LearnedSnapshot"


def test_a_page_has_all_its_views(tmp_path: Path) -> None:
    desk = ScheduleDesk("VPLinear", pinned=["Flow"])
    page = desk.save_html(tmp_path / "desk.html")
    assert page.stat().st_size < 3_000_000
    state = json.loads(page.read_text().split('id="state">')[1].split("</script>")[0])
    assert state["mmse"]["shape"][0] == 3
    assert [end["schedule"]["name"] for end in state["ends"]] == ["Flow"]
    assert state["advice"]["sentence"].startswith("NCSNv2")
