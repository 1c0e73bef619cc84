"""Mean-flow losses at the exact average velocity of Gaussian data: the identity holds, and the gradient is 0."""

import math

import numpy as np
import pytest
import torch
from exact_maps import DATA, MEAN, VAR, exact_mean_flow, flow

from difflab.denoisers import ExactDenoiser, MeanFlowDenoiser
from difflab.networks import MLP
from difflab.objectives import MeanFlowTraining, mean_flow_loss
from difflab.schedules import EDM, Flow

TIMES = [(0.05, 0.0), (0.3, 0.3), (0.7, 0.1), (0.95, 0.9), (1.0, 0.0)]


def pairs(nodes=12):
    """(x_0, eps) at Gauss-Hermite nodes, and weights whose sums are means of polynomials up to degree 23, exactly."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    a, b = np.meshgrid(z, z)
    x0, eps = (torch.from_numpy(g.reshape(-1, 1)) for g in (MEAN + math.sqrt(VAR) * a, b))
    return x0, eps, torch.from_numpy(np.outer(w, w).reshape(-1))


def at(x0, t, s):
    return {"t": torch.full((len(x0),), t, dtype=torch.float64), "s": torch.full((len(x0),), s, dtype=torch.float64)}


def test_the_model_of_these_tests_is_the_flow():
    model, oracle = exact_mean_flow()
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    for t, s in TIMES:
        torch.testing.assert_close(model.flow_map(x, t, s), flow(Flow(), x, t, s), rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(model(x, t).mean, oracle(x, t).mean, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("t", "s"), TIMES)
def test_the_identity_holds_at_the_exact_average_velocity(t, s):
    """With the oracle's velocity each row is |u - v + (t - s) du/dt|^2 = 0, up to float64's rounding of terms of size 10."""
    model, oracle = exact_mean_flow()
    x0, eps, _ = pairs()
    loss = mean_flow_loss(model, x0, **at(x0, t, s), eps=eps, teacher=oracle)
    assert loss.max().item() < 1e-24


def test_the_velocity_itself_is_no_average_velocity():
    """The same network told that no time lies ahead: right at s = t, and wrong where they are apart."""
    model, oracle = exact_mean_flow()
    exact = model.network
    model.network = torch.nn.Module()
    model.network.forward = lambda x, told, labels: exact(
        x, torch.stack([told[:, 0], torch.full_like(told[:, 1], -2.5)], 1)
    )
    x0, eps, _ = pairs()
    assert mean_flow_loss(model, x0, **at(x0, 0.7, 0.7), eps=eps, teacher=oracle).max().item() < 1e-24
    assert mean_flow_loss(model, x0, **at(x0, 0.7, 0.1), eps=eps, teacher=oracle).mean().item() > 1e-2


def gradient(model, x0, weights, **options):
    model.zero_grad()
    (weights @ mean_flow_loss(model, x0, **options)).backward()
    return float(model.network.off.grad)


@pytest.mark.parametrize(("t", "s"), TIMES)
def test_the_gradient_of_training_has_mean_0_at_the_exact_average_velocity(t, s):
    """Exactly, since the target is linear in the pair's velocity, whose mean given x_t is v; not so 10 % away from it."""
    model, _ = exact_mean_flow()
    x0, eps, weights = pairs()
    assert abs(gradient(model, x0, weights, **at(x0, t, s), eps=eps)) < 1e-13
    with torch.no_grad():
        model.network.off.fill_(0.1)
    assert abs(gradient(model, x0, weights, **at(x0, t, s), eps=eps)) > 1e-2


def test_at_equal_times_it_is_flow_matching():
    """|u(x_t, t, t) - (eps - x_0)|^2, whatever the network."""
    model = MeanFlowDenoiser(MLP((1,), width=16, levels=2)).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=p.dtype))
    x0, eps, _ = pairs(4)
    t = torch.linspace(0.1, 1, len(x0), dtype=torch.float64)
    u = model.average_velocity((1 - t[:, None]) * x0 + t[:, None] * eps, t, t)
    found = mean_flow_loss(model, x0, t=t, s=t, eps=eps)
    torch.testing.assert_close(found, (u - (eps - x0)).square().sum(1), rtol=1e-12, atol=1e-12)


