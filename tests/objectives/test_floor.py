import numpy as np
import pytest
import torch
from torch import nn

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import T_MIN, floor, floor_profile, loss_profile
from difflab.predictions import from_x0
from difflab.schedules import Geometric, VPCosine, VPLinear
from difflab.training import prepare

STD = 0.5
GAUSSIAN = GaussianMixture([1.0], [[0.7]], STD**2)
TIMES = torch.tensor([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0], dtype=torch.float64)


def closed_form(schedule, prediction, t):
    """Var[x_0 | x_t] = s^2 sigma^2 / (alpha^2 s^2 + sigma^2) for N(m, s^2), and each prediction's gain squared."""
    alpha, sigma = (a.numpy() for a in schedule.alpha_sigma(t))
    gain = {"x0": 1.0, "eps": alpha / sigma, "v": (alpha**2 + sigma**2) / sigma}[prediction]
    return gain**2 * STD**2 * sigma**2 / (alpha**2 * STD**2 + sigma**2)


@pytest.mark.parametrize("schedule", [VPCosine(), VPLinear(), Geometric(0.05, 10.0)], ids=lambda s: s.name)
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_gaussian_s_floor_is_known_at_every_time(schedule, prediction):
    profile = floor_profile(
        ExactDenoiser(GAUSSIAN, schedule), prediction, TIMES, n=64, generator=torch.Generator().manual_seed(0)
    )
    # alpha and sigma of a float32 time: 1e-5 relative
    np.testing.assert_allclose(profile.value, closed_form(schedule, prediction, TIMES), rtol=1e-4)
    # the posterior variance of a Gaussian does not depend on x_t: nothing is left to chance
    np.testing.assert_allclose(profile.error, 0, atol=1e-9)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_gaussian_s_total_floor_is_the_integral_over_training_times(prediction):
    schedule = VPCosine()
    estimate = floor(
        ExactDenoiser(GAUSSIAN, schedule), prediction, n=16_384, generator=torch.Generator().manual_seed(0)
    )
    t = torch.linspace(T_MIN, 1, 200_001, dtype=torch.float64)
    values = closed_form(schedule, prediction, t)
    exact = np.trapezoid(values, t.numpy()) / (1 - T_MIN)
    assert abs(estimate.value - exact) < 4 * estimate.error + 1e-6
    assert estimate.error < 1e-3


def test_the_error_of_the_total_is_honest():
    """Over 40 repeats the z-scores against a long run spread as they should (chi-square of 40, 99.9 % point: 73)."""
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    long = floor(oracle, "v", n=262_144, generator=torch.Generator().manual_seed(99))
    short = [floor(oracle, "v", n=1024, generator=torch.Generator().manual_seed(s)) for s in range(40)]
    z = [(s.value - long.value) / (s.error**2 + long.error**2) ** 0.5 for s in short]
    # errors come from 16 rounds: z follows Student's t with 15 degrees, variance 15/13
    assert sum(x * x for x in z) < 73 * 15 / 13


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_the_floor_is_what_the_oracle_loses(prediction):
    """Squared errors of the oracle itself, unsmoothed, against the posterior variance."""
    data, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(data, schedule)

    class Oracle(NetworkDenoiser):
        def predict_at(self, x_t, alpha, sigma, labels=None):
            return from_x0(prediction, oracle(x_t, self.t).mean, x_t, alpha, sigma)

    denoiser = Oracle(nn.Linear(1, 1), schedule, prediction)
    for t in (0.1, 0.4, 0.8):
        denoiser.t = t
        at = torch.tensor([t])
        raw = loss_profile(denoiser, data, at, n=20_000, generator=torch.Generator().manual_seed(1))
        exact = floor_profile(oracle, prediction, at, n=20_000, generator=torch.Generator().manual_seed(2))
        assert abs(raw.value - exact.value) < 4 * (raw.error**2 + exact.error**2).sqrt()


