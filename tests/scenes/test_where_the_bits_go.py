"""The bars against the engine's own terms, and the bound against the entropy."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from traitlets import TraitError

from difflab.chain import MarkovChain
from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser, Posterior
from difflab.scenes.where_the_bits_go import BINS, WhereTheBitsGo
from difflab.schedules import VPCosine, VPLinear
from difflab.training import Trainer


def test_the_bars_sum_to_the_bound_and_stand_above_the_entropy() -> None:
    ring = GaussianMixture.ring()
    bits = WhereTheBitsGo(ring, VPCosine(), 1000)
    numbers = bits.numbers()
    assert bits.unit == "nats/dim"
    assert bits.oracle == "population"
    assert bits.optimal.shape == (BINS,)
    # the bars cross as float32, each rounded by 6e-8 of its height
    total = float(bits.optimal.astype(float).sum()) + numbers["L_0"] + numbers["L_T"]
    assert numbers["optimal"] == pytest.approx(total, abs=1e-6)
    assert numbers["entropy"] == pytest.approx(ring.entropy()[0] / 2)
    assert numbers["optimal"] > numbers["entropy"] - 4 * numbers["optimal_error"]


def test_an_oracle_measured_as_if_it_were_learned_has_no_gap() -> None:
    ring = GaussianMixture.ring()
    schedule = VPCosine()
    bits = WhereTheBitsGo(ring, schedule, 100, denoiser=ExactDenoiser(ring, schedule))
    numbers = bits.numbers()
    assert numbers["learned"] == pytest.approx(numbers["optimal"], abs=1e-12)
    np.testing.assert_array_equal(bits.learned, bits.optimal)


def test_the_gap_of_a_denoiser_that_is_off_by_a_constant_has_a_closed_form() -> None:
    """mean + c everywhere adds c_0^2 c^2 D / (2 beta_k) to every term, whatever the data."""
    ring, schedule, off = GaussianMixture.ring(), VPCosine(), 0.01
    oracle = ExactDenoiser(ring, schedule)

    class Off:
        def __init__(self) -> None:
            self.schedule = schedule

        def __call__(self, x_t, t, labels=None):
            return Posterior(oracle(x_t, t).mean + off)

    steps = 50
    bits = WhereTheBitsGo(ring, schedule, steps, denoiser=Off())
    bits.settle()
    chain = MarkovChain(schedule, steps)
    k = torch.arange(2, steps + 1)
    per_dim = (chain.posterior_x0[k] * off).square() / (2 * chain.beta[k])
    numbers = bits.numbers()
    first = float(off**2 / (2 * chain.beta[1]))  # L_0: |x_0 - m|^2 / (2 beta_1) grows by the same square on average
    assert float((bits.learned - bits.optimal).sum()) == pytest.approx(float(per_dim.sum()), rel=0.05)
    assert numbers["learned"] - numbers["optimal"] == pytest.approx(float(per_dim.sum()) + first, rel=0.05)


def test_digits_are_in_bits_and_their_entropy_is_that_of_the_class() -> None:
    bits = WhereTheBitsGo(digits(), VPCosine(), 100)
    numbers = bits.numbers()
    counts = np.bincount(digits().labels)
    expected = float((counts * np.log2(counts)).sum() / counts.sum() / 64)
    assert bits.unit == "bits/dim"
    assert bits.oracle == "training set"
    assert numbers["entropy"] == pytest.approx(expected)
    assert numbers["optimal"] > numbers["entropy"]


def test_new_data_takes_the_old_numbers_away() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 20)
    before = bits.numbers()["entropy"]
    bits.show(FiniteSet([[0.0, 1.0], [1.0, 0.0]]))
    after = bits.numbers()
    assert "entropy" not in after
    assert before is not None
    assert bits.oracle == "training set"


def test_a_chain_of_one_step_is_drawn_too() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 1)
    numbers = bits.numbers()
    assert bits.error == ""
    assert np.isfinite(numbers["optimal"])


def test_a_measurement_that_ends_after_the_data_changed_is_not_shown() -> None:
    ring, schedule = GaussianMixture.ring(), VPCosine()
    bits = WhereTheBitsGo(ring, schedule, 50)
    bits.settle()
    oracle = ExactDenoiser(ring, schedule)

    class Meddling:
        """Changes the scene's data in the middle of its own measurement."""

        def __init__(self) -> None:
            self.schedule = schedule

        def __call__(self, x_t, t, labels=None):
            bits.show(GaussianMixture.grid())
            return oracle(x_t, t)

    bits.measure(Meddling())
    bits.settle()
    assert bits.learned is None
    assert "learned" not in bits.totals
    assert bits.numbers()["entropy"] == pytest.approx(GaussianMixture.grid().entropy()[0] / 2)


