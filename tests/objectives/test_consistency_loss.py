"""Consistency losses at the exact consistency function of Gaussian data, with closed forms beside them."""

import math

import numpy as np
import pytest
import torch
from exact_maps import DATA, MEAN, VAR, exact_consistency

from difflab.data import GaussianMixture
from difflab.denoisers import ConsistencyDenoiser, ExactDenoiser, NetworkDenoiser
from difflab.networks import MLP
from difflab.objectives import ConsistencyTraining, consistency_loss
from difflab.schedules import EDM, Flow, VPCosine


def pairs(nodes=12):
    """(x_0, eps) at Gauss-Hermite nodes, and weights whose sums are means of polynomials up to degree 23, exactly."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    a, b = np.meshgrid(z, z)
    x0, eps = (torch.from_numpy(g.reshape(-1, 1)) for g in (MEAN + math.sqrt(VAR) * a, b))
    return x0, eps, torch.from_numpy(np.outer(w, w).reshape(-1))


def times(sigma, n):
    """Of EDM's noise level sigma, for n rows."""
    return EDM().t_of_log_snr(torch.full((n,), -2 * math.log(sigma), dtype=torch.float64))


def slope(sigma):
    """f = m + slope (x - m)."""
    return math.sqrt(VAR / (VAR + sigma**2))


@pytest.mark.parametrize("sigma", [0.05, 0.5, 5.0])
def test_distillation_vanishes_at_the_exact_function(sigma):
    """With the oracle as teacher a row's loss is [(a_t - a_s k) (x_t - m)]^2, k the slope of a DDIM step, (c + sigma_s sigma_t)
    / (c + sigma_t^2): nothing but DDIM's local error, whose square falls by 16 when the step is halved."""
    model, oracle = exact_consistency()
    x0, eps, weights = pairs()
    found = []
    for step in (0.02, 0.01):
        below = sigma * (1 - step)
        t, s = times(sigma, len(x0)), times(below, len(x0))
        loss = consistency_loss(model, x0, t=t, s=s, eps=eps, teacher=oracle)
        k = (VAR + below * sigma) / (VAR + sigma**2)
        expected = ((slope(sigma) - slope(below) * k) * (x0 + sigma * eps - MEAN)).square()[:, 0]
        # times are read from log-SNR and back, each to 1e-15, and the difference of two f of size 1 is down to 1e-5
        torch.testing.assert_close(loss.detach(), expected, rtol=1e-4, atol=1e-18)
        found.append(float(weights @ loss.detach()))
    assert found[0] / found[1] == pytest.approx(16, rel=0.1)


def gradient(model, t, s, x0, eps, weights, **options):
    model.zero_grad()
    (weights @ consistency_loss(model, x0, t=t, s=s, eps=eps, **options)).backward()
    return float(model.denoiser.network.off.grad)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 5.0])
def test_the_gradient_of_training_vanishes_at_the_exact_function_as_the_square_of_the_step(sigma):
    """d/d off of E |f - f_s|^2 is 2 c_out c_in E x_t (f(x_t) - f(x_s)) = 2 c_out c_in [a_t (c + sigma_t^2) - a_s (c + sigma_s
    sigma_t)], which is 0 to first order of the step; of a function that is 10 % off it is not."""
    model, _ = exact_consistency()
    x0, eps, weights = pairs()
    network = model.denoiser.network

    def closed(sigma, below):
        variance = model.sigma_data**2 + sigma**2
        factor = 2 * sigma * model.sigma_data / variance
        even = slope(sigma) * (VAR + sigma**2) - slope(below) * (VAR + below * sigma)
        # the mean does not drop out: E x_t f is cov + m^2 for both
        return factor * even

    exact, wrong = [], []
    for step in (0.02, 0.01):
        t, s = times(sigma, len(x0)), times(sigma * (1 - step), len(x0))
        exact.append(gradient(model, t, s, x0, eps, weights))
        assert exact[-1] == pytest.approx(closed(sigma, sigma * (1 - step)), rel=1e-4, abs=1e-13)
        with torch.no_grad():
            network.off.fill_(0.1)
        wrong.append(gradient(model, t, s, x0, eps, weights))
        with torch.no_grad():
            network.off.zero_()
    assert exact[0] / exact[1] == pytest.approx(4, rel=0.1)
    assert wrong[0] / wrong[1] == pytest.approx(2, rel=0.1)
    assert abs(wrong[1]) > 5 * abs(exact[1])


def test_below_the_last_level_the_target_is_the_data_itself():
    model, _ = exact_consistency()
    x0, eps, _ = pairs(3)
    t, s = times(0.002, len(x0)), torch.zeros(len(x0), dtype=torch.float64)
    loss = consistency_loss(model, x0, t=t, s=s, eps=eps)
    end = MEAN + slope(0.002) * (x0 + 0.002 * eps - MEAN)
    torch.testing.assert_close(loss.detach(), (end - x0).square()[:, 0], rtol=1e-6, atol=1e-12)