def test_with_the_oracle_the_same_loss_has_less_noise_and_never_dips_below_the_floor():
    data, schedule = digits(), VPCosine()
    oracle = ExactDenoiser(data, schedule)
    denoiser = NetworkDenoiser.for_data(data, schedule, width=16)
    with torch.no_grad():
        for p in denoiser.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(0)))
    times = torch.tensor([0.2, 0.5, 0.9])
    raw = loss_profile(denoiser, data, times, n=2000, generator=torch.Generator().manual_seed(1))
    smooth = loss_profile(denoiser, data, times, n=2000, generator=torch.Generator().manual_seed(2), oracle=oracle)
    floors = floor_profile(oracle, "v", times, n=2000, generator=torch.Generator().manual_seed(2))
    assert (abs(raw.value - smooth.value) < 4 * (raw.error**2 + smooth.error**2).sqrt()).all()
    assert (smooth.error < raw.error).all()
    assert (smooth.value >= floors.value).all()


def test_knowing_the_class_lowers_the_floor():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())
    generator = torch.Generator().manual_seed(0)
    times = torch.tensor([0.4, 0.6, 0.8])
    without = floor_profile(oracle, "v", times, generator=generator)
    given = floor_profile(oracle, "v", times, generator=generator, conditional=True)
    assert (given.value + 4 * (given.error + without.error) < without.value).all()
    # within one component the data is Gaussian again
    std = float(np.sqrt(oracle.data.covariances[0, 0, 0]))
    alpha, sigma = VPCosine().alpha_sigma(times.double())
    exact = std**2 / (alpha**2 * std**2 + sigma**2)
    np.testing.assert_allclose(given.value, exact, rtol=1e-4)


def test_rows_without_a_label_take_their_share_of_the_floor():
    oracle = ExactDenoiser(GaussianMixture.ring(), VPCosine())

    def at(**options):
        return floor(oracle, "v", n=2048, generator=torch.Generator().manual_seed(0), **options)

    told, untold = at(conditional=True), at()
    assert untold.value > told.value + 8 * (told.error + untold.error)
    # the same x_t at every share, so both ends and all between are exact, but for rounding
    assert at(conditional=True, unlabelled=0.0) == told
    assert at(conditional=True, unlabelled=1.0) == pytest.approx(untold, rel=1e-12)
    for share in (0.09375, 0.5):
        expected = (1 - share) * told.value + share * untold.value
        assert at(conditional=True, unlabelled=share).value == pytest.approx(expected, rel=1e-12)
    assert at(unlabelled=0.5) == untold  # no row has a label to lose


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"a share in \[0, 1\]"):
        floor(ExactDenoiser(GAUSSIAN, VPCosine()), "v", conditional=True, unlabelled=share)


@pytest.mark.parametrize("label_dropout", [0.0, 0.1, 0.4])
def test_it_is_the_loss_of_a_training_whose_network_is_exact(label_dropout):
    """The very loss of `Run`, label dropout included, with the oracle for a network: its mean is the floor."""
    data, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(data, schedule)

    class Oracle(NetworkDenoiser):
        classes = 8

        def predict_at(self, x_t, alpha, sigma, labels=None):
            t = schedule.t_of_log_snr(2 * (alpha.log() - sigma.log())).flatten()
            mean, lost = oracle(x_t, t).mean, labels == self.classes
            mean[~lost] = oracle(x_t[~lost], t[~lost], labels[~lost]).mean
            return from_x0("v", mean, x_t, alpha, sigma)

    run = prepare(
        Oracle(nn.Linear(2, 2), schedule, "v"), data, steps=1, batch=128, label_dropout=label_dropout,
        generator=torch.Generator().manual_seed(1), device="cpu",
    )  # fmt: skip
    losses = torch.stack([run.loss() for _ in range(100)]).double()
    unlabelled = run.settings.unlabelled
    assert unlabelled == int(128 * label_dropout) / 128
    generator = torch.Generator().manual_seed(2)
    least = floor(oracle, "v", n=65_536, generator=generator, conditional=True, unlabelled=unlabelled)
    error = (losses.var() / len(losses) + least.error**2).sqrt()
    assert abs(losses.mean() - least.value) < 4 * error
    if label_dropout == 0.4:  # it would be noticed if the dropped labels were forgotten
        told = floor(oracle, "v", n=65_536, generator=torch.Generator().manual_seed(3), conditional=True)
        assert losses.mean() - told.value > 8 * error