def test_a_network_that_knows_no_classes_is_measured_against_the_bound_without_them() -> None:
    data, schedule = digits(), VPCosine()
    bits = WhereTheBitsGo(data, schedule, 100)
    given_class = bits.numbers()
    bits.measure(NetworkDenoiser.for_data(data, schedule, "v", conditional=False))
    without = bits.numbers()
    assert bits.error == ""
    assert without["entropy"] == pytest.approx(np.log2(len(data)) / 64)
    assert without["optimal"] > given_class["optimal"]
    assert without["learned"] > without["optimal"]


def test_numbers_say_what_they_were_computed_for() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 20)
    bits.settle()
    assert bits.computed_for == {"schedule": {"name": "VPCosine", "params": {"s": 0.008}}, "steps": 20}
    bits.steps = 30
    bits.settle()
    assert bits.computed_for["steps"] == 30


def test_the_entropy_of_a_mixture_given_its_component_is_that_of_its_gaussians() -> None:
    """One ball of variance v in D = 2 has (log 2 pi e v) / 2 nats/dim."""
    data = GaussianMixture([0.25, 0.75], [[0.0, 0.0], [9.0, 0.0]], [0.25, 0.25])
    bits = WhereTheBitsGo(data, "VPCosine", 20)
    bits.settle()
    apart = bits.numbers()["entropy"]
    bits.measure(NetworkDenoiser.for_data(data, VPCosine(), "eps", conditional=True))
    given = bits.numbers()["entropy"]
    assert given == pytest.approx(np.log(2 * np.pi * np.e * 0.25) / 2)
    # components that do not overlap add the entropy of the choice, here over 2 dimensions
    assert apart - given == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / 2, abs=1e-9)


