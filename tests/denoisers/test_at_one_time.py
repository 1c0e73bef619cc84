"""A denoiser asked at one time takes a shorter way: it must say what it says of a tensor of equal times."""

import contextlib
import copy
import pickle

import pytest
import torch
from dry_run import dry_run
from torch import nn

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.networks import MLP
from difflab.schedules import EDM, Flow, Learned, SubVP, VPCosine, VPLinear, ZeroTerminalSNR

RING = GaussianMixture.ring()
PREDICTIONS = ["eps", "x0", "v", "velocity", "edm"]


class Mixing(nn.Module):
    """An answer that depends on all it is shown, in every dtype."""

    def __init__(self, channels=1):
        super().__init__()
        self.channels = channels

    def forward(self, x, level, labels):
        told = level.reshape(-1, *[1] * (x.ndim - 1))
        said = (x + 0.3 * told).sin() + (0 if labels is None else labels[:, None])
        return torch.cat([said, 0.5 * said], dim=1) if self.channels == 2 else said


def at_equal_times(denoiser, x, t, labels=None):
    return denoiser(x, torch.full((len(x),), t, dtype=torch.float64), labels)


def pairs():
    """Every schedule with every prediction that says something of x_0 at t = 1."""
    for schedule in (VPCosine(), VPLinear(), Flow(), EDM(), SubVP(), ZeroTerminalSNR()):
        for prediction in PREDICTIONS:
            with contextlib.suppress(ValueError):
                yield NetworkDenoiser(Mixing(), schedule, prediction, sigma_data=0.7)


@pytest.mark.parametrize("denoiser", list(pairs()), ids=lambda d: f"{d.schedule.name}-{d.prediction}")
@pytest.mark.parametrize("t", [0.0, 1e-6, 0.3, 0.9, 1.0])
def test_the_same_as_at_equal_times(denoiser, t):
    x = 3 * torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, theirs = denoiser(x, t).mean, at_equal_times(denoiser, x, t).mean
    # float64 both: eps near t = 1 is divided by alpha, which takes as many digits from either
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11 * float(theirs.abs().max()))
    # and float32 to its own precision: a few roundings, of numbers that may be as large as x and c_out value
    short = denoiser(x.float(), t).mean
    size = float((ours - x).abs().max() + x.abs().max())
    assert short.dtype == torch.float32
    torch.testing.assert_close(short.double(), ours, rtol=0, atol=8 * 6e-8 * max(size, spread(denoiser, t)))


def spread(denoiser, t):
    """How large the numbers are that are added to x_0."""
    numbers = denoiser._preconditioning.at(t)
    return 3 * (abs(numbers.c_out) + 9 * abs(numbers.c_skip))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    told = []

    class Spy(Mixing):
        def forward(self, x, level, labels):
            told.append((x.dtype, level.dtype, level.shape))
            return super().forward(x, level, labels)

    denoiser = NetworkDenoiser(Spy(), VPCosine(), "v")
    assert denoiser(torch.ones(3, 2, dtype=dtype), 0.4).mean.dtype == dtype
    assert told == [(dtype, dtype, (1,))]


@pytest.mark.parametrize("t", [0.0, 0.6])
def test_clip_fraction_and_labels(t):
    x, labels = 2 * torch.ones(3, 2), torch.tensor([0, 1, 2])
    network = Mixing(2)
    network.classes = 3
    denoiser = NetworkDenoiser(network, VPCosine(), "x0", clip=(-0.2, 0.4), learned_range=True)
    ours, theirs = denoiser(x, t, labels), at_equal_times(denoiser, x, t, labels)
    torch.testing.assert_close(ours.mean, theirs.mean)
    torch.testing.assert_close(ours.fraction, theirs.fraction)
    assert ours.mean.max() == (2.0 if t == 0 else 0.4)  # data are not clipped
    with pytest.raises(ValueError, match="labels must lie between 0 and 2"):
        denoiser(x, t, labels + 1)


def test_numbers_are_those_of_the_schedule_it_has():
    """A trainer puts another schedule in its place; and a learned one moves."""
    x = torch.ones(2, 2)
    denoiser = NetworkDenoiser(Mixing(), VPCosine(), "eps")
    before = denoiser(x, 0.5).mean
    denoiser.schedule = VPLinear()
    torch.testing.assert_close(denoiser(x, 0.5).mean, at_equal_times(denoiser, x, 0.5).mean)
    assert not torch.equal(denoiser(x, 0.5).mean, before)
    denoiser.prediction = "v"
    torch.testing.assert_close(denoiser(x, 0.5).mean, at_equal_times(denoiser, x, 0.5).mean)
    denoiser.schedule = learned = Learned()
    still = denoiser(x, 0.5).mean
    still.sum().backward()
    assert all(p.grad is not None for p in learned.end_parameters())
    with torch.no_grad():
        learned.log_span.add_(0.5)
    assert not torch.equal(denoiser(x, 0.5).mean, still)