def test_gradients_go_through_the_noisier_side_alone():
    """At s = t of a constant network both sides agree, and moving both would change nothing; moving one does."""
    model, _ = exact_consistency()
    x0, eps, weights = pairs()
    t, s = times(0.5, len(x0)), times(0.1, len(x0))
    found = gradient(model, t, s, x0, eps, weights)
    ahead, behind = (model.end_at(x0 + sigma * eps, time).detach() for sigma, time in ((0.5, t), (0.1, s)))
    variance = model.sigma_data**2 + 0.25
    moved = 0.5 * model.sigma_data / variance * (x0 + 0.5 * eps)  # c_out c_in x_t
    assert found == pytest.approx(float(weights @ (2 * moved * (ahead - behind))[:, 0]), rel=1e-9)


@pytest.mark.parametrize("huber", [0.001, 0.5])
def test_the_distance(huber):
    model, _ = exact_consistency()
    x0, eps, _ = pairs(3)
    t, s = times(0.5, len(x0)), times(0.1, len(x0))
    square = consistency_loss(model, x0, t=t, s=s, eps=eps).detach()
    found = consistency_loss(model, x0, t=t, s=s, eps=eps, huber=huber).detach()
    torch.testing.assert_close(found, (square + huber**2).sqrt() - huber)


def test_the_number_of_levels_doubles():
    """Song & Dhariwal 2023, eq. 14: s_0 = 10 doubles to s_1 = 1280 in 8 equal parts of the training."""
    law = ConsistencyTraining()
    assert [law.count(k / 8) for k in range(9)] == [10 * 2**k for k in range(8)] + [1280]
    assert law.count(0.1249) == 10


