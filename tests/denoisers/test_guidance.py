"""Guidance against exact conditional oracles: at weight 1 Bayes' rule makes every guidance one."""

import math

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, GaussianMixture, Tilt, digits
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser, Posterior
from difflab.denoisers.guidance import (
    Autoguidance,
    BayesClassifier,
    ClassifierFree,
    ClassifierGuidance,
    Interval,
)
from difflab.samplers import DDIM, final, sample
from difflab.schedules import EDM, Flow, VPCosine

SCHEDULES = [VPCosine(), EDM(), Flow()]
DATA = GaussianMixture.random(components=5, dim=3, seed=2)
MATRIX, VALUE, NOISE = np.array([[1.0, -0.5, 0.2]]), np.array([0.4]), 0.2
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)


def noisy(schedule, t, n=40, data=DATA):
    level = schedule.level(t)
    generator = torch.Generator().manual_seed(0)
    x0 = data.sample(n, generator).double()
    return level.alpha * x0 + level.sigma * torch.randn(x0.shape, generator=generator, dtype=torch.float64)


def assert_close(found, expected):
    """To 1e-10 of the answer's size: Tweedie's formula takes the difference of numbers up to 1e4 times as large at small t
    (sigma^2 times a score of size 1 / sigma is no loss), and float64 has 1e-16."""
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoiser):
        self.denoiser, self.schedule, self.shape, self.calls = denoiser, denoiser.schedule, denoiser.shape, 0

    def __call__(self, x_t, t, labels=None):
        self.calls += 1
        return self.denoiser(x_t, t) if labels is None else self.denoiser(x_t, t, labels)


@each_schedule
@pytest.mark.parametrize("t", [0.05, 0.4, 0.9])
def test_the_exact_classifier_at_scale_one_gives_the_tilted_oracle(schedule, t):
    tilt = Tilt([0.8, -0.3, 1.1], [0.4, 0.0, 0.9])
    oracle, tilted = ExactDenoiser(DATA, schedule), ExactDenoiser(DATA.tilted(tilt), schedule)
    guided = ClassifierGuidance(oracle, BayesClassifier(oracle, tilted))
    x = noisy(schedule, t)
    with torch.no_grad():
        assert_close(guided(x, t).mean, tilted(x, t).mean)
    assert (guided(x, t).mean - oracle(x, t).mean).abs().max() > 1e-3 or t < 0.1  # there was something to do


@pytest.mark.parametrize("t", [0.1, 0.6, 0.95])
def test_the_exact_classifier_is_the_mean_tilt_given_x_t(t):
    """log E[exp(tilt(x_0)) | x_t], component by component from the posterior's parts, differs from it by log E exp(tilt(x_0))."""
    schedule, tilt = VPCosine(), Tilt([0.8, -0.3, 1.1], [0.4, 0.0, 0.9])
    oracle = ExactDenoiser(DATA, schedule)
    classifier = BayesClassifier(oracle, ExactDenoiser(DATA.tilted(tilt), schedule))
    x = noisy(schedule, t, 6)
    r = oracle.mode_probabilities(x, t).numpy()
    expected = []
    for i in range(len(x)):
        total = 0.0
        for j in range(len(DATA.weights)):
            label = torch.tensor([j])
            mean = oracle(x[[i]], t, label).mean[0].numpy()
            cov = oracle.posterior_covariance(x[[i]], t, label)[0].numpy()
            inverse = np.linalg.inv(cov)
            precision = inverse + tilt.quadratic
            shifted = inverse @ mean + tilt.linear
            log_mean = (shifted @ np.linalg.solve(precision, shifted) - mean @ inverse @ mean) / 2
            log_mean -= np.linalg.slogdet(precision @ cov)[1] / 2
            total += r[i, j] * math.exp(log_mean)
        expected.append(math.log(total))
    found = classifier(x, t).numpy() + DATA.log_mean_tilt(tilt)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@each_schedule
@pytest.mark.parametrize("kind", ["mixture", "finite set"])
def test_the_exact_classifier_of_an_observation_gives_the_observed_oracle(schedule, kind):
    data = DATA if kind == "mixture" else FiniteSet(DATA.preview(60, 0)[0])
    oracle = ExactDenoiser(data, schedule)
    seen = oracle.observed(MATRIX, VALUE, NOISE)
    guided = ClassifierGuidance(oracle, BayesClassifier(oracle, seen))
    for t in (0.4, 0.9):
        x = noisy(schedule, t, data=data)
        with torch.no_grad():
            assert_close(guided(x, t).mean, seen(x, t).mean)