def test_gradients_pass():
    """Guidance and likelihoods ask at one time too, and need d x_0 / d x."""
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), "v", seed=1)
    nn.init.normal_(denoiser.network.last.weight)
    with torch.inference_mode():
        denoiser(torch.ones(1, 2), 0.5)  # what is remembered must be of no mode
    x = torch.randn(3, 2, requires_grad=True)
    (by_number,) = torch.autograd.grad(denoiser(x, 0.5).mean.sum(), x)
    (by_tensor,) = torch.autograd.grad(at_equal_times(denoiser, x, 0.5).mean.sum(), x)
    torch.testing.assert_close(by_number, by_tensor)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: denoiser(row[None], 0.5).mean[0]))(x.detach())
    torch.testing.assert_close(jacobian.sum(1), by_number)


def test_survives_copies():
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), "v")
    x = torch.randn(3, 2)
    before = denoiser(x, 0.5).mean
    for other in (copy.deepcopy(denoiser), pickle.loads(pickle.dumps(denoiser))):
        assert torch.equal(other(x, 0.5).mean, before)
    assert not [key for key in denoiser.state_dict() if "preconditioning" in key]


@pytest.mark.parametrize(
    ("x", "t", "error", "words"),
    [
        (torch.ones(2, 3), 0.5, ValueError, r"shape \(n, 2\), but got \(2, 3\)"),
        (torch.ones(2), 0.5, ValueError, r"shape \(n, 2\), but got \(2,\)"),
        (torch.tensor(1.0), 0.5, ValueError, r"shape \(n, 2\), but got \(\)"),
        (torch.ones(2, 2, dtype=torch.int64), 0.5, TypeError, "floating-point numbers, but got torch.int64"),
        ([[1.0, 2.0]], 0.5, TypeError, "floating-point numbers, but got list"),
        (torch.ones(2, 2, dtype=torch.float64), 0.5, TypeError, "computes in torch.float32, but x_t is torch.float64"),
        (torch.ones(2, 2), 1.5, ValueError, "t is 1.5, but time runs from 0"),
        (torch.ones(2, 2), float("nan"), ValueError, "t is nan, but time runs from 0"),
        (torch.ones(2, 2), "half", TypeError, "t must be a number or a tensor, but got a str"),
    ],
)
def test_refused_in_one_sentence(x, t, error, words):
    denoiser = NetworkDenoiser(MLP((2,)), VPCosine(), "v")
    for _ in range(2):  # what was asked before changes nothing
        with pytest.raises(error, match=words):
            denoiser(x, t)


def test_images_too():
    data = digits()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), "edm", width=8, blocks=1)
    nn.init.normal_(denoiser.network.last.weight)
    x = torch.randn(2, *data.shape)
    torch.testing.assert_close(denoiser(x, 0.4).mean, at_equal_times(denoiser, x, 0.4).mean, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="Samples must have the shape"):
        denoiser(x[:, :, :4], 0.4)


def test_a_network_may_write_into_its_level():
    """What is remembered is told anew."""

    class Careless(Mixing):
        def forward(self, x, level, labels):
            said = super().forward(x, level, labels)
            level.mul_(2)
            return said

    denoiser, x = NetworkDenoiser(Careless(), VPCosine(), "v"), torch.ones(3, 2)
    first = denoiser(x, 0.5).mean
    assert all(torch.equal(denoiser(x, 0.5).mean, first) for _ in range(3))


def test_nothing_of_a_mode_or_a_transform_is_remembered():
    """Asked for the first time within each of them, and again outside, with gradients."""
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), "v", seed=1)
    nn.init.normal_(denoiser.network.last.weight)
    rows = torch.randn(4, 2)

    def value(row, t):
        return denoiser(row[None], t).mean.sum()

    within = [
        lambda t: torch.func.grad(value)(rows[0], t),
        lambda t: torch.func.vmap(lambda row: value(row, t))(rows),
        lambda t: torch.func.vmap(torch.func.jacrev(value), in_dims=(0, None))(rows, t),
        lambda t: torch.func.jvp(lambda row: value(row, t), (rows[0],), (rows[0],)),
        lambda t: torch.inference_mode()(denoiser)(rows, t),
        lambda t: _in_a_dry_run(denoiser, rows, t),
    ]
    for i, ask in enumerate(within):
        t = 0.1 + 0.1 * i
        ask(t)
        x = rows.clone().requires_grad_()
        theirs = at_equal_times(denoiser, x, t).mean
        torch.testing.assert_close(denoiser(x, t).mean, theirs)
        denoiser(x, t).mean.sum().backward()


def _in_a_dry_run(denoiser, x, t):
    with dry_run() as mode:
        denoiser(mode.from_tensor(x), t)
        denoiser(x, t)
