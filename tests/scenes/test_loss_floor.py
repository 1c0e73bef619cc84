"""The floor of a loss at each noise level against closed forms, and what is measured above it against known errors."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import traitlets

from difflab.data import DataSet, GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser, Posterior
from difflab.objectives import floor
from difflab.scenes.loss_at_t import FACES, TIMES, WEIGHTINGS, factors, times
from difflab.scenes.loss_floor import LossFloor
from difflab.schedules import Geometric, VPCosine, VPLinear
from difflab.training import Trainer

SCHEDULE = VPCosine()
GAUSSIAN = GaussianMixture(weights=[1.0], means=[[0.5, -1.0]], covariances=[[[0.6, 0.2], [0.2, 0.3]]])


class OffInX0:
    """Says what the oracle says of x_0, and `off` more."""

    def __init__(self, data, off: float, schedule=SCHEDULE) -> None:
        self.oracle, self.off, self.schedule, self.shape = ExactDenoiser(data, schedule), off, schedule, data.shape

    def __call__(self, x_t, t, labels=None):
        return Posterior(self.oracle(x_t, t, labels).mean + self.off)


def levels(schedule=SCHEDULE):
    t = times()
    return tuple(a.numpy() for a in (t, *schedule.alpha_sigma(t)))


def test_of_one_gaussian_it_is_the_posterior_covariance():
    """Cov[x_0 | x_t] = (C^-1 + alpha^2/sigma^2)^-1 for every x_t: nothing is left to chance. float32 crosses the wire: 2^-24."""
    scene = LossFloor(GAUSSIAN)
    scene.settle()
    _, alpha, sigma = levels()
    inverse = np.linalg.inv(GAUSSIAN.covariances[0])
    expected = [
        np.trace(np.linalg.inv(inverse + (a / s) ** 2 * np.eye(2))) / 2 for a, s in zip(alpha, sigma, strict=True)
    ]
    np.testing.assert_allclose(scene.floor[:, 0], expected, rtol=1e-6)
    assert np.all(scene.floor[:, 1] <= 1e-9)
    np.testing.assert_allclose(scene.log_snr, 2 * np.log(alpha / sigma), rtol=1e-5)


@pytest.mark.parametrize("schedule", [VPCosine(), VPLinear(), Geometric()], ids=lambda s: s.name)
def test_factors_are_those_of_the_papers(schedule):
    """Written out from the tables of predictions.py and weightings.py, in float64; the rate by central differences, whose error
    is h^2 / 6 of the third derivative (below 1e-4 of the rate away from the ends)."""
    t, alpha, sigma = levels(schedule)
    found = {name: row.numpy() for name, row in factors(schedule, 0.7).items()}
    snr = (alpha / sigma) ** 2
    expected = {
        "x0": np.ones_like(t),
        "eps": snr,
        "v": ((alpha**2 + sigma**2) / sigma) ** 2,
        "score": snr / sigma**2,
        "snr": snr,
        "truncated-snr": np.maximum(snr, 1),
        "min-snr": np.minimum(snr, 5),
        "p2": snr / (1 + snr),
        "edm": snr + 1 / 0.7**2,
    }
    for name, row in expected.items():
        np.testing.assert_allclose(found[name], row, rtol=1e-9, err_msg=name)
    h, inner = 1e-5, slice(2, -3)
    rate = (schedule.log_snr(times()[inner] + h) - schedule.log_snr(times()[inner] - h)).numpy() / (2 * h)
    np.testing.assert_allclose(found["elbo"][inner], -rate / 2 * snr[inner], rtol=1e-4)
    logistic = 1 / (1 + np.exp(np.log(snr[inner]) - 2))
    np.testing.assert_allclose(found["sigmoid"][inner], -rate / 2 * snr[inner] * logistic, rtol=1e-4)
    assert set(found) == set(FACES) | set(WEIGHTINGS) - {"uniform"}


def test_the_mean_over_t_is_the_floor_of_the_training():
    """Both are estimates: five of their standard errors; and the trapezoidal rule on 41 levels, off by less than 0.1 % here."""
    ring = GaussianMixture.ring()
    found = LossFloor(ring, prediction="v").numbers()
    other = floor(ExactDenoiser(ring, SCHEDULE), "v", n=65_536, generator=torch.Generator().manual_seed(5))
    error = np.hypot(found["floor_error"], other.error)
    assert abs(found["floor"] - other.value) < 5 * error + 0.001 * other.value
    assert found["floor_error"] < 0.01 * found["floor"]


def test_errors_of_levels_drawn_apart_add_in_squares():
    """The trapezoidal rule's weights are 1 / 40, at both ends half of it. float32 holds the floor's errors: 2^-24."""
    scene = LossFloor(prediction="v", t=0.5)
    scene.settle()
    scene.measure(NetworkDenoiser.for_data(scene.data, SCHEDULE, "eps", width=16, seed=0), rows=32)
    found = scene.numbers()
    t, _, sigma = levels()
    parts = np.full(TIMES, 1 / 40)
    parts[[0, -1]] /= 2
    for name, table in (("floor", scene.floor), ("excess", scene.excess)):
        errors = table[:, 1] / sigma**2
        assert found[f"{name}_error"] == pytest.approx(np.sqrt(((parts * errors) ** 2).sum()), rel=1e-6)
        assert found[f"{name}_at_t_error"] == pytest.approx(errors[np.abs(t - 0.5).argmin()], rel=1e-6)
    assert found["loss_error"] == pytest.approx(np.hypot(found["floor_error"], found["excess_error"]), rel=1e-9)


@pytest.mark.parametrize("data", [GaussianMixture.ring(), "moons", digits()], ids=["ring", "moons", "digits"])
def test_no_data_have_a_higher_floor_than_one_gaussian_of_their_spread(data):
    """What the page draws before torch is there, and in grey later: the best straight line's error."""
    scene = LossFloor(data)
    scene.settle()
    _, alpha, sigma = levels()
    s = scene.spread
    assert s == pytest.approx(float(scene.data.sigma_data))
    bound = (s * sigma) ** 2 / ((s * alpha) ** 2 + sigma**2)
    assert np.all(scene.floor[:, 0] <= bound + 5 * scene.floor[:, 1] + 1e-6)


