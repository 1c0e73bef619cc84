"""The oracles against quadrature, autograd, closed forms and a softmax written out."""

import math

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, GaussianMixture, digits, two_moons
from difflab.denoisers import Conditioned, ExactDenoiser
from difflab.denoisers import exact as exact_module
from difflab.denoisers.guidance import ClassifierFree
from difflab.flow.circle import width_of
from difflab.schedules import Geometric, VPCosine, VPLinear

SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.01, 20)]
TIMES = [0.02, 0.3, 0.7, 1.0]
LINE = GaussianMixture([0.2, 0.5, 0.3], [[-1.5], [0.1], [1.2]], [0.1, 0.02, 0.3])


def small_set():
    x = np.random.default_rng(0).standard_normal((7, 1, 2, 2)).astype(np.float32)
    return FiniteSet(x, labels=[0, 0, 1, 1, 2, 2, 2])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("t", TIMES)
def test_posterior_and_density_against_quadrature(schedule, t):
    """p(x_0 | x_t) by brute force on a fine grid of x_0; the trapezoidal rule is exact to rounding for such integrands."""
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
    x_t = alpha * np.linspace(-2, 2, 9) + sigma * np.linspace(-1, 1, 9)
    spacing = min(sigma / alpha, 0.1) / 20
    x0 = np.arange(-7, 7, spacing)
    prior = np.exp(LINE.log_density(x0[:, None]))
    likelihood = np.exp(-((x_t[:, None] - alpha * x0) ** 2) / (2 * sigma**2)) / math.sqrt(2 * math.pi * sigma**2)
    joint = prior * likelihood * spacing
    p = joint.sum(1)
    mean = joint @ x0 / p
    var = (joint * (x0 - mean[:, None]) ** 2).sum(1) / p

    oracle, x = ExactDenoiser(LINE, schedule), torch.from_numpy(x_t)[:, None]
    posterior = oracle(x, t)
    np.testing.assert_allclose(posterior.mean[:, 0], mean, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(posterior.var[:, 0], var, rtol=1e-6)
    np.testing.assert_allclose(oracle.log_prob(x, t), np.log(p), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize(
    "data", [GaussianMixture.ring(), GaussianMixture.random(dim=3), small_set()], ids=lambda d: repr(d)
)
def test_score_is_the_gradient_of_the_log_density_and_obeys_tweedie(data, schedule):
    oracle, g = ExactDenoiser(data, schedule), torch.Generator().manual_seed(0)
    t = torch.tensor([0.05, 0.2, 0.4, 0.6, 0.9], dtype=torch.float64)
    alpha, sigma = (a.reshape(-1, *[1] * len(data.shape)) for a in schedule.alpha_sigma(t))
    x = alpha * data.sample(5, g) + sigma * torch.randn(5, *data.shape, generator=g)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(oracle.log_prob(x, t).sum(), x)
    score = oracle.score(x, t)
    torch.testing.assert_close(score, gradient, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close((alpha * oracle(x, t).mean - x) / sigma**2, score, rtol=1e-6, atol=1e-7)


def test_posterior_variance_is_the_denoisers_jacobian():
    """Var[x_0 | x_t] = sigma^2 / alpha dE[x_0 | x_t] / dx_t, coordinate by coordinate (Tweedie's second identity)."""
    for data in (GaussianMixture.random(dim=3), small_set()):
        oracle, t = ExactDenoiser(data, VPCosine()), 0.5
        alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(t))
        x = data.sample(1, torch.Generator().manual_seed(1)).double()
        jacobian = torch.autograd.functional.jacobian(lambda x, o=oracle: o(x, 0.5).mean.flatten(), x)
        diagonal = jacobian.reshape(data.dim, data.dim).diagonal()
        torch.testing.assert_close(oracle(x, t).var.flatten(), sigma**2 / alpha * diagonal, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_single_gaussian_in_closed_form(schedule):
    """E[x_0 | x_t] = m + alpha C (alpha^2 C + sigma^2 I)^-1 (x_t - alpha m) with a full covariance."""
    mean, cov = np.array([0.4, -0.8]), np.array([[0.5, 0.3], [0.3, 0.4]])
    oracle = ExactDenoiser(GaussianMixture([1.0], [mean], [cov]), schedule)
    x = np.random.default_rng(1).standard_normal((6, 2))
    for t in TIMES:
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
        total = alpha**2 * cov + sigma**2 * np.eye(2)
        gain = alpha * cov @ np.linalg.inv(total)
        posterior = oracle(torch.from_numpy(x), t)
        np.testing.assert_allclose(posterior.mean, mean + (x - alpha * mean) @ gain.T, rtol=1e-9, atol=1e-10)
        var = np.diag(cov - alpha * gain @ cov)
        np.testing.assert_allclose(posterior.var, np.broadcast_to(var, (6, 2)), rtol=1e-6, atol=1e-12)
        residual = x - alpha * mean
        log_p = -np.einsum("ni,ij,nj->n", residual, np.linalg.inv(total), residual) / 2
        log_p -= np.log(np.linalg.det(2 * np.pi * total)) / 2
        np.testing.assert_allclose(oracle.log_prob(torch.from_numpy(x), t), log_p, rtol=1e-9)


def softmax_posterior(points, x, alpha, sigma):
    """One sample at a time, with the largest exponent taken out by hand."""
    exponents = np.array([-((x - alpha * p) ** 2).sum() / (2 * sigma**2) for p in points])
    w = np.exp(exponents - exponents.max())
    w /= w.sum()
    mean = sum(wi * p for wi, p in zip(w, points, strict=True))
    var = sum(wi * (p - mean) ** 2 for wi, p in zip(w, points, strict=True))
    return mean, var


@pytest.mark.parametrize("t", [0.02, 0.3, 0.7, 1.0])
def test_finite_set_against_a_softmax_written_out(t):
    data, schedule = small_set(), VPCosine()
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
    x = alpha * data.x[[0, 3, 6]].astype(float) + sigma * np.random.default_rng(2).standard_normal((3, 1, 2, 2))
    posterior = ExactDenoiser(data, schedule)(torch.from_numpy(x), t)
    for i in range(3):
        mean, var = softmax_posterior(data.x.astype(float), x[i], alpha, sigma)
        np.testing.assert_allclose(posterior.mean[i], mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(posterior.var[i], var, rtol=1e-7, atol=1e-12)


def test_labels_restrict_the_posterior_to_their_class():
    data, t = small_set(), 0.6
    x, labels = torch.randn(4, 1, 2, 2, dtype=torch.float64), torch.tensor([0, 1, 2, 2])
    alpha, sigma = (float(a) for a in VPCosine().alpha_sigma(t))
    oracle = ExactDenoiser(data, VPCosine())
    given = oracle(x, t, labels)
    for i, label in enumerate(labels.tolist()):
        mean, var = softmax_posterior(data.x[data.labels == label].astype(float), x[i].numpy(), alpha, sigma)
        np.testing.assert_allclose(given.mean[i], mean, rtol=1e-9)
        np.testing.assert_allclose(given.var[i], var, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(Conditioned(oracle, labels)(x, t).mean, given.mean)

    component = torch.tensor([0, 1, 2, 0])
    y = torch.randn(4, 1, dtype=torch.float64)
    one_by_one = [
        ExactDenoiser(GaussianMixture([1.0], LINE.means[[j]], LINE.covariances[[j]]), VPCosine())(y[[i]], t).mean
        for i, j in enumerate(component.tolist())
    ]
    mixture = ExactDenoiser(LINE, VPCosine())
    torch.testing.assert_close(mixture(y, t, component).mean, torch.cat(one_by_one))
    # the law of total probability: p(x) = sum_c p(c) p(x | c)
    per_class = torch.stack([mixture.log_prob(y, t, torch.full((4,), j)) for j in range(3)], dim=1)
    total = (per_class + torch.from_numpy(LINE.weights).log()).logsumexp(1)
    torch.testing.assert_close(mixture.log_prob(y, t), total)


@pytest.mark.parametrize("data", [GaussianMixture.ring(), digits()], ids=lambda d: d.name)
@pytest.mark.parametrize("t", [1e-9, 1e-4, 0.01, 0.5])
def test_float32_agrees_with_float64_down_to_the_smallest_noise(data, t):
    """The sums are done in float64 for both; a float32 caller only sees its own rounding."""
    schedule = VPCosine()
    alpha, sigma = schedule.alpha_sigma(t)
    g = torch.Generator().manual_seed(0)
    x = (alpha * data.sample(20, g) + sigma * torch.randn(20, *data.shape, generator=g)).float()
    oracle = ExactDenoiser(data, schedule)
    single, double = oracle(x, t), oracle(x.double(), t)
    assert single.mean.dtype == torch.float32
    torch.testing.assert_close(single.mean.double(), double.mean, rtol=2e-7, atol=2e-7)
    torch.testing.assert_close(single.var.double(), double.var, rtol=2e-7, atol=1e-12)
    assert torch.isfinite(double.mean).all()
    assert (double.var >= 0).all()


def test_one_time_for_each_row_and_blocks_of_rows_change_nothing(monkeypatch):
    oracle, t = ExactDenoiser(digits(), VPCosine()), torch.linspace(0.1, 0.9, 7)
    x = torch.randn(7, 1, 8, 8)
    together = oracle(x, t).mean
    rows = torch.cat([oracle(x[[i]], float(t[i])).mean for i in range(7)])
    torch.testing.assert_close(together, rows, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(exact_module, "_CHUNK", 2 * 1797)
    torch.testing.assert_close(oracle(x, t).mean, together, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("data", [LINE, small_set()], ids=lambda d: d.name)
def test_at_the_data_itself_nothing_is_unknown(data):
    x = data.sample(3).double()
    posterior = ExactDenoiser(data, VPCosine())(x, 0.0)
    torch.testing.assert_close(posterior.mean, x)
    assert posterior.var.max() < 1e-30


def test_an_empty_batch_is_an_empty_answer():
    for data in (LINE, small_set()):
        assert ExactDenoiser(data, VPCosine())(torch.zeros(0, *data.shape), 0.5).mean.shape == (0, *data.shape)


def test_says_which_truth_it_is():
    assert ExactDenoiser(LINE, VPCosine()).of == "population"
    assert ExactDenoiser(small_set(), VPCosine()).of == "training set"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ExactDenoiser("digits", VPCosine()), TypeError, "needs a GaussianMixture or a FiniteSet"),
        (
            lambda: ExactDenoiser(LINE, VPCosine())(torch.zeros(2, 3), 0.5),
            ValueError,
            r"shape \(n, 1\), but got \(2, 3\)",
        ),
        (lambda: ExactDenoiser(LINE, VPCosine())(torch.zeros(2, 1), 1.5), ValueError, "time runs from 0"),
        (
            lambda: ExactDenoiser(LINE, VPCosine())(torch.zeros(2, 1), torch.full((3,), 0.5)),
            ValueError,
            "one time or 2 of them",
        ),
        (
            lambda: ExactDenoiser(LINE, VPCosine())(torch.zeros(2, 1), 0.5, torch.zeros(3, dtype=torch.int64)),
            ValueError,
            "2 whole numbers",
        ),
        (
            lambda: ExactDenoiser(LINE, VPCosine())(torch.zeros(2, 1), 0.5, torch.tensor([0, 3])),
            ValueError,
            "between 0 and 2",
        ),
        (
            lambda: ExactDenoiser(FiniteSet([[0.0]]), VPCosine())(torch.zeros(1, 1), 0.5, torch.tensor([0])),
            ValueError,
            "knows no classes",
        ),
        (lambda: ExactDenoiser(small_set(), VPCosine()).score(torch.zeros(1, 1, 2, 2), 0.0), ValueError, "at t = 0"),
        (
            lambda: Conditioned(ExactDenoiser(LINE, VPCosine()), torch.tensor([0]))(
                torch.zeros(1, 1), 0.5, torch.tensor([0])
            ),
            ValueError,
            "labels of a conditioned denoiser are fixed",
        ),
    ],
)
def test_refuses(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("data", [GaussianMixture.ring(), two_moons(50)], ids=lambda d: d.name)
def test_probabilities_sum_to_1_however_far_out(data):
    """At 1e30 the squares of distances, 1e60, leave no digit to the logarithm of a sum; no warning of it may be needed."""
    oracle, x = ExactDenoiser(data, VPCosine()), torch.full((2, 2), 1e30)
    torch.testing.assert_close(oracle.mode_probabilities(x, 0.5).sum(1), torch.ones(2))
    if data.name == "two moons":  # a mean of examples lies among them
        assert bool((oracle(x, 0.5).mean.abs() <= float(abs(data.x).max())).all())


def test_tells_samplers_how_wide_the_data_are_through_whatever_is_wrapped_around_it():
    wide = ExactDenoiser(GaussianMixture([1.0], [[0.0, 0.0]], 9.0), VPCosine())
    labels = torch.zeros(2, dtype=torch.int64)
    for denoiser in (wide, Conditioned(wide, labels), Conditioned(ClassifierFree(wide, 2.0), labels)):
        assert width_of(denoiser) == pytest.approx(3.0)
