"""Distances against their closed forms, and standard errors against repetition."""

import math

import numpy as np
import pytest
import torch

from difflab import metrics
from difflab.data import FiniteSet, GaussianMixture
from difflab.metrics import energy_distance, mode_mass, noise_floor, sliced_wasserstein

RING = GaussianMixture.ring()


def normal(n, dim=1, seed=0):
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_sliced_wasserstein_of_a_shift():
    """Along direction u a shift d costs |u . d|; over random directions in D dimensions the mean square is |d|^2 / D."""
    x, d = normal(500, 3), torch.tensor([1.0, -2.0, 0.5]).double()
    directions = 4000
    found = sliced_wasserstein(x, x + d, projections=directions, generator=torch.Generator().manual_seed(1))
    assert found == pytest.approx(float(d.norm()) / 3**0.5, rel=4 / directions**0.5)
    assert sliced_wasserstein(normal(50), normal(50) + 0.7) == pytest.approx(0.7, rel=1e-9)  # one dimension: exact


def test_sliced_wasserstein_of_a_scale():
    """W_2 between N(0, 1) and N(0, s^2) is |s - 1|; between a sample and itself scaled, |s - 1| times its rms."""
    x = normal(1000)
    rms = float(x.square().mean().sqrt())
    assert sliced_wasserstein(x, 1.5 * x) == pytest.approx(0.5 * rms, rel=1e-9)


def test_sliced_wasserstein_knows_no_order_and_is_symmetric():
    x, y = normal(100, 2), normal(100, 2, seed=1) * 2

    def distance(a, b):
        return sliced_wasserstein(a, b, generator=torch.Generator().manual_seed(3))

    assert distance(x, x.flip(0)) == 0
    assert distance(x, y) == pytest.approx(distance(y, x), rel=1e-12)
    assert distance(x.reshape(100, 1, 2, 1), y.reshape(100, 1, 2, 1)) == distance(x, y)


def shifted_energy(mu):
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| for N(0, 1) and N(mu, 1): differences are normal of variance 2."""
    folded = 2 / math.sqrt(math.pi) * math.exp(-(mu**2) / 4) + mu * math.erf(mu / 2)
    return 2 * (folded - 2 / math.sqrt(math.pi))


@pytest.mark.parametrize("mu", [0.0, 0.3, 2.0])
def test_energy_distance_is_unbiased_with_an_honest_error(mu):
    runs = [energy_distance(normal(80, seed=i), normal(60, seed=1000 + i) + mu) for i in range(300)]
    values, errors = np.array(runs).T
    spread = values.std(ddof=1)
    assert values.mean() == pytest.approx(shifted_energy(mu), abs=4 * spread / 300**0.5)
    claimed = np.sqrt((errors**2).mean())
    if mu:
        assert claimed / spread == pytest.approx(1, abs=0.2)
    else:  # equal laws: the leading order vanishes, and what is left is too large, as the docstring says
        assert 1.1 < claimed / spread < 1.8


def test_energy_distance_in_blocks(monkeypatch):
    x, y = normal(30, 2), normal(20, 2, seed=1)
    whole = energy_distance(x, y)
    monkeypatch.setattr(metrics, "_CHUNK", 100)
    assert energy_distance(x, y) == pytest.approx(whole, rel=1e-12)
    by_hand = 2 * np.mean([[np.hypot(*(a - b)) for b in y.numpy()] for a in x.numpy()])
    for z in (x.numpy(), y.numpy()):
        by_hand -= np.sum([[np.hypot(*(a - b)) for b in z] for a in z]) / (len(z) * (len(z) - 1))
    assert whole[0] == pytest.approx(by_hand, rel=1e-9)


def test_noise_floor_falls_as_the_root_of_n():
    data = GaussianMixture([1.0], [[0.0, 0.0]], 1.0)
    g = torch.Generator().manual_seed(0)
    floors = [noise_floor(sliced_wasserstein, data, n, 30, g) for n in (200, 3200)]
    assert floors[0].mean / floors[1].mean == pytest.approx(4, rel=0.25)
    assert floors[0].values.shape == (30,)
    assert floors[0].std == pytest.approx(np.std(floors[0].values, ddof=1))
    # a set from elsewhere stands out
    assert sliced_wasserstein(data.sample(3200, g), data.sample(3200, g) + 0.5) > floors[1].mean + 8 * floors[1].std


def test_noise_floor_of_the_energy_distance_is_zero():
    floor = noise_floor(lambda x, y: energy_distance(x, y)[0], RING, 300, 40, torch.Generator().manual_seed(0))
    assert abs(floor.mean) < 4 * floor.std / 40**0.5


def test_mode_mass():
    std = RING.covariances[0, 0, 0] ** 0.5
    x = torch.from_numpy(RING.means[[0, 0, 3]] + np.array([[0, 0], [3.9 * std, 0], [0, 0]]))
    mass, stray = mode_mass(torch.cat([x, torch.zeros(1, 2)]), RING)
    assert mass.tolist() == [0.5, 0, 0, 0.25, 0, 0, 0, 0]
    assert stray == 0.25
    mass, stray = mode_mass(RING.sample(20_000, torch.Generator().manual_seed(0)), RING)
    assert np.abs(mass - 1 / 8).max() < 5 * (7 / 64 / 20_000) ** 0.5
    assert stray < math.exp(-8) + 5 * (math.exp(-8) / 20_000) ** 0.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sliced_wasserstein(normal(3), normal(4)), "same size, but got 3 and 4"),
        (lambda: sliced_wasserstein(normal(3), normal(3, 2)), "samples of one shape"),
        (lambda: sliced_wasserstein(normal(0), normal(0)), "samples of one shape"),
        (lambda: energy_distance(normal(1), normal(5)), "two samples or more"),
        (lambda: noise_floor(sliced_wasserstein, FiniteSet([[0.0]]), 5, 1), "two repeats or more"),
        (lambda: mode_mass(normal(3, 3), RING), r"shape \(n, 2\)"),
        (lambda: mode_mass(normal(0, 2), RING), r"shape \(n, 2\)"),
    ],
)
def test_refuses(call, words):
    with pytest.raises(ValueError, match=words):
        call()
