"""Networks that are told two numbers."""

import pytest
import torch

from difflab.networks import MLP, DiT, UNet, network_from

MAKERS = {
    "MLP": lambda **o: MLP((2,), width=32, **o),
    "UNet": lambda **o: UNet((1, 8, 8), width=16, **o),
    "DiT": lambda **o: DiT((1, 8, 8), width=16, depth=2, **o),
}


def awake(network):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return network


@pytest.mark.parametrize("name", MAKERS)
def test_both_numbers_matter_row_by_row(name):
    network = awake(MAKERS[name](levels=2, classes=3)).double()
    x = torch.randn(4, *network.config["shape"], dtype=torch.float64)
    told, labels = torch.randn(4, 2, dtype=torch.float64), torch.arange(4) % 3
    together = network(x, told, labels)
    alone = torch.cat([network(x[[i]], told[[i]], labels[[i]]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    for i in (0, 1):
        other = told.clone()
        other[0, i] += 0.5
        changed = (network(x, other, labels) - together).abs().flatten(1).amax(1)
        assert changed[0] > 1e-3
        assert changed[1:].max() == 0


@pytest.mark.parametrize("name", MAKERS)
def test_its_config_says_so_and_rebuilds_it(name):
    assert "levels" not in MAKERS[name]().config  # as in the checkpoints before there was a choice
    network = awake(MAKERS[name](levels=2))
    twin = network_from(name, network.config)
    twin.load_state_dict(network.state_dict())
    x, told = torch.randn(2, *network.config["shape"]), torch.randn(1, 2)
    assert torch.equal(network(x, told), twin(x, told))


@pytest.mark.parametrize("shape", [(3,), (2, 2), (3, 1), (1, 3)])
def test_numbers_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="This network is told 2 numbers"):
        MLP((2,), width=8, levels=2)(torch.zeros(3, 2), torch.zeros(shape))
    with pytest.raises(ValueError, match="levels must be whole numbers from 1 to 2"):
        MLP((2,), levels=3)