@each_schedule
def test_the_exact_classifier_of_classes_gives_the_class_oracle(schedule):
    oracle, labels = ExactDenoiser(DATA, schedule), torch.arange(40) % 5
    guided = ClassifierGuidance(oracle, BayesClassifier(oracle))
    by_probability = ClassifierGuidance(
        oracle, lambda x, t, labels: oracle.mode_probabilities(x, t).gather(1, labels[:, None])[:, 0].log()
    )
    x, t = noisy(schedule, 0.5), torch.linspace(0.3, 0.9, 40, dtype=torch.float64)
    for time in (0.7, t):
        expected = oracle(x, time, labels).mean
        assert_close(guided(x, time, labels).mean, expected)
        assert_close(Conditioned(guided, labels)(x, time).mean, expected)
    assert_close(by_probability(x, 0.8, labels).mean, oracle(x, 0.8, labels).mean)


def test_classifier_guidance_works_in_inference_mode_and_can_be_differentiated():
    oracle = ExactDenoiser(DATA, VPCosine())
    seen = oracle.observed(MATRIX, VALUE, NOISE)
    guided = ClassifierGuidance(oracle, BayesClassifier(oracle, seen))
    x = noisy(VPCosine(), 0.5)
    with torch.inference_mode():
        assert_close(guided(x, 0.5).mean, seen(x, 0.5).mean)
    x.requires_grad_()
    (found,) = torch.autograd.grad(guided(x, 0.5).mean.square().sum(), x)
    (expected,) = torch.autograd.grad(seen(x, 0.5).mean.square().sum(), x)
    assert_close(found, expected)


@each_schedule
def test_classifier_free_weights(schedule):
    oracle, labels, t = ExactDenoiser(DATA, schedule), torch.arange(40) % 5, 0.6
    x = noisy(schedule, t)
    with_class, without = oracle(x, t, labels).mean, oracle(x, t).mean
    assert torch.equal(ClassifierFree(oracle, 1.0)(x, t, labels).mean, with_class)
    assert torch.equal(ClassifierFree(oracle, 0.0)(x, t, labels).mean, without)

    # Ho & Salimans' eq. 6 with their w = 2: (1 + w) eps(y) - w eps, read as x_0
    level = schedule.level(t)
    eps_y, eps = ((x - level.alpha * m) / level.sigma for m in (with_class, without))
    expected = (x - level.sigma * (3 * eps_y - 2 * eps)) / level.alpha
    assert_close(Conditioned(ClassifierFree(oracle, 3.0), labels)(x, t).mean, expected)


def test_the_classifiers_gradient_and_two_models_are_one_guidance_at_every_weight():
    """grad log p(y | x_t) is the difference of the scores: both guidances of weight w are one with exact ingredients."""
    oracle, labels, x = ExactDenoiser(DATA, VPCosine()), torch.arange(40) % 5, noisy(VPCosine(), 0.7)
    by_gradient = ClassifierGuidance(oracle, BayesClassifier(oracle), scale=2.5)
    assert_close(by_gradient(x, 0.7, labels).mean, ClassifierFree(oracle, 2.5)(x, 0.7, labels).mean)


def test_an_unconditional_denoiser_of_its_own():
    oracle = ExactDenoiser(DATA, VPCosine())
    seen, x = oracle.observed(MATRIX, VALUE, NOISE), noisy(VPCosine(), 0.5)
    found = ClassifierFree(seen, 2.0, unconditional=oracle)(x, 0.5).mean
    assert_close(found, 2 * seen(x, 0.5).mean - oracle(x, 0.5).mean)


@pytest.mark.parametrize(("of", "ends"), [("t", (0.3, 0.6)), ("log_snr", None), ("sigma", None)])
def test_inside_an_interval_guided_outside_plain(of, ends):
    schedule = VPCosine()
    snr = [float(schedule.log_snr(t)) for t in (0.3, 0.6)]
    ends = {"t": (0.3, 0.6), "log_snr": (snr[1], snr[0]), "sigma": (math.exp(-snr[0] / 2), math.exp(-snr[1] / 2))}[of]
    oracle, labels, x = ExactDenoiser(DATA, schedule), torch.arange(40) % 5, noisy(schedule, 0.5)
    guided = ClassifierFree(oracle, 3.0)
    interval = Interval(guided, **{of: ends})
    assert torch.equal(interval(x, 0.45, labels).mean, guided(x, 0.45, labels).mean)
    for t in (0.29, 0.61):
        assert torch.equal(interval(x, t, labels).mean, oracle(x, t, labels).mean)
    t = torch.linspace(0.1, 0.9, 40, dtype=torch.float64)
    if of == "t":  # the ends are the same numbers there, and belong to it
        t[:2] = torch.tensor([0.3, 0.6], dtype=torch.float64)
        for end in (0.3, 0.6):
            assert torch.equal(interval(x, end, labels).mean, guided(x, end, labels).mean)
    expected = torch.where(
        ((t >= 0.3) & (t <= 0.6))[:, None], guided(x, t, labels).mean, guided.unguided(x, t, labels).mean
    )
    assert torch.equal(interval(x, t, labels).mean, expected)


