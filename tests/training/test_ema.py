import pytest
import torch
from torch import nn

from difflab.training import EMA
from difflab.training.ema import clone


def decays(decay, steps):
    return [min(decay, (1 + k) / (10 + k)) for k in range(1, steps + 1)]


def test_the_closed_recursion_with_warm_up():
    """avg_n = (prod d_k) w_0 + sum_k (1 - d_k) (prod_{j > k} d_j) w_k, in float64 by hand."""
    model = nn.Linear(3, 2).double()
    ema = EMA(model, decay=0.9)
    weights = [model.weight.detach().clone()]
    for k in range(1, 121):
        with torch.no_grad():
            model.weight.copy_(torch.randn(2, 3, generator=torch.Generator().manual_seed(k)))
        weights.append(model.weight.detach().clone())
        ema.update(k)
    d = torch.tensor(decays(0.9, 120), dtype=torch.float64)
    after = torch.cat([d.flip(0).cumprod(0).flip(0)[1:], torch.ones(1)])
    expected = d.prod() * weights[0] + sum((1 - d[k]) * after[k] * weights[k + 1] for k in range(120))
    torch.testing.assert_close(ema.module.weight, expected, rtol=1e-12, atol=1e-14)


def test_the_first_weights_are_soon_forgotten():
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 100.0)
    ema = EMA(model, decay=0.999)
    nn.init.constant_(model.weight, 0.0)
    for k in range(1, 101):
        ema.update(k)
    share = torch.tensor(decays(0.999, 100), dtype=torch.float64).prod()
    torch.testing.assert_close(ema.module.weight.item(), 100 * share.item(), rtol=1e-12, atol=0)
    assert share < 1e-7  # a decay of 0.999 without warm-up would have left 0.999^100 = 0.90


def test_buffers_are_copied_and_gradients_are_not_kept():
    model = nn.BatchNorm1d(2)
    ema = EMA(model)
    model(torch.randn(16, 2) + 5)
    ema.update(1)
    assert torch.equal(ema.module.running_mean, model.running_mean)
    assert not any(p.requires_grad for p in ema.module.parameters())
    assert not ema.module.training


def test_a_clone_shares_nothing():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    twin = clone(model)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), twin.state_dict().values(), strict=True))
    mine = {t.data_ptr() for t in model.state_dict().values()}
    assert not any(t.data_ptr() in mine for t in twin.state_dict().values())
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_impossible_decays_are_refused(decay):
    with pytest.raises(ValueError, match="decay must lie in"):
        EMA(nn.Linear(1, 1), decay)