@pytest.mark.parametrize("off", [0.25, 0.0])
def test_what_is_measured_above_it_is_the_squared_error_in_every_face(off):
    scene = LossFloor(prediction="x0")
    scene.settle()
    scene.measure(OffInX0(scene.data, off))
    scene.settle()
    np.testing.assert_allclose(scene.excess[:, 0], off**2, atol=1e-7)
    np.testing.assert_allclose(scene.excess[:, 1], 0, atol=1e-7)
    found = scene.numbers()
    assert found["excess"] == pytest.approx(off**2, abs=1e-9)
    assert found["share"] == pytest.approx(found["floor"] / (found["floor"] + off**2))
    t, alpha, sigma = levels()
    near = np.abs(t - scene.t).argmin()
    for face, gain in (("eps", alpha / sigma), ("v", 1 / sigma), ("score", alpha / sigma**2)):
        scene.prediction = face
        found = scene.numbers()
        assert found["excess_at_t"] == pytest.approx((gain[near] * off) ** 2, rel=1e-6, abs=1e-12)
        assert found["loss"] == pytest.approx(found["floor"] + found["excess"])


def test_weighted_the_face_does_not_matter():
    scene = LossFloor(weighting="elbo")
    scene.settle()
    scene.measure(OffInX0(scene.data, 0.1))
    found = [scene.numbers()]
    for face in ("x0", "v", "score"):
        scene.prediction = face
        found.append(scene.numbers())
    assert all(one == found[0] for one in found)


def test_more_rows_are_less_noise():
    """Of a network drawn at random, whose error differs from place to place: 64 times the rows, an eighth of the error (a half
    either way: errors of errors)."""
    scene = LossFloor()
    scene.settle()
    denoiser = NetworkDenoiser.for_data(scene.data, SCHEDULE, "x0", width=16)
    torch.nn.init.normal_(denoiser.network.last.weight, std=0.5, generator=torch.Generator().manual_seed(0))
    errors = []
    for rows in (32, 2048):
        scene.measure(denoiser, rows=rows)
        scene.settle()
        errors.append(float(np.median(scene.excess[:, 1])))
    assert 4 < errors[0] / errors[1] < 16


def test_a_network_that_knows_classes_has_the_lower_floor():
    data = digits()
    scene = LossFloor(data)
    by_class = scene.numbers()["floor"]
    scene.measure(NetworkDenoiser.for_data(data, SCHEDULE, "v", conditional=False, width=8))
    assert scene.numbers()["floor"] > by_class  # what is not told must be guessed
    scene.measure(NetworkDenoiser.for_data(data, SCHEDULE, "v", conditional=True, width=8))
    assert scene.numbers()["floor"] == pytest.approx(by_class)