def test_what_is_plain_outside_depends_on_the_guidance():
    oracle, labels, x = ExactDenoiser(DATA, VPCosine()), torch.arange(40) % 5, noisy(VPCosine(), 0.9)
    worse = ExactDenoiser(DATA.standardised(), VPCosine())
    classifier = Interval(ClassifierGuidance(oracle, BayesClassifier(oracle)), t=(0.1, 0.2))
    assert torch.equal(classifier(x, 0.9, labels).mean, oracle(x, 0.9).mean)
    auto = Interval(Autoguidance(oracle, worse, 2.0), t=(0.1, 0.2))
    assert torch.equal(auto(x, 0.9, labels).mean, oracle(x, 0.9, labels).mean)
    anything = Interval(Conditioned(ClassifierFree(oracle, 2.0), labels), plain=oracle, t=(0.1, 0.2))
    assert torch.equal(anything(x, 0.9).mean, oracle(x, 0.9).mean)
    nested = Interval(Interval(ClassifierFree(oracle, 2.0), t=(0.5, 1.0)), t=(0.0, 0.7))
    assert torch.equal(nested(x, 0.9, labels).mean, oracle(x, 0.9, labels).mean)
    assert torch.equal(nested(x, 0.6, labels).mean, ClassifierFree(oracle, 2.0)(x, 0.6, labels).mean)


def test_autoguidance():
    good, worse = (ExactDenoiser(GaussianMixture([1.0], [[0.5]], v), VPCosine()) for v in (0.3, 0.8))
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    assert torch.equal(Autoguidance(good, worse, 1.0)(x, 0.5).mean, good(x, 0.5).mean)
    assert torch.equal(Autoguidance(good, worse, 0.0)(x, 0.5).mean, worse(x, 0.5).mean)
    assert torch.equal(Autoguidance(good, good, 7.0)(x, 0.5).mean, good(x, 0.5).mean)  # no difference, no guidance
    # two Gaussian denoisers are straight lines through (alpha m, m), and so is what they guide to
    level = VPCosine().level(0.5)
    gain = [level.alpha * v / (level.alpha**2 * v + level.sigma**2) for v in (0.3, 0.8)]
    expected = 0.5 + (3 * gain[0] - 2 * gain[1]) * (x - level.alpha * 0.5)
    assert_close(Autoguidance(good, worse, 3.0)(x, 0.5).mean, expected)


def test_how_many_networks_a_call_asks():
    inner = Counted(ExactDenoiser(DATA, VPCosine()))
    x, labels = noisy(VPCosine(), 0.5), torch.arange(40) % 5
    for guided, due in [
        (ClassifierFree(inner, 3.0), 2),
        (ClassifierFree(inner, 1.0), 1),
        (ClassifierFree(inner, 0.0), 1),
        (Autoguidance(inner, inner, 2.0), 2),
        (Interval(ClassifierFree(inner, 3.0), t=(0.4, 0.6)), 2),
        (Interval(ClassifierFree(inner, 3.0), t=(0.6, 0.7)), 1),
    ]:
        inner.calls = 0
        guided(x, 0.5, labels)
        assert inner.calls == due, guided


def test_samplers_take_guided_denoisers():
    """They pass on what a run asks of a denoiser, and a whole run at weight 1 is the conditional one, bit by bit."""
    oracle, labels = ExactDenoiser(DATA, VPCosine()), torch.arange(40) % 5
    guided = Interval(ClassifierFree(oracle, 1.0), sigma=(0.1, 3.0))
    assert (guided.schedule, guided.shape, guided.device, guided.sigma_data) == (VPCosine(), (3,), None, 1.0)
    network = NetworkDenoiser.for_data(digits(), VPCosine(), conditional=True, width=8)
    of_network = ClassifierFree(network, 2.0)
    assert (of_network.shape, of_network.device.type) == ((1, 8, 8), "cpu")
    assert of_network.sigma_data == network.sigma_data
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ends = [final(sample(Conditioned(d, labels), DDIM(), [1.0, 0.7, 0.3, 0.0], x=x)) for d in (guided, oracle)]
    assert torch.equal(*ends)