def test_it_is_on_screen_without_torch() -> None:
    """What the first picture needs is there when the constructor returns, and torch is not."""
    code = (
        "import sys; from difflab.scenes.publisher import lane; lane('exact').put = lambda *_: None\n"
        "from difflab import WhereTheBitsGo; bits = WhereTheBitsGo()\n"
        "assert 'torch' not in sys.modules; assert bits.mmse.shape == (3, 96) and bits.about['dim'] == 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_best_variance_costs_least_and_the_others_say_what_they_cost() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 50)
    large = bits.numbers()
    bits.variance = "optimal"
    best = bits.numbers()
    bits.variance = "small"
    small = bits.numbers()
    assert best["variance_cost"] == 0
    assert small["variance_cost"] > large["variance_cost"] > 0
    # the same draws, so that what is left over is the cost alone
    assert large["optimal"] - large["variance_cost"] == pytest.approx(best["optimal"], abs=1e-12)
    assert small["optimal"] - small["variance_cost"] == pytest.approx(best["optimal"], abs=1e-12)
    assert bits.computed_as == {"variance": "small", "bins": BINS}


@pytest.mark.parametrize("variance", ["large", "small", "ddpm_large", "ddpm_small", "optimal"])
def test_the_gap_is_learned_minus_optimal_with_every_variance(variance: str) -> None:
    ring, schedule = GaussianMixture.ring(), VPCosine()
    net = NetworkDenoiser.for_data(ring, schedule, "v", seed=0)
    bits = WhereTheBitsGo(ring, schedule, 100, variance=variance, bins=10)
    bits.settle()
    bits.measure(net)
    numbers = bits.numbers()
    assert bits.gap.shape == bits.gap_error.shape == (10,)
    assert numbers["gap"] == pytest.approx(numbers["learned"] - numbers["optimal"], abs=1e-9)
    # float32 on the wire, each rounded by 6e-8 of its height
    np.testing.assert_allclose(bits.learned, bits.optimal + bits.gap, rtol=1e-6, atol=1e-6)
    assert (bits.gap >= 0).all()  # with one variance on both sides no draw can be below the optimum
    assert bits.L_0["gap"] == pytest.approx(bits.L_0["learned"] - bits.L_0["optimal"], abs=1e-9)


def test_it_follows_a_training_and_has_its_end() -> None:
    ring = GaussianMixture.ring(8)
    trainer = Trainer(NetworkDenoiser.for_data(ring, VPCosine(), "eps", seed=0, width=32), ring, steps=150, batch=64)
    bits = WhereTheBitsGo(ring, steps=50)
    bits.settle()
    bits.follow(trainer)
    trainer.start()
    trainer.wait(60)
    end = time.monotonic() + 30
    while bits._measured is None or not torch.equal(
        next(bits._measured.parameters()), next(trainer.snapshot().parameters())
    ):
        assert time.monotonic() < end, "the end was not measured"
        time.sleep(0.05)
    numbers = bits.numbers()
    assert bits.error == ""
    assert numbers["gap"] > 0
    assert numbers["learned_error"] > numbers["gap_error"] > 0


def test_a_schedule_that_is_dragged_asks_the_network_again_at_its_levels() -> None:
    ring, schedule = GaussianMixture.ring(), VPCosine()
    net = NetworkDenoiser.for_data(ring, schedule, "eps", seed=0)
    bits = WhereTheBitsGo(ring, schedule, 100)
    bits.settle()
    bits.measure(net)
    bits.settle()
    bits.schedule = {"name": "VPLinear", "params": {"beta_min": 1e-4, "beta_max": 0.02}}
    moved = bits.numbers()
    assert bits.computed_for["schedule"]["name"] == "VPLinear"
    assert net.schedule == schedule  # it was given, not handed over
    fresh = NetworkDenoiser.for_data(ring, VPLinear(), "eps", seed=0)
    other = WhereTheBitsGo(ring, VPLinear(), 100)
    other.settle()
    other.measure(fresh)
    assert moved["learned"] == pytest.approx(other.numbers()["learned"], rel=1e-5)


def test_a_network_of_v_cannot_be_asked_under_a_schedule_of_another_kind() -> None:
    ring = GaussianMixture.ring()
    bits = WhereTheBitsGo(ring, "Geometric", 20)
    bits.settle()
    with pytest.raises(ValueError, match="predicts v under a schedule of another kind"):
        bits.measure(NetworkDenoiser.for_data(ring, VPCosine(), "v", seed=0))


def test_a_new_seed_draws_everything_anew() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 50)
    before, curve = bits.numbers(), bits.mmse
    bits.seed = 1
    after = bits.numbers()
    assert after["optimal"] != before["optimal"]
    assert after["optimal"] == pytest.approx(
        before["optimal"], abs=5 * np.hypot(before["optimal_error"], after["optimal_error"])
    )
    assert not np.array_equal(bits.mmse, curve)
    bits.seed = 0
    assert bits.numbers() == before


def test_a_preset_brings_the_view_back() -> None:
    bits = WhereTheBitsGo("ring", "VPLinear", 70, variance="small", axis="log_snr", view="gap", bins=12)
    again = WhereTheBitsGo.from_dict(json.loads(json.dumps(bits.to_dict())))
    assert (again.axis, again.view, again.variance, again.bins, again.steps) == ("log_snr", "gap", "small", 12, 70)
    assert again.numbers() == bits.numbers()


def test_without_a_network_there_is_nothing_to_forget() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 20, denoiser=NetworkDenoiser.for_data(GaussianMixture.ring(), VPCosine()))
    bits.settle()
    bits.forget()
    bits.settle()
    assert bits.learned is None
    assert bits.gap is None
    assert "learned" not in bits.numbers()
    assert "optimal" in bits.numbers()


@pytest.mark.parametrize(
    "wrong",
    [
        {"variance": "wide"},
        {"axis": "snr"},
        {"view": "both"},
        {"bins": 0},
        {"bins": 2.5},
        {"steps": 0},
        {"schedule": "nowhere"},
        {"data": 3},
        {"denoiser": 3},
        {"hidden": ["formulas"]},
    ],
)
def test_what_it_cannot_use_it_refuses_in_one_sentence(wrong: dict) -> None:
    with pytest.raises((ValueError, TypeError, TraitError)) as refused:
        WhereTheBitsGo(**wrong)
    assert "\n" not in str(refused.value)


def test_ddpms_rule_in_a_chain_of_one_step_is_an_error_on_screen() -> None:
    bits = WhereTheBitsGo("ring", "VPCosine", 1, variance="ddpm_small")
    bits.settle()
    assert "this chain has one step" in bits.error
