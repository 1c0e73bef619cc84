"""The transformer beside torch's own parts, and what it must not tell apart."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.networks import MLP, DiT, UNet, network_for
from difflab.networks.dit import Block


def awake(module, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    return module.double()


def swapped(x, patch, order):
    """x (n, c, h, w) with its patches, counted row by row, in another order."""
    tokens = F.unfold(x, patch, stride=patch)
    return F.fold(tokens[:, :, order], x.shape[2:], patch, stride=patch)


def images(shape=(2, 6, 8), n=3):
    return torch.randn(n, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_without_its_positions_the_order_of_patches_does_not_matter():
    network = awake(DiT((2, 6, 8), width=16, depth=2))
    x, level = images(), torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    with_places = (network(swapped(x, 2, order), level) - swapped(network(x, level), 2, order)).abs().max()
    assert with_places > 1e-2
    network.positions.zero_()
    torch.testing.assert_close(
        network(swapped(x, 2, order), level), swapped(network(x, level), 2, order), rtol=0, atol=1e-11
    )


def test_without_attention_a_patch_is_answered_from_itself_alone():
    network = awake(DiT((2, 6, 8), width=16, depth=2))
    for block in network.blocks:
        nn.init.zeros_(block.mix.weight)
    x = images(n=1).requires_grad_()
    network(x, torch.zeros(1, dtype=torch.float64))[0, :, 2:4, 4:6].square().sum().backward()
    seen = x.grad[0] != 0
    assert seen[:, 2:4, 4:6].all()
    assert int(seen.sum()) == 2 * 2 * 2


def test_with_attention_a_pixel_is_answered_from_the_whole_image():
    network = awake(DiT((2, 6, 8), width=16, depth=1))
    x = images(n=1).requires_grad_()
    network(x, torch.zeros(1, dtype=torch.float64))[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


@pytest.mark.parametrize("smooth", [False, True])
def test_a_block_is_the_paper_s_written_with_torch_s_own_layers(smooth):
    width, heads = 16, 4
    block = awake(Block(width, heads))
    attention = nn.MultiheadAttention(width, heads, batch_first=True).double()
    attention.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.mix.weight,
            "out_proj.bias": block.mix.bias,
        }
    )
    norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
    mlp = nn.Sequential(block.widen, nn.GELU("tanh"), block.narrow)
    x, condition = images((12, width)), images((1, width))
    shift1, scale1, gate1, shift2, scale2, gate2 = block.modulate(condition).split(width, dim=2)
    h = norm(x) * (1 + scale1) + shift1
    between = x + gate1 * attention(h, h, h)[0]
    due = between + gate2 * mlp(norm(between) * (1 + scale2) + shift2)
    torch.testing.assert_close(block(x, condition, smooth), due, rtol=0, atol=1e-12)


def test_a_fresh_block_is_the_identity():
    x = torch.randn(3, 12, 16)
    assert torch.equal(Block(16, 4)(x, torch.randn(3, 1, 16), False), x)


def test_places_are_sines_and_cosines_of_row_and_column():
    code = DiT((1, 6, 8), width=8).positions
    for row in range(3):
        for column in range(4):
            due = [
                f(place / 10_000 ** (k / 2)) for place in (row, column) for f in (math.sin, math.cos) for k in (0, 1)
            ]
            torch.testing.assert_close(code[4 * row + column], torch.tensor(due), rtol=0, atol=1e-6)


def test_derivatives_by_the_input_exist_in_both_directions_and_twice():
    network = awake(DiT((1, 4, 4), width=8, depth=1, heads=2))
    level = torch.tensor([0.4], dtype=torch.float64)
    x, v = images((1, 4, 4), 1), images((1, 4, 4), 2)[1:]
    value, along = torch.func.jvp(lambda x: network(x, level), (x,), (v,))
    torch.testing.assert_close(value, network(x, level), rtol=0, atol=1e-12)  # whichever way attention is computed
    h = 1e-5  # the central difference is off by h^2 f'''/6 ~ 1e-10 and by rounding, 1e-16 / h = 1e-11
    difference = (network(x + h * v, level) - network(x - h * v, level)) / (2 * h)
    torch.testing.assert_close(along, difference, rtol=1e-6, atol=1e-7)
    assert torch.autograd.gradgradcheck(lambda x: network(x, level), x.requires_grad_())


def as_data(*shape):
    return FiniteSet(np.linspace(-1, 1, 3 * math.prod(shape)).reshape(3, *shape), [0, 1, 2])


def test_patches_are_about_as_many_as_two_cores_are_enough_for():
    patches = {
        side: [network_for(as_data(1, side, side), network=name).patch for name in ("UNet", "DiT")]
        for side in (8, 26, 28, 32, 64)
    }
    assert patches == {8: [2, 2], 26: [2, 2], 28: [4, 4], 32: [4, 4], 64: [8, 8]}
    assert network_for(as_data(1, 28, 28), network="DiT", patch=7).patch == 7


def test_the_network_is_the_one_that_was_named():
    assert isinstance(network_for(digits(), network="DiT", width=32), DiT)
    assert isinstance(network_for(digits(), network="MLP", width=32), MLP)
    assert isinstance(network_for(as_data(3, 32, 32)), UNet)
    assert isinstance(network_for(as_data(1, 7, 7)), MLP)
    assert network_for(digits(), network="DiT", conditional=True).classes == 10
    with pytest.raises(ValueError, match="needs images"):
        network_for(GaussianMixture.ring(), network="DiT")
    with pytest.raises(ValueError, match="There is no network named 'Transformer'; choose one of MLP, UNet, DiT"):
        network_for(digits(), network="Transformer")