def test_a_networks_no_class_is_what_it_says_without_labels():
    network = NetworkDenoiser.for_data(digits(), VPCosine(), conditional=True, width=8)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    x, labels = torch.randn(10, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(10)
    with torch.no_grad():
        found = ClassifierFree(network, 2.0)(x, 0.3, labels).mean
        expected = 2 * network(x, 0.3, labels).mean - network(x, 0.3).mean
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert (network(x, 0.3, labels).mean - network(x, 0.3).mean).abs().max() > 1e-3


class Bare:
    """Of another shape than DATA."""

    schedule, shape = VPCosine(), (2,)

    def __call__(self, x_t, t, labels=None):
        return Posterior(x_t)


class Silent:
    schedule = VPCosine()

    def __call__(self, x_t, t, labels=None):
        return None


class Narrow(Silent):
    def __call__(self, x_t, t, labels=None):
        return Posterior(x_t[:1])


ORACLE = ExactDenoiser(DATA, VPCosine())


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: ClassifierFree(lambda x, t: x, 2.0), TypeError, "has a schedule"),
        (lambda: ClassifierFree(ORACLE, "2"), ValueError, "The weight of a guidance must be a finite number"),
        (lambda: ClassifierFree(ORACLE, math.nan), ValueError, "finite number, .* but got nan"),
        (lambda: ClassifierFree(ORACLE, 2.0, unconditional=ExactDenoiser(DATA, EDM())), ValueError, "same x_t"),
        (lambda: ClassifierFree(Conditioned(ORACLE, torch.tensor([0])), 2.0), ValueError, "put it around the guidance"),
        (lambda: Autoguidance(ORACLE, Bare(), 2.0), ValueError, r"shape \(3,\), but it has \(2,\)"),
        (lambda: Autoguidance(ORACLE, None, 2.0), TypeError, "has a schedule"),
        (lambda: ClassifierGuidance(ORACLE, 3), TypeError, "A classifier is a function"),
        (lambda: ClassifierGuidance(ORACLE, BayesClassifier(ORACLE), True), ValueError, "The scale of a guidance"),
        (lambda: Interval(ORACLE, t=(0.1, 0.2)), TypeError, "does not say what it is without guidance"),
        (lambda: Interval(ClassifierFree(ORACLE, 2.0)), ValueError, "got none of them"),
        (lambda: Interval(ClassifierFree(ORACLE, 2.0), t=(0, 1), sigma=(0, 1)), ValueError, "got t, sigma"),
        (lambda: Interval(ClassifierFree(ORACLE, 2.0), t=(0.5, 0.1)), ValueError, "the lower one first"),
        (lambda: Interval(ClassifierFree(ORACLE, 2.0), sigma=3.0), ValueError, "two numbers"),
        (
            lambda: ClassifierFree(ORACLE, 2.0)(torch.zeros(1, 3), 0.5),
            ValueError,
            r"sample Conditioned\(ClassifierFree",
        ),
        (lambda: ClassifierFree(ORACLE, 1e308), ValueError, "at most 10,000 in size, but got 1e.308"),
        (lambda: ClassifierFree(ORACLE, 10**400), ValueError, "at most 10,000 in size, but got 1000"),
        (lambda: Autoguidance(ORACLE, Silent(), 2.0)(torch.zeros(2, 3), 0.5), TypeError, "must return a Posterior"),
        (
            lambda: Interval(Silent(), plain=ORACLE, t=(0, 1))(torch.zeros(2, 3), torch.full((2,), 0.5)),
            TypeError,
            "must return a Posterior",
        ),
        (lambda: Autoguidance(ORACLE, Narrow(), 2.0)(torch.zeros(2, 3), 0.5), ValueError, r"like x_t, \(2, 3\)"),
        (
            lambda: ClassifierGuidance(ORACLE, lambda x, t: x.sum(1) + 0j)(torch.zeros(2, 3), 0.5),
            ValueError,
            "as real numbers where x_t is, but this one returned torch.complex64",
        ),
        (
            lambda: ClassifierGuidance(ORACLE, lambda x, t: x.sum(1).to("meta"))(torch.zeros(2, 3), 0.5),
            ValueError,
            "torch.float32 on meta",
        ),
        (
            lambda: ClassifierGuidance(ORACLE, lambda x, t: torch.ones(2, requires_grad=True))(torch.zeros(2, 3), 0.5),
            ValueError,
            "does not depend on x_t",
        ),
        (lambda: BayesClassifier(Bare()), TypeError, "give an ExactDenoiser"),
        (lambda: BayesClassifier(ORACLE)(torch.zeros(2, 3), 0.5), ValueError, "never both or neither"),
        (
            lambda: ClassifierGuidance(ORACLE, lambda x, t: x)(torch.zeros(2, 3), 0.5),
            ValueError,
            r"of each sample, \(2,\), but this one returned \(2, 3\)",
        ),
        (
            lambda: ClassifierGuidance(ORACLE, lambda x, t: torch.zeros(len(x)))(torch.zeros(2, 3), 0.5),
            ValueError,
            "does not depend on x_t",
        ),
        (
            lambda: ClassifierGuidance(ExactDenoiser(DATA, Flow()), lambda x, t: x.sum(1))(torch.zeros(2, 3), 1.0),
            ValueError,
            "start the grid below t = 1",
        ),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
