"""The gauge against the KL of two Gaussians, and refusals that lose nothing."""

import math

import pytest
import traitlets

from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.scenes.schedule_desk import ScheduleDesk, terminal
from difflab.schedules import Geometric, VPLinear, schedule_from


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
