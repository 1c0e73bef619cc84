import numpy as np
import pytest
import torch
from scipy import integrate
from torch import nn

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import (
    T_MIN,
    WEIGHTINGS,
    LogNormalTimes,
    LossTimes,
    TabulatedTimes,
    Times,
    Uncertainty,
    denoising_loss,
    floor,
    floor_profile,
    loss_profile,
    weighting_from,
)
from difflab.objectives.weightings import EDM
from difflab.predictions import from_x0
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear
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

    class Oracle(nn.Linear):  # its weights are there to be trained, and not asked
        classes = 8

        def forward(self, x_t, level, labels=None):  # sigma_data is 1: what it is shown is x_t itself
            t = schedule.t_of_log_snr(4 * level)
            mean, lost = oracle(x_t, t).mean, labels == self.classes
            mean[~lost] = oracle(x_t[~lost], t[~lost], labels[~lost]).mean
            return from_x0("v", mean, x_t, *(a[:, None] for a in schedule.alpha_sigma(t)))

    run = prepare(
        NetworkDenoiser(Oracle(2, 2), schedule, "v"), data, steps=1, batch=128, label_dropout=label_dropout,
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


def exact_loss(schedule, prediction, name, t):
    """w gain^2 mmse of N(m, s^2) for one time in plain floats, from the tables of the papers: w is of eps for "p2", "elbo" and
    "sigmoid", of the prediction itself for "uniform", of x0 for the others."""
    a, s = (float(x) for x in schedule.alpha_sigma(t))
    da, ds = (float(x) for x in schedule.rates(t))
    snr, rate = a * a / (s * s), 2 * (da / a - ds / s)
    mmse = STD**2 * s * s / (a * a * STD**2 + s * s)
    own = {
        "x0": 1.0,
        "eps": a / s,
        "v": (a * a + s * s) / s,
        "score": a / s**2,
        "velocity": (da * s - a * ds) / s,
        "edm": (a * a * STD**2 + s * s) ** 0.5 / (s * STD),
    }[prediction]
    w = {
        "uniform": own**2,
        "snr": snr,
        "truncated-snr": max(snr, 1.0),
        "min-snr": min(snr, 5.0),
        "p2": snr / (1 + snr),
        "edm": (s * s / (a * a) + STD**2) / (s * s / (a * a) * STD**2),
        "sigmoid": -rate / 2 * snr / (1 + np.exp(np.log(snr) - 2)),
        "elbo": -rate / 2 * snr,
    }[name]
    return w * mmse


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric(0.05, 10.0), Flow()], ids=lambda s: s.name)
@pytest.mark.parametrize("prediction", ["eps", "x0", "v", "score", "velocity", "edm"])
def test_every_parameterisation_and_weighting_has_its_floor_at_every_level(prediction, schedule):
    """A Gaussian's posterior variance is the same at every x_t, so nothing is left to chance: 1e-4 for float32 times."""
    times = TIMES[:-1]  # at t = 1 exactly rectified flow has no eps
    for name in WEIGHTINGS:
        weighting = weighting_from(name, STD)
        oracle = ExactDenoiser(GAUSSIAN, schedule)
        profile = floor_profile(oracle, prediction, times, n=8, weighting=weighting)
        exact = [exact_loss(schedule, prediction, name, float(t)) for t in times]
        np.testing.assert_allclose(profile.value, exact, rtol=2e-4, err_msg=name)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_the_total_of_every_weighting_is_its_integral(name):
    """Against scipy's adaptive quadrature over the training times, 4 standard errors."""
    schedule = VPCosine()
    exact, _ = integrate.quad(
        lambda t: exact_loss(schedule, "v", name, t) / (1 - T_MIN), T_MIN, 1, limit=400, points=[0.01, 0.1, 0.99]
    )
    estimate = floor(
        ExactDenoiser(GAUSSIAN, schedule),
        "v",
        generator=torch.Generator().manual_seed(0),
        weighting=weighting_from(name, STD),
    )
    assert abs(estimate.value - exact) < 4 * estimate.error + 1e-5 * exact
    assert estimate.error < 0.02 * exact


@pytest.mark.parametrize("reweighted", [False, True])
def test_the_total_follows_the_law_of_times(reweighted):
    """A reweighted law has the floor of uniform times, any other one the integral against its own density."""
    schedule = VPCosine()
    oracle = ExactDenoiser(GAUSSIAN, schedule)
    times = LogNormalTimes(schedule, reweighted=reweighted, bins=200)
    estimate = floor(oracle, "v", generator=torch.Generator().manual_seed(0), times=times)
    t = torch.linspace(T_MIN, 1, 400_001, dtype=torch.float64)
    t = (t[1:] + t[:-1]) / 2
    density = torch.full_like(t, 1 / (1 - T_MIN)) if reweighted else times.density(t)
    exact = float((density * torch.from_numpy(closed_form(schedule, "v", t))).sum() * (t[1] - t[0]))
    assert abs(estimate.value - exact) < 4 * estimate.error + 1e-3 * exact  # 200 jumps of the density in 400,000 cells


