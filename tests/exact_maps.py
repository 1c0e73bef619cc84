"""The probability flow of Gaussian data as networks: few-step models whose weights need no training.

For N(m, c) the flow is x_s = alpha_s m + k (x_t - alpha_t m) with k = sqrt(V_s / V_t), V = alpha^2 c + sigma^2. `off` moves what
the network says away from it along its input, so that its gradient at 0 is that of a training at the exact function.
"""

import math

import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ConsistencyDenoiser, ExactDenoiser, MeanFlowDenoiser, NetworkDenoiser
from difflab.schedules import EDM, Flow

MEAN, VAR, SIGMA_DATA = 0.4, 0.3, 0.8
DATA = GaussianMixture([1.0], [[MEAN]], VAR)


class ExactF(torch.nn.Module):
    """Karras' F of the exact consistency function under EDM: alpha = 1, and the level that a network is told says sigma."""

    def __init__(self):
        super().__init__()
        self.off = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x, level, labels=None):
        sigma = (-2 * level)[:, None].exp()
        variance = SIGMA_DATA**2 + sigma**2
        x_t = x * variance.sqrt()
        end = MEAN + (VAR / (VAR + sigma**2)).sqrt() * (x_t - MEAN)
        c_skip, c_out = SIGMA_DATA**2 / variance, sigma * SIGMA_DATA / variance.sqrt()
        return (end - c_skip * x_t) / c_out + self.off * x


class ExactU(torch.nn.Module):
    """The exact average velocity under Flow; its closed form has no 0 / 0 at s = t.

    1 - k = (V_t - V_s) / (V_t (1 + k)) and V = c - 2 c t + (c + 1) t^2, so that (1 - k) / (t - s) is written without t - s.
    """

    def __init__(self):
        super().__init__()
        self.off = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x, told, labels=None):
        late, share = (told / 5 + 0.5).unbind(1)  # 1 + log(t) / 5 and (t - s) / t
        t = (5 * (late - 1)).exp()[:, None]
        s = t * (1 - share[:, None])
        x_t = x * ((1 - t) ** 2 * SIGMA_DATA**2 + t**2).sqrt()
        v_t, v_s = ((1 - time) ** 2 * VAR + time**2 for time in (t, s))
        k = (v_s / v_t).sqrt()
        slope = ((VAR + 1) * (s + t) - 2 * VAR) / (v_t * (1 + k))
        return slope * (x_t - (1 - t) * MEAN) - MEAN + self.off * x


def exact_consistency():
    """The model, and the oracle of its data."""
    model = ConsistencyDenoiser(NetworkDenoiser(ExactF(), EDM(), "edm", sigma_data=SIGMA_DATA))
    return model, ExactDenoiser(DATA, EDM())


def exact_mean_flow():
    """The model, and the oracle of its data."""
    return MeanFlowDenoiser(ExactU(), Flow(), sigma_data=SIGMA_DATA), ExactDenoiser(DATA, Flow())


def flow(schedule, x, t, s):
    """The closed form, for numbers t and s."""
    (_, alpha_t, sigma_t, _), (_, alpha_s, sigma_s, _) = schedule.level(t), schedule.level(s)
    k = math.sqrt((alpha_s**2 * VAR + sigma_s**2) / (alpha_t**2 * VAR + sigma_t**2))
    return alpha_s * MEAN + k * (x - alpha_t * MEAN)
