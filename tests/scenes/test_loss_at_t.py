"""The excess over the floor, of networks whose excess is known, and beside loss minus floor."""

import pytest
import torch
from torch import nn

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import floor_profile, loss_profile
from difflab.predictions import from_x0
from difflab.scenes.loss_at_t import TIMES, excess_at_t, times
from difflab.schedules import VPCosine

SCHEDULE = VPCosine()
OFF = 0.25


class OffByALittle(nn.Module):
    """Answers what the oracle would in the words of `prediction`, and OFF more. x is x_t itself: VPCosine, sigma_data = 1."""

    def __init__(self, oracle, prediction, classes=None):
        super().__init__()
        self.oracle, self.prediction, self.classes = oracle, prediction, classes

    def forward(self, x, level, labels=None):
        x, log_snr = x.double(), 4 * level.double()
        alpha, sigma = ((s * log_snr).sigmoid().sqrt().reshape(-1, *[1] * (x.ndim - 1)) for s in (1, -1))
        mean = self.oracle(x, SCHEDULE.t_of_log_snr(log_snr), labels).mean
        return (from_x0(self.prediction, mean, x, alpha, sigma) + OFF).float()


@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
@pytest.mark.parametrize("data", [GaussianMixture.ring(), digits()], ids=["ring", "digits"])
def test_a_network_that_is_off_by_a_constant_loses_its_square_at_every_t(data, prediction):
    """OFF^2, but for float32: x_t and the level are rounded to 2^-24, which moves the oracle's answer by up to 1e-3 of itself
    where it is steep (a digit's neighbours change places), 2 OFF times that in the square."""
    oracle = ExactDenoiser(data, SCHEDULE)
    classes = data.classes if data.is_image else None
    denoiser = NetworkDenoiser(OffByALittle(oracle, prediction, classes), SCHEDULE, prediction)
    found = excess_at_t(denoiser, oracle, seed=0)
    assert len(found) == TIMES
    assert found == pytest.approx([OFF**2] * TIMES, abs=1e-3)


def test_it_is_the_loss_less_the_floor():
    """Of a network drawn at random: the mean of 12 seeds within five of its standard errors (a normal law errs as far in 6e-7
    of 41 times), and a hundredth for those of the 4,000 rows beside it."""
    ring = GaussianMixture.ring()
    oracle, denoiser = ExactDenoiser(ring, SCHEDULE), NetworkDenoiser.for_data(ring, SCHEDULE, "eps", width=16)
    torch.nn.init.normal_(denoiser.network.last.weight, std=0.5, generator=torch.Generator().manual_seed(0))
    found = torch.tensor([excess_at_t(denoiser, oracle, seed) for seed in range(12)])
    first, second = (torch.Generator().manual_seed(99) for _ in range(2))
    loss = loss_profile(denoiser, ring, times(), n=4000, generator=first, oracle=oracle)
    floor = floor_profile(oracle, "eps", times(), n=4000, generator=second)
    expected = (loss.value - floor.value).float()
    assert expected.min() > 0.01
    off = (found.mean(0) - expected).abs()
    assert (off <= 5 * found.std(0) / 12**0.5 + 0.01 * expected).all()