def test_the_derivative_along_the_flow_is_that_of_finite_differences():
    model = MeanFlowDenoiser(MLP((1,), width=16, levels=2), sigma_data=0.7).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1), dtype=p.dtype))
    x0, eps, _ = pairs(4)
    t, s, h = 0.6, 0.2, 1e-5
    v = eps - x0
    x_t = (1 - t) * x0 + t * eps
    ahead, behind = (model.average_velocity(x_t + d * v, t + d, s) for d in (h, -h))
    due = v - (t - s) * (ahead - behind) / (2 * h)
    expected = (model.average_velocity(x_t, t, s) - due).square().sum(1)
    # h^2 / 6 times a third derivative of order 1e2, and 1e-16 / h of rounding
    found = mean_flow_loss(model, x0, **at(x0, t, s), eps=eps)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_times():
    """In floor(apart n) rows s < t, in the rest s = t; both are draws of one logit-normal law, sorted."""
    law = MeanFlowTraining(apart=0.25, mean=-0.4, std=1.3)
    t, s = law.times(40_001, torch.Generator().manual_seed(0))
    assert ((t > 0) & (t < 1) & (s <= t)).all()
    assert int((s < t).sum()) == 10_000
    logits = torch.cat([t[:10_000], s[:10_000]]).logit().double()
    assert abs(float(logits.mean()) + 0.4) < 4.5 * 1.3 / 20_000**0.5
    assert abs(float(logits.std()) - 1.3) < 4.5 * 1.3 / 40_000**0.5


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_rows_are_divided_by_a_power_of_their_own_loss(power):
    model, _ = exact_mean_flow()
    law = MeanFlowTraining(power=power, floor=0.01)
    x0 = DATA.sample(64, torch.Generator().manual_seed(0)).double()
    found = law.loss(model, x0, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    t, s = law.times(64, generator)
    square = mean_flow_loss(model, x0, t=t, s=s, generator=generator)
    torch.testing.assert_close(found, (square / (square + 0.01) ** power).mean())


MODEL, ORACLE = exact_mean_flow()
X, T = torch.zeros(3, 1), torch.full((3,), 0.5)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: mean_flow_loss(ORACLE, X, t=T, s=T), TypeError, "is trained on a MeanFlowDenoiser"),
        (lambda: mean_flow_loss(MODEL, X, t=T, s=T + 0.1), ValueError, "s lies above t"),
        (lambda: mean_flow_loss(MODEL, X, t=T[:2], s=T), ValueError, "t must be 3 times"),
        (lambda: mean_flow_loss(MODEL, X, t=T, s=T, teacher=ExactDenoiser(DATA, EDM())), ValueError, "The teacher"),
        (lambda: mean_flow_loss(MODEL, X, t=T, s=None), ValueError, "s must be 3 times, .* but got None"),
        (lambda: mean_flow_loss(MODEL, X, t=T, s=T - 5), ValueError, "s must be times from 0 to 1"),
        (lambda: MeanFlowTraining(teacher="oracle"), TypeError, "has a schedule"),
        (lambda: MeanFlowTraining().times(2.5), ValueError, "whole number of rows, 0 or more, but got 2.5"),
        (lambda: MeanFlowTraining().times(3, 3), TypeError, "must be a torch.Generator"),
        (lambda: MeanFlowTraining().loss(MODEL, X[:0]), ValueError, "over a batch, but this one is empty"),
        (lambda: MeanFlowTraining().loss(MODEL, None), TypeError, "tensor of floating-point numbers"),
        (lambda: MODEL.average_velocity(X, 0.3, -0.1), ValueError, "or below 0"),
        (lambda: MODEL.average_velocity(X, 0.3, math.nan), TypeError, "down to a time s, but got nan"),
        (lambda: MODEL.flow_map(X, 0.3, "0"), TypeError, "one time to one time, .* s = '0'"),
        (lambda: MeanFlowDenoiser(MLP((1,), levels=2))(X.double(), 0.5), TypeError, "computes in torch.float32"),
        (lambda: MeanFlowTraining(apart=1.5), ValueError, "apart must be a share"),
        (lambda: MeanFlowTraining(std=0.0), ValueError, "std must be a number above 0"),
        (lambda: MeanFlowTraining(power=-1), ValueError, "power must be a number of 0 or more"),
        (lambda: MeanFlowTraining(mean="0"), ValueError, "mean, of the logits"),
        (lambda: MeanFlowDenoiser("net"), TypeError, "needs an nn.Module"),
        (lambda: MeanFlowDenoiser(MLP((2,), levels=2), "flow"), TypeError, "needs a Schedule"),
        (lambda: MeanFlowDenoiser(MLP((2,), levels=2), clip=(1.0, 0.0)), ValueError, "clip must be"),
        (lambda: MeanFlowDenoiser(MLP((2,), levels=2), sigma_data=-1.0), ValueError, "sigma_data must be"),
        (lambda: MeanFlowDenoiser(MLP((1,)))(X, 0.5), ValueError, "noise level must be one"),
        (lambda: MODEL.average_velocity(X, 0.3, 0.5), ValueError, "s lies above t"),
        (lambda: MODEL.average_velocity(X, 0.3, torch.zeros(2)), ValueError, "3 of them"),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
