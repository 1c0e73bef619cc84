"""What holds for every network."""

import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.networks import MLP, DiT, UNet, network_for, network_from

MAKERS = {
    "MLP": lambda **o: MLP((2,), width=32, **o),
    "UNet": lambda **o: UNet((1, 8, 8), width=16, **o),
    "UNet of odd sides": lambda **o: UNet((2, 6, 10), width=16, **o),
    "DiT": lambda **o: DiT((2, 6, 8), width=16, depth=2, heads=2, **o),
}


def awake(network, seed=0):
    """Networks start at output 0; give every weight a value so that differences show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator))
    return network


@pytest.mark.parametrize("name", MAKERS)
def test_a_fresh_network_says_zero(name):
    network = MAKERS[name]()
    x = torch.randn(3, *network.config["shape"])
    assert torch.equal(network(x, torch.randn(3)), torch.zeros_like(x))


@pytest.mark.parametrize("name", MAKERS)
def test_rows_do_not_see_each_other(name):
    network = awake(MAKERS[name](classes=4)).double()
    x = torch.randn(6, *network.config["shape"], dtype=torch.float64)
    level, labels = torch.randn(6, dtype=torch.float64), torch.arange(6) % 4
    together = network(x, level, labels)
    alone = torch.cat([network(x[i : i + 1], level[i : i + 1], labels[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", MAKERS)
def test_level_and_class_matter(name):
    network = awake(MAKERS[name](classes=4))
    x = torch.randn(1, *network.config["shape"])
    one, two = torch.tensor([1]), torch.tensor([2])
    base = network(x, torch.tensor([0.0]), one)
    assert (network(x, torch.tensor([1.0]), one) - base).abs().max() > 1e-3
    assert (network(x, torch.tensor([0.0]), two) - base).abs().max() > 1e-3


@pytest.mark.parametrize("name", MAKERS)
def test_every_weight_is_trained(name):
    network = awake(MAKERS[name](classes=4))
    x = torch.randn(8, *network.config["shape"])
    network(x, torch.randn(8), torch.arange(8) % 5).square().sum().backward()  # class 4 is "no class"
    for parameter_name, p in network.named_parameters():
        assert p.grad is not None, parameter_name
        assert p.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", MAKERS)
def test_the_config_rebuilds_it(name):
    network = awake(MAKERS[name](classes=4))
    twin = network_from(type(network).__name__, network.config)
    twin.load_state_dict(network.state_dict())
    x, level = torch.randn(2, *network.config["shape"]), torch.randn(2)
    assert torch.equal(network(x, level), twin(x, level))


def test_the_network_that_fits():
    assert isinstance(network_for(GaussianMixture.ring()), MLP)
    fits_digits = network_for(digits(), conditional=True)
    assert isinstance(fits_digits, UNet)
    assert fits_digits.classes == 10
    assert network_for(digits()).classes is None
    assert 0.5e6 < sum(p.numel() for p in fits_digits.parameters()) < 0.7e6


def test_the_unet_sees_the_whole_image():
    network = awake(UNet((1, 8, 8), width=16))
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    network(x, torch.zeros(1))[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_an_odd_grid_is_halved_in_pairs_from_its_first_row_and_column():
    network = awake(UNet((1, 6, 10), width=16))  # 3 x 5 patches
    for module in network.modules():  # let only halving and doubling bring patches together
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            with torch.no_grad():
                module.weight *= torch.zeros(3, 3).index_put_((torch.tensor(1), torch.tensor(1)), torch.tensor(1.0))
    network.norm = torch.nn.Identity()
    for block in (*network.down, *network.middle, *network.up):
        block.norm1 = block.norm2 = torch.nn.Identity()
    for (i, j), rows, columns in (((0, 0), (0, 4), (0, 4)), ((1, 3), (0, 4), (4, 8)), ((2, 4), (4, 6), (8, 10))):
        x = torch.randn(1, 1, 6, 10, requires_grad=True)
        network(x, torch.zeros(1))[0, 0, 2 * i, 2 * j].backward()
        seen = torch.zeros(6, 10, dtype=torch.bool)
        seen[slice(*rows), slice(*columns)] = True
        assert torch.equal(x.grad[0, 0] != 0, seen)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: UNet((1, 6, 6), patch=4), "sides divisible by its patch, 4, but got"),
        (lambda: DiT((1, 28, 28), patch=3), "sides divisible by its patch, 3, but got"),
        (lambda: DiT((2,)), "needs images"),
        (lambda: DiT((1, 8, 8), width=18), "width must be divisible by 4 and by its 4 heads, but got 18"),
        (lambda: DiT((1, 8, 8), width=20, heads=3), "and by its 3 heads, but got 20"),
        (lambda: DiT((1, 8, 8), heads=0), "DiT's heads must be whole numbers from 1"),
        (lambda: UNet((2,)), "needs images"),
        (lambda: network_from("Transformer", {"shape": [2]}), "no network named 'Transformer'"),
        (lambda: network_from("MLP", {"shape": [2], "colour": 3}), "MLP has no option 'colour'"),
        (lambda: network_from("MLP", {"width": 3}), "without the shape"),
        (lambda: network_from("MLP", {"shape": [2], "width": 10**12}), "whole numbers from 1 to 65536"),
        (lambda: network_from("MLP", {"shape": [2], "width": "__import__('os')"}), "whole numbers"),
        (lambda: network_from("MLP", {"shape": [2], "depth": True}), "whole numbers"),
        (lambda: network_for(digits(), conditional="no"), "conditional must be True or False, but got 'no'"),
    ],
)
def test_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
