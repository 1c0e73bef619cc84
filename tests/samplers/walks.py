"""Walks on a mixture on the line, whose noised density, its cdf and exact samples are known: what Metropolis is held to."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import NoisePool, Sampler, State
from difflab.schedules import VPCosine

T = 0.3
DATA = GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [0.05, 0.3])
ORACLE = ExactDenoiser(DATA, VPCosine())
_ALPHA, _SIGMA = (float(a) for a in VPCosine().alpha_sigma(T))
NOISED = GaussianMixture(DATA.weights, _ALPHA * DATA.means, _ALPHA**2 * DATA.covariances + _SIGMA**2)
N = 20_000


def exact(n: int = N, seed: int = 0) -> Tensor:
    """Samples of p_t, float64."""
    return NOISED.sample(n, torch.Generator().manual_seed(seed)).double()


def walk(sampler: Sampler, x: Tensor, steps: int, seed: int = 1, denoiser=ORACLE) -> list[State]:
    """The states of a walk from x at T, its start among them, without the loop's checks."""
    states = [State(x, T, (T,) * (steps + 1), NoisePool(seed))]
    for _ in range(steps):
        states.append(sampler.step(denoiser, states[-1], T))
    return states


def ks(x: Tensor) -> float:
    """Kolmogorov's distance to p_t times sqrt(n). For exact samples it is above 1.95 once in a thousand times."""
    x = x[:, 0].sort().values
    var = torch.from_numpy(NOISED.covariances[:, 0, 0])
    z = (x[:, None] - torch.from_numpy(NOISED.means[:, 0])) / var.sqrt()
    cdf = (torch.special.ndtr(z) * torch.from_numpy(NOISED.weights)).sum(1)
    rank = torch.arange(len(x) + 1, dtype=torch.float64) / len(x)
    return float(torch.maximum((cdf - rank[:-1]).max(), (rank[1:] - cdf).max())) * math.sqrt(len(x))


def imbalance(before: Tensor, after: Tensor) -> float:
    """By how many standard errors f(x_0) g(x_1) differs from g(x_0) f(x_1) in the mean: of a reversible chain at its
    stationary law it is a standard normal number. The largest of three pairs (f, g): above 4 once in 5,000 times."""
    a, b = before[:, 0], after[:, 0]
    found = []
    for f, g in ((torch.sin, torch.cos), (torch.tanh, torch.square), (torch.sign, torch.abs)):
        d = f(a) * g(b) - g(a) * f(b)
        found.append(float(d.mean().abs() / (d.std() / math.sqrt(len(d)))))
    return max(found)