def test_pairs_are_neighbours_with_the_papers_law_and_weights():
    """EDM's levels are Karras' grid; P(pair) is the normal mass of log sigma between its ends, the weight 1 / (difference)."""
    law, count = ConsistencyTraining(mean=-0.4, std=2.0), 18
    t, s, probability, weight = law.pairs(EDM(), count, 0.5)
    k = torch.arange(count, dtype=torch.float64) / (count - 1)
    levels = (0.002 ** (1 / 7) + k * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7
    # the lowest level is that of t = 1e-9
    torch.testing.assert_close(EDM().sigma(t), levels, rtol=1e-7, atol=0)
    assert s[0] == 0
    assert torch.equal(s[1:], t[:-1])
    torch.testing.assert_close(1 / weight[1:], levels.diff() / 0.5, rtol=1e-7, atol=0)
    erf = torch.erf((torch.cat([torch.zeros(1), levels]).log() - math.log(0.5) + 0.4) / (2 * math.sqrt(2)))
    torch.testing.assert_close(probability, erf.diff() / erf.diff().sum(), rtol=1e-6, atol=1e-12)


def test_the_mean_loss_is_the_weighted_mean_of_the_pairs():
    """Every pair at every node, against the loss of many drawn rows: within 4.5 standard errors."""
    model, _ = exact_consistency()
    law = ConsistencyTraining(coarse=6, fine=6, huber=0.0)
    t, s, probability, weight = law.pairs(EDM(), 6, model.sigma_data)
    x0, eps, weights = pairs()
    expected = sum(
        (p * w * (weights @ consistency_loss(model, x0, t=a.expand(len(x0)), s=b.expand(len(x0)), eps=eps))).item()
        for a, b, p, w in zip(t, s, probability, weight, strict=True)
    )
    generator = torch.Generator().manual_seed(0)
    losses = torch.stack(
        [law.loss(model, DATA.sample(2000, generator).double(), generator=generator).detach() for _ in range(40)]
    )
    assert abs(float(losses.mean()) - expected) < 4.5 * float(losses.std()) / 40**0.5


MODEL, ORACLE = exact_consistency()
X, T, S = torch.zeros(3, 1), torch.full((3,), 0.5), torch.full((3,), 0.4)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: consistency_loss(ORACLE, X, t=T, s=S), TypeError, "is trained on a ConsistencyDenoiser"),
        (lambda: consistency_loss(MODEL, X, t=S, s=T), ValueError, "every s must be smaller than its t"),
        (lambda: consistency_loss(MODEL, X, t=T, s=S[:2]), ValueError, "s must be 3 times"),
        (lambda: consistency_loss(MODEL, X, t=T, s=S, huber=-1), ValueError, "huber, the c of the distance"),
        (
            lambda: consistency_loss(MODEL, X, t=T, s=S, teacher=ExactDenoiser(DATA, Flow())),
            ValueError,
            "The teacher must speak of the same x_t",
        ),
        (lambda: consistency_loss(MODEL, X, t=T, s=S, teacher="oracle"), TypeError, "has a schedule"),
        (lambda: consistency_loss(MODEL, X, t=None, s=S), ValueError, "t must be 3 times, .* but got None"),
        (lambda: consistency_loss(MODEL, X, t=T, s=None), ValueError, "s must be 3 times, .* but got None"),
        (lambda: consistency_loss(MODEL, X, t=T, s=S - 5), ValueError, "s must be times from 0 to 1"),
        (
            lambda: consistency_loss(MODEL, X, torch.zeros(3, dtype=torch.int64), t=T, s=S),
            ValueError,
            "knows no classes",
        ),
        (lambda: consistency_loss(MODEL, X, t=T, s=S, huber=1e308), ValueError, "at most 1,000,000, but got 1e.308"),
        (lambda: ConsistencyTraining(teacher="oracle"), TypeError, "has a schedule"),
        (lambda: ConsistencyTraining(mean=500.0).pairs(EDM(), 5, 1.0), ValueError, "another mean or a wider std"),
        (lambda: ConsistencyTraining().pairs("edm", 5, 1.0), TypeError, "those of a Schedule such as EDM"),
        (lambda: ConsistencyTraining().pairs(EDM(), 1, 1.0), ValueError, "2 to 1,048,576 noise levels, but got 1"),
        (lambda: ConsistencyTraining().pairs(EDM(), 5, None), ValueError, "sigma_data must be a number"),
        (lambda: ConsistencyTraining().count(1.5), ValueError, "share of the training that is done, 0 to 1"),
        (lambda: ConsistencyTraining().loss(MODEL, X[:0]), ValueError, "over a batch, but this one is empty"),
        (lambda: ConsistencyTraining().loss(MODEL, X, generator=3), TypeError, "must be a torch.Generator"),
        (lambda: MODEL.flow_map(X, 0.5, "0"), TypeError, "leads to one time, but got s = '0'"),
        (lambda: ConsistencyTraining(coarse=1), ValueError, "coarse must be a whole number of noise levels"),
        (lambda: ConsistencyTraining(coarse=20, fine=10), ValueError, "fine must be at least coarse"),
        (lambda: ConsistencyTraining(std=0), ValueError, "std must be a number above 0"),
        (lambda: ConsistencyTraining(mean=math.inf), ValueError, "mean, of the log"),
        (lambda: ConsistencyTraining().pairs(Flow(), 5, 1.0), ValueError, "noise level sigma / alpha is infinite"),
        (lambda: ConsistencyTraining().loss(ORACLE, X), TypeError, "is trained on a ConsistencyDenoiser"),
        (lambda: ConsistencyDenoiser(ORACLE), TypeError, "is built on a NetworkDenoiser"),
        (
            lambda: ConsistencyDenoiser(NetworkDenoiser(MLP((2,)), VPCosine(), "eps")),
            ValueError,
            "x_0 = x_t at t = 0",
        ),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_labels_reach_both_sides_and_the_teacher():
    """With a network that hears the class, distilling class oracles, the loss of row i depends on labels[i] alone."""
    data = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], 0.1)
    model = ConsistencyDenoiser(NetworkDenoiser(MLP((1,), width=16, classes=2), EDM(), "edm")).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=p.dtype))
    x0, eps = torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    t, s = times(1.0, 2), times(0.8, 2)
    oracle = ExactDenoiser(data, EDM())

    def losses(labels):
        return consistency_loss(model, x0, torch.tensor(labels), t=t, s=s, eps=eps, teacher=oracle).detach()

    both = losses([0, 1])
    assert both[0] == losses([0, 0])[0]
    assert both[1] == losses([1, 1])[1]
    assert abs(both[0] - both[1]) > 1e-4


def test_at_the_data_the_other_end_is_the_data_whatever_the_network_says():
    """f(x_0, 0) = x_0, also of a network whose preconditioning divides by the noise level: beside s = 0 stands x_0 itself."""

    class Divides(ConsistencyDenoiser):
        def end_at(self, x_t, t, labels=None):
            return torch.where((t == 0)[:, None], torch.nan, super().end_at(x_t, t, labels))

    model = Divides(exact_consistency()[0].denoiser)
    x0, eps, _ = pairs(3)
    t, s = times(0.5, len(x0)), torch.zeros(len(x0), dtype=torch.float64)
    found = consistency_loss(model, x0, t=t, s=s, eps=eps)
    ends = MEAN + slope(0.5) * (x0 + 0.5 * eps - MEAN)
    torch.testing.assert_close(found.detach(), (ends - x0).square()[:, 0], rtol=1e-9, atol=1e-12)
