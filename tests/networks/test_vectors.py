"""Conditions that are vectors, in every network."""

import pytest
import torch

from difflab.networks import MLP, DiT, UNet, network_for, network_from

MAKERS = {
    "MLP": lambda **o: MLP((2,), width=32, **o),
    "UNet": lambda **o: UNet((1, 8, 8), width=16, **o),
    "DiT": lambda **o: DiT((1, 8, 8), width=16, depth=2, **o),
}


def asked(name, **options):
    """(network with every weight awake, x, level, vectors) in float64."""
    generator = torch.Generator().manual_seed(0)
    network = MAKERS[name](vector=3, **options).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    x, level, vectors = (
        torch.randn(4, *of, generator=generator, dtype=torch.float64) for of in (network.config["shape"], (), (3,))
    )
    return network, x, level, vectors


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_is_answered_from_its_own_vector(name):
    network, x, level, vectors = asked(name)
    together = network(x, level, vectors)
    alone = torch.cat([network(x[[i]], level[[i]], vectors[[i]]) for i in range(4)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)
    for i in range(3):
        other = vectors.clone()
        other[0, i] += 0.5
        changed = (network(x, level, other) - together).abs().flatten(1).amax(1)
        assert changed[0] > 1e-3
        assert changed[1:].max() == 0


@pytest.mark.parametrize("name", MAKERS)
def test_a_row_of_nan_is_a_row_without_a_vector(name):
    network, x, level, vectors = asked(name)
    some = vectors.clone()
    some[1:3] = torch.nan
    mixed = network(x, level, some)
    torch.testing.assert_close(mixed[1:3], network(x, level)[1:3], rtol=0, atol=1e-10)
    torch.testing.assert_close(mixed[[0, 3]], network(x, level, vectors)[[0, 3]], rtol=0, atol=1e-10)
    # and it is not the vector 0
    assert (network(x, level) - network(x, level, torch.zeros_like(vectors))).abs().flatten(1).amax(1).min() > 1e-3


@pytest.mark.parametrize("name", MAKERS)
def test_nan_reaches_no_gradient_and_every_weight_learns_from_its_own_rows(name):
    network, x, level, vectors = asked(name)

    def gradients(labels, rows):
        network.zero_grad()
        (network(x, level, labels).square().flatten(1).sum(1) * rows).sum().backward()
        return {k: p.grad.clone() for k, p in network.named_parameters()}

    some = vectors.clone()
    some[1:3] = torch.nan
    with_vectors, without = torch.tensor([1.0, 0, 0, 1]), torch.tensor([0, 1.0, 1, 0])
    both = gradients(some, torch.ones(4))
    told, untold = gradients(vectors, with_vectors), gradients(None, without)
    for name, gradient in both.items():
        assert gradient.isfinite().all()
        assert gradient.abs().sum() > 0, name
        torch.testing.assert_close(gradient, told[name] + untold[name], rtol=1e-9, atol=1e-9)
    assert told["condition.nothing"].abs().max() == 0
    assert untold["condition.vector.weight"].abs().max() == 0


@pytest.mark.parametrize("name", MAKERS)
def test_its_config_says_so_only_where_there_are_vectors(name):
    assert "vector" not in MAKERS[name]().config
    network, x, level, vectors = asked(name)
    assert (network.vector, network.classes) == (3, None)
    twin = network_from(name, network.config).double()
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network(x, level, vectors), twin(x, level, vectors))


@pytest.mark.parametrize("name", MAKERS)
def test_what_cannot_be_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} takes classes or a vector as its condition, not both"):
        MAKERS[name](classes=3, vector=2)
    for length in (0, 2.5, True, "3"):
        with pytest.raises(ValueError, match=f"{name}'s vector must be whole numbers from 1 to"):
            MAKERS[name](vector=length)


def test_the_network_for_data_with_vectors():
    from difflab.data import FiniteSet

    data = FiniteSet([[0.0, 1.0], [1.0, 0.0]], vectors=[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert network_for(data, conditional=True).vector == 3
    assert network_for(data).vector is None
