"""Dropout without a stream: masks are as good as drawn, and the same for the same row wherever and whenever it is seen."""

import math

import pytest
import torch

from difflab.networks import DiT, UNet, network_from
from difflab.networks.dropout import Masks

RATE = 0.3
MAKERS = {
    "UNet": lambda **o: UNet((1, 8, 8), width=16, classes=3, **o),
    "DiT": lambda **o: DiT((1, 8, 8), width=16, depth=2, classes=3, **o),
}


def shown(n, seed=0):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def standardised(dropped):
    return (dropped.double() - RATE) / math.sqrt(RATE * (1 - RATE))


def dropped(x, layers=1, numbers=200):
    masks = Masks(x, RATE)
    return [masks(torch.ones(len(x), numbers)) == 0 for _ in range(layers)]


def largest_of(normals):
    """What the largest |z| of so many standard normal numbers stays below, but for once in 10,000 times: 2 n exp(-z^2 / 2) z^-1
    (2 pi)^(-1/2) = 1e-4, with z^-1 (2 pi)^(-1/2) < 0.1 where z > 4."""
    return math.sqrt(2 * math.log(2 * normals * 0.1 / 1e-4))


def test_so_many_are_dropped_and_none_knows_of_another():
    one, two = (standardised(d) for d in dropped(shown(4000), layers=2))
    n, m = one.shape
    assert abs(float(one.mean())) * math.sqrt(n * m) < largest_of(1)
    assert float(one.mean(0).abs().max()) * math.sqrt(n) < largest_of(m)
    assert float(one.mean(1).abs().max()) * math.sqrt(m) < largest_of(n)
    # sums of n products of independent standardised numbers, over sqrt(n), are normal
    places = (one.mT @ one / math.sqrt(n)).fill_diagonal_(0)
    rows = (one[:1000] @ one[:1000].mT / math.sqrt(m)).fill_diagonal_(0)
    layers = one.mT @ two / math.sqrt(n)
    for products in (places, rows, layers):
        # of numbers that are 1.5 or -0.65 the tails are a little heavier than a normal's: by skewness^2 / sqrt(m) or so
        assert float(products.abs().max()) < 1.15 * largest_of(products.numel())
        spread = float(products.square().sum()) / (products.numel() - (products.diagonal() == 0).sum())
        assert spread == pytest.approx(1, abs=5 * math.sqrt(2 / products.numel()) + 0.02)


def test_the_least_change_of_a_row_changes_its_mask_and_no_other():
    x = shown(2000)
    y = x.clone()
    y[:1000, 0, 3, 4] = torch.nextafter(x[:1000, 0, 3, 4], torch.tensor(10.0))
    (one,), (two,) = dropped(x), dropped(y)
    assert torch.equal(one[1000:], two[1000:])
    products = standardised(one[:1000]) * standardised(two[:1000])
    assert abs(float(products.mean())) * math.sqrt(products.numel()) < largest_of(1)


def test_what_is_left_grows_so_that_the_mean_stays():
    h = torch.full((4000, 100), 2.0)
    out = Masks(shown(4000), RATE)(h)
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(2.0) / (1 - RATE))}
    error = 2 * math.sqrt(RATE / (1 - RATE) / h.numel())
    assert abs(float(out.mean()) - 2) < 4 * error


def awake(network):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return network


@pytest.mark.parametrize("name", MAKERS)
def test_a_network_drops_in_training_only(name):
    network, whole = awake(MAKERS[name](dropout=0.2)), MAKERS[name]()
    whole.load_state_dict(network.state_dict())
    x, level, labels = shown(6), torch.linspace(-2, 2, 6), torch.arange(6) % 3
    assert torch.equal(network.eval()(x, level, labels), whole(x, level, labels))
    assert (network.train()(x, level, labels) - whole(x, level, labels)).abs().flatten(1).amax(1).min() > 1e-3


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_is_dropped_alike_in_any_batch_and_no_stream_is_touched(name):
    network = awake(MAKERS[name](dropout=0.2)).double()
    x, level, labels = shown(6).double(), torch.linspace(-2, 2, 6).double(), torch.arange(6) % 3
    before = torch.random.get_rng_state()
    together = network(x, level, labels)
    assert torch.equal(network(x, level, labels), together)
    halves = torch.cat([network(x[i], level[i], labels[i]) for i in (slice(0, 1), slice(1, 6))])
    torch.testing.assert_close(halves, together, rtol=0, atol=1e-10)  # in float64; rounding differs with the batch
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", MAKERS)
def test_its_config_says_so_only_where_it_is_on(name):
    assert "dropout" not in MAKERS[name]().config
    network = awake(MAKERS[name](dropout=0.25))
    assert network.config["dropout"] == 0.25
    twin = network_from(name, network.config)
    twin.load_state_dict(network.state_dict())
    x, level = shown(2), torch.zeros(1)
    assert torch.equal(network(x, level), twin(x, level))


@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), "0.1", True, None])
def test_rates_that_are_none_are_refused(rate):
    for maker in MAKERS.values():
        with pytest.raises(ValueError, match="'s dropout must be a number from 0 to less than 1, but got"):
            maker(dropout=rate)


def test_the_same_numbers_in_another_order_drop_others():
    x = shown(1)
    one, two = dropped(x)[0], dropped(x.flip(3))[0]
    assert not torch.equal(one, two)


@pytest.mark.parametrize("branch", ["attention", "dense"])
def test_both_branches_of_a_block_are_dropped_from(branch):
    torch.manual_seed(0)
    network = DiT((1, 8, 8), width=16, depth=1, dropout=RATE)
    block = network.blocks[0]
    with torch.no_grad():
        network.last.weight.normal_()
        gate = 2 if branch == "attention" else 5  # of shift, scale and gate of attention, then of the dense layers
        block.modulate.bias.view(6, 16)[gate] = 1.0
    x, level = shown(4), torch.zeros(1)
    assert not torch.allclose(network.train()(x, level), network.eval()(x, level), atol=1e-3)