def test_learned_uncertainty_can_reach_one_plus_the_log():
    """For the best u; exactly, since a Gaussian's floor has no noise: 1 + log (w mmse), per level and in total."""
    schedule = VPCosine()
    oracle = ExactDenoiser(GAUSSIAN, schedule)
    weighting = Uncertainty(EDM(STD))
    torch.nn.init.normal_(weighting.layer.weight, generator=torch.Generator().manual_seed(0))  # whatever was learned
    profile = floor_profile(oracle, "v", TIMES, n=8, weighting=weighting)
    level = np.array([exact_loss(schedule, "v", "edm", float(t)) for t in TIMES])
    np.testing.assert_allclose(profile.value, 1 + np.log(level), rtol=1e-4, atol=1e-4)
    total = floor(oracle, "v", n=2048, weighting=weighting)
    exact, _ = integrate.quad(
        lambda t: (1 + np.log(exact_loss(schedule, "v", "edm", t))) / (1 - T_MIN), T_MIN, 1, limit=400
    )
    assert total.value == pytest.approx(exact, abs=1e-3)  # midpoints of 128 shares


def test_no_network_gets_below_the_floor_of_its_uncertainty():
    """The loss of the oracle's own predictions under any u lies above, and touches where u is the log of the floor."""
    data, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(data, schedule)
    times = torch.tensor([0.2, 0.5, 0.8])
    for seed in range(3):
        weighting = Uncertainty(EDM(1.0))
        torch.nn.init.normal_(weighting.layer.weight, std=0.5, generator=torch.Generator().manual_seed(seed))
        least = floor_profile(oracle, "v", times, generator=torch.Generator().manual_seed(1), weighting=weighting)
        with torch.no_grad():
            u = weighting.u(schedule.log_snr(times.double()))
            plain = floor_profile(oracle, "v", times, generator=torch.Generator().manual_seed(1), weighting=EDM(1.0))
            reached = plain.value * (-u).exp() + u
        assert (reached >= least.value - 4 * least.error).all()
        torch.testing.assert_close(least.value, 1 + plain.value.log(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["edm", "elbo", "uncertainty"])
def test_a_weighted_loss_lies_on_its_floor_plus_the_excess(name):
    """loss_profile with the oracle against the plain weighted loss of `denoising_loss`, within 4 standard errors."""
    data, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(data, schedule)
    denoiser = NetworkDenoiser.for_data(data, schedule, "v")
    weighting = Uncertainty() if name == "uncertainty" else weighting_from(name)
    if name == "uncertainty":
        torch.nn.init.normal_(weighting.layer.weight, std=0.2, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([0.2, 0.6])
    smooth = loss_profile(
        denoiser, data, times, generator=torch.Generator().manual_seed(1), oracle=oracle, weighting=weighting
    )
    raw = loss_profile(denoiser, data, times, n=8192, generator=torch.Generator().manual_seed(2), weighting=weighting)
    assert (abs(smooth.value - raw.value) < 4 * (smooth.error**2 + raw.error**2).sqrt()).all()
    for i, t in enumerate(times.tolist()):
        x0 = data.sample(8192, torch.Generator().manual_seed(3))
        with torch.no_grad():
            rows = denoising_loss(
                denoiser, x0, t=torch.full((8192,), t), generator=torch.Generator().manual_seed(4), weighting=weighting
            ).per_sample.double()
        error = (rows.var() / len(rows) + smooth.error[i] ** 2).sqrt()
        assert abs(rows.mean() - smooth.value[i]) < 4 * error


@pytest.mark.parametrize(
    "times", [LossTimes(), TabulatedTimes(torch.tensor([0.2, 0.5, 1.0]), torch.tensor([0.9, 0.1]))]
)
def test_the_floor_of_a_training_is_under_its_own_times(times):
    """The oracle as the network, its loss under drawn times and their weights, against the floor: 4 standard errors."""
    data, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(data, schedule)
    generator = torch.Generator().manual_seed(0)
    least = floor(oracle, "v", generator=generator, times=times)
    batches = []
    for _ in range(60):
        t, weight = times.draw(512, generator)
        x0, eps = data.sample(512, generator).double(), torch.randn(512, 2, generator=generator).double()
        alpha, sigma = (a[:, None] for a in schedule.alpha_sigma(t.double()))
        mean = oracle(alpha * x0 + sigma * eps, t.double()).mean
        rows = ((alpha**2 + sigma**2) / sigma * (mean - x0)).square().mean(1)
        batches.append((rows if weight is None else weight.double() * rows).mean())
    batches = torch.stack(batches)
    assert abs(batches.mean() - least.value) < 4 * (batches.var() / 60 + least.error**2).sqrt()
    assert Times().draw(3).weight is None