def test_it_follows_a_training_down():
    scene = LossFloor()
    trainer = Trainer(
        NetworkDenoiser.for_data(scene.data, SCHEDULE, "eps", width=32),
        scene.data,
        steps=400,
        batch=64,
        ema=0.9,
        generator=torch.Generator().manual_seed(0),
    )
    scene.settle()
    scene.measure(trainer.snapshot())
    before = scene.numbers()["excess"]
    scene.follow(trainer)
    trainer.start()
    assert trainer.wait(60) == "finished"
    end = time.monotonic() + 30
    while scene.numbers()["excess"] > before / 2:
        assert time.monotonic() < end, "the excess did not fall"
        time.sleep(0.05)


def test_other_data_another_schedule_and_forgetting_take_away_what_was_measured():
    scene = LossFloor()
    scene.settle()
    scene.measure(OffInX0(scene.data, 0.1))
    assert "excess" in scene.numbers()
    scene.schedule = VPLinear()
    assert "excess" not in scene.numbers()
    assert scene.computed_for == {"schedule": VPLinear().to_dict()}
    scene.measure(OffInX0(scene.data, 0.1))  # of the schedule before: not measured, and said why
    scene.settle()
    assert scene.excess is None
    assert scene.note == "The network learns under VPCosine: give the scene the same schedule."
    scene.measure(OffInX0(scene.data, 0.1, VPLinear()))
    scene.settle()
    assert scene.excess is not None
    assert scene.note == ""
    scene.forget()
    scene.settle()
    assert scene.excess is None
    scene.measure(OffInX0(scene.data, 0.1, VPLinear()))
    old = scene.numbers()["floor"]
    scene.show("moons", seed=3)
    assert scene.numbers()["floor"] != old
    assert scene.excess is None
    assert scene.seed == 3


def test_the_seed_draws_anew():
    scene = LossFloor(seed=1)
    one = scene.numbers()["floor"]
    scene.seed = 2
    two = scene.numbers()
    assert 0 < abs(two["floor"] - one) < 8 * two["floor_error"]
    scene.seed = 1
    assert scene.numbers()["floor"] == one


def test_a_preset_brings_it_back():
    scene = LossFloor("moons", VPLinear(), prediction="v", weighting="min-snr", over="log-SNR", errors=False, t=0.2)
    again = LossFloor.from_dict(scene.to_dict())
    assert again.to_dict() == scene.to_dict()
    assert again.numbers() == scene.numbers()


def test_a_page_holds_every_face_and_stays_small(tmp_path):
    scene = LossFloor()
    scene.settle()
    scene.measure(OffInX0(scene.data, 0.1))
    assert scene.save_html(tmp_path / "floor.html").stat().st_size < 500_000
    state = scene.page_state()
    assert state["factors"]["shape"] == [len(state["measures"]), TIMES]


class NoOracle(DataSet):
    name, shape, range, sigma_data, second_moment = "no oracle", (2,), (-1.0, 1.0), 1.0, 1.0

    def preview(self, n, seed):
        return np.zeros((n, 2)), None

    def sample_labelled(self, n, generator=None):
        return torch.zeros(n, 2), None


def test_bad_input_is_one_sentence():
    with pytest.raises(TypeError, match="A floor is known of a GaussianMixture or a FiniteSet"):
        LossFloor(NoOracle())
    with pytest.raises(traitlets.TraitError, match="prediction"):
        LossFloor(prediction="noise")
    with pytest.raises(traitlets.TraitError, match="weighting"):
        LossFloor(weighting="heavy")
    scene = LossFloor()
    scene.settle()
    with pytest.raises(ValueError, match="rows must be a whole number of at least 2"):
        scene.measure(OffInX0(scene.data, 0.0), rows=1)
    with pytest.raises(ValueError, match=r"made for samples of shape \(1, 8, 8\), but ring of 8 has \(2,\)"):
        scene.measure(NetworkDenoiser.for_data(digits(), SCHEDULE, "v", width=8))
    with pytest.raises(TypeError, match="this str is none"):
        scene.measure("a denoiser")
    with pytest.raises(TypeError, match="A floor is known of"):
        scene.show(NoOracle())
