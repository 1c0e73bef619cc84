"""Mean flows: a network that says the velocity averaged over any stretch of the way (Geng et al. 2025).

    u(x_t, t, s) = 1 / (t - s) int_s^t v(x_r, r) dr,   so that   x_s = x_t - (t - s) u(x_t, t, s)       (ibid., eqs. 3, 12)

along the probability flow dx/dt = v. With s = t it is the velocity itself, from which E[x_0 | x_t] is read: one network is
an honest denoiser, for any sampler, and leaps as far as one likes. Their paths are straight ones between data and noise,
the schedule `Flow`; any other with finite rates will do.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import brief, is_number, is_seen
from ..data import DataSet
from ..data.base import check_seed
from ..networks import network_for
from ..predictions import to_x0
from ..schedules import Flow, Learned, Schedule
from .around import AroundNetwork
from .base import Posterior, beside, check_samples, check_times, noise_level
from .given import check_answer, check_dtype, checked_clip
from .preconditioning import input_scale

_LEAST = math.exp(-5.0)  # times below it look alike
_PER_E_FOLD = -1 / math.log(_LEAST)
_SPAN = 5.0  # how far apart the smallest and the largest number lie that a network is told


class MeanFlowDenoiser(AroundNetwork):
    """A learned average velocity, and the denoiser in it.

    Args:
        network: called as network(x (n, *shape), told (n, 2) or (1, 2), labels (n,) or None) -> (n, *shape); ours are, with
            levels=2. It is told log t and (t - s) / t, the share of the way that is averaged over, each from -2.5
            to 2.5. Training multiplies derivatives in t by t - s, and those of both, (t - s) / t and s (t - s) / t^2, stay
            below 1 then: told t itself it could not tell small noise levels apart, told log-SNR its derivatives would have
            no end at t = 1.
        schedule: says what x_t is; velocities are per unit of its t. By default Flow().
        sigma_data: standard deviation of the data.
        clip: (lowest, highest) value of x_0, or None; of what is sampled, never of what is trained.

    Raises TypeError for what is no module or no schedule, ValueError for a schedule that moves or whose rates are not finite,
    and for another sigma_data or clip.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule | None = None,
        *,
        sigma_data: float = 1.0,
        clip: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        schedule = Flow() if schedule is None else schedule
        if not isinstance(network, nn.Module):
            raise TypeError(f"A mean flow needs an nn.Module such as MLP((2,), levels=2), but got {brief(network)}.")
        if not isinstance(schedule, Schedule):
            raise TypeError(f"A mean flow needs a Schedule such as Flow(), but got {brief(schedule)}.")
        if isinstance(schedule, Learned) or not all(bool(r.isfinite().all()) for r in schedule.rates(_ends())):
            raise ValueError(
                f"A mean flow needs velocities that are finite from t = 0 to 1, which {schedule.name} has not: take Flow()."
            )
        if not is_number(sigma_data) or sigma_data < 0:
            raise ValueError(f"sigma_data must be a number of 0 or more, but got {sigma_data!r}.")
        self.network, self.schedule, self.sigma_data = network, schedule, float(sigma_data)
        self.clip = checked_clip(clip)

    @classmethod
    def for_data(
        cls,
        data: DataSet,
        schedule: Schedule | None = None,
        *,
        conditional: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> MeanFlowDenoiser:
        """A fresh model that fits `data`: its network, sigma_data and range (as `clip`). `seed` fixes the first weights;
        `options` go to the network (`width`, ...)."""
        check_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = network_for(data, conditional=conditional, levels=2, **options)
        return cls(network, schedule, sigma_data=data.sigma_data, clip=data.range)

    def average_velocity(
        self, x_t: Tensor, t: float | Tensor, s: float | Tensor, labels: Tensor | None = None
    ) -> Tensor:
        """u(x_t, t, s), shaped as x_t (n, *shape), per unit of t; `t` and `s` <= t are one time each, or (n,) of them.

        TypeError or ValueError for samples, times or labels of another kind or shape.
        """
        check_samples(x_t, self.shape)
        check_dtype(self.network, x_t)
        if not isinstance(s, Tensor) and not is_number(s):
            raise TypeError(f"An average velocity is one down to a time s, but got {brief(s)}.")
        check_times(s, x_t)
        labels = self._checked(labels, len(x_t))
        alpha, sigma = noise_level(self.schedule, t, x_t)
        t, s = (torch.as_tensor(a, dtype=x_t.dtype, device=x_t.device) for a in (t, s))
        if is_seen(t - s, lambda ahead: ~(ahead >= 0)) or is_seen(s, lambda s: s < 0):
            raise ValueError(
                "An average velocity is one from t down to s, 0 or more, but here s lies above t or below 0."
            )
        late = t.clamp(min=_LEAST)
        pair = (1 + late.log() * _PER_E_FOLD, (t - s) / late)  # each from 0 to 1
        told = torch.stack(torch.broadcast_tensors(*(a.reshape(-1) for a in pair)), dim=1)
        shown = input_scale(alpha, sigma, self.sigma_data) * x_t
        velocity: Tensor = self.network(shown, _SPAN * (told - 0.5), labels)
        check_answer(velocity, x_t.shape)
        return velocity

    def forward(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """E[x_0 | x_t], read from the velocity u(x_t, t, t); x_t itself at t = 0. As `NetworkDenoiser`."""
        velocity = self.average_velocity(x_t, t, t, labels)
        alpha, sigma = noise_level(self.schedule, t, x_t)
        alpha_rate, sigma_rate = (beside(rate, x_t) for rate in self.schedule.rates(t))
        mean = to_x0("velocity", velocity, x_t, alpha, sigma, rates=(alpha_rate, sigma_rate), check=False)
        return Posterior(torch.where(sigma == 0, x_t, self._clipped(mean)))

    def flow_map(self, x_t: Tensor, t: float, s: float, labels: Tensor | None = None) -> Tensor:
        """x_s = x_t - (t - s) u(x_t, t, s), (n, *shape); within `clip` at s = 0."""
        if not is_number(t) or not is_number(s):
            raise TypeError(f"A flow map leads from one time to one time, but got t = {brief(t)} and s = {brief(s)}.")
        x_s = x_t - (t - s) * self.average_velocity(x_t, t, s, labels)
        return self._clipped(x_s) if s == 0 else x_s

    def _clipped(self, x0: Tensor) -> Tensor:
        return x0 if self.clip is None else x0.clamp(*self.clip)


def _ends() -> Tensor:
    return torch.tensor([0.0, 1.0], dtype=torch.float64, device="cpu")
