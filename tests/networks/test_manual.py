"""The MLP's passes by hand, against autograd through the same network in float64 and in float32."""

import copy

import pytest
import torch
from torch.nn import functional as F

from difflab.networks import MLP, UNet
from difflab.networks.manual import ManualMLP
from difflab.objectives.noised import Noised

N = 96


def network(seed=0, **options):
    torch.manual_seed(seed)
    made = MLP(**{"shape": (2,), "width": 24, **options})
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(std=0.4)  # the last layer begins at 0, which would hide all others
    return made


def asked(shape, classes, seed=1):
    g = torch.Generator().manual_seed(seed)
    x, level = torch.randn(N, *shape, generator=g), 5 * torch.randn(N, generator=g)
    return x, level, None if classes is None else torch.randint(classes + 1, (N,), generator=g)


def by_autograd(mlp, x, level, labels, slope):
    answer, weights = mlp(x, level, labels), dict(mlp.named_parameters())
    gradients = torch.autograd.grad(answer, list(weights.values()), slope)
    return answer.detach(), dict(zip(weights, gradients, strict=True))


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("options", [{"depth": 1}, {}, {"depth": 5, "shape": (1, 3, 3)}, {"classes": 4}])
def test_answer_and_gradients_are_those_of_autograd(options, labelled):
    """Both are wrong by rounding, and by as much: a gradient sums 96 float32 products along at most six layers, each to
    2^-24, some 1e-6 of its largest entry. Twice autograd's own error and 1e-6 covers kernels that add up in another order.
    """
    mlp = network(**options)
    x, level, labels = asked(tuple(mlp.config["shape"]), mlp.classes if labelled else None)
    slope = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    manual = ManualMLP(mlp)
    answer = manual(x, level, labels)
    assert not answer.requires_grad
    manual.backward(slope)
    own, plain = by_autograd(mlp, x, level, labels, slope)
    exact_answer, exact = by_autograd(copy.deepcopy(mlp).double(), x.double(), level.double(), labels, slope.double())
    assert (answer - exact_answer).abs().max() <= 2 * (own - exact_answer).abs().max() + 1e-6 * exact_answer.abs().max()
    for name, p in mlp.named_parameters():
        size = exact[name].abs().max()
        assert size > 0.01  # there is something to be wrong about
        assert (p.grad - exact[name]).abs().max() <= 2 * (plain[name] - exact[name]).abs().max() + 1e-6 * size, name


def test_it_follows_the_weights_and_the_number_of_rows():
    mlp, other = network(0), network(7)
    manual = ManualMLP(mlp)
    x, level, _ = asked((2,), None)
    manual(x, level)
    mlp.load_state_dict(other.state_dict())
    for rows in (slice(None), slice(5), slice(None)):
        assert torch.allclose(manual(x[rows], level[rows]), other(x[rows], level[rows]), atol=1e-5)
        manual.backward(torch.ones_like(x[rows]))
        own, mlp.last.bias.grad = mlp.last.bias.grad, None
        assert torch.equal(own, torch.full((2,), float(len(x[rows]))))


def test_each_answer_has_one_backward_pass():
    manual = ManualMLP(network())
    x, level, _ = asked((2,), None)
    with pytest.raises(RuntimeError, match="one backward pass"):
        manual.backward(x)
    manual(x, level)
    manual.backward(x)
    with pytest.raises(RuntimeError, match="one backward pass"):
        manual.backward(x)


class Own(MLP):
    """Somebody's own, whose forward may be another one."""


def _frozen():
    made = network()
    made.first.weight.requires_grad_(False)
    return made


def _hooked():
    made = network()
    made.hidden[0].register_forward_hook(lambda *_: None)
    return made


@pytest.mark.parametrize(
    "other",
    [
        lambda: UNet((1, 8, 8), width=8),
        lambda: Own((2,)),
        lambda: network(levels=2),
        lambda: network(outputs=2),
        lambda: network(vector=3),
        lambda: network().double(),
        lambda: network().to("meta"),
        _frozen,
        _hooked,
    ],
)
def test_it_fits_nothing_else(other):
    assert ManualMLP.fits(network())
    assert not ManualMLP.fits(other())
    with pytest.raises(ValueError, match="by hand"):
        ManualMLP(other())


@pytest.mark.parametrize("shape", [(2,), (1, 3, 3)])
@pytest.mark.parametrize("columns", [(), ("factor",), ("weight",), ("factor", "weight")])
def test_loss_and_slope_are_those_of_autograd(shape, columns):
    """In float64, where both agree to rounding, 1e-12; once against the formula written out."""
    g = torch.Generator().manual_seed(0)
    due, answer = (torch.randn(N, *shape, generator=g, dtype=torch.float64) for _ in range(2))
    rows = {name: torch.rand(N, generator=g, dtype=torch.float64) for name in columns}
    batch = Noised(torch.rand(N), due, torch.zeros(N), due, **rows)
    loss, slope = batch.loss_and_slope(answer)
    answer.requires_grad_()
    plain = batch.mean_loss(answer)
    (expected,) = torch.autograd.grad(plain, answer)
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    assert torch.allclose(slope, expected, rtol=1e-12, atol=0)
    weights = torch.stack([*rows.values(), torch.ones(N, dtype=torch.float64)]).prod(0)
    squared = torch.stack([F.mse_loss(a, b) for a, b in zip(answer, due, strict=True)])
    assert loss.item() == pytest.approx((weights * squared).mean().item(), rel=1e-12)
