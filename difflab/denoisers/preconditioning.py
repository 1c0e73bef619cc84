"""What stands around a network: what it is shown of x_t, how it is told the noise level, and how x_0 is read from its answer.

    x_0 = c_out network(c_in x_t, level) + c_skip x_t

c_in = 1 / sqrt(alpha^2 sigma_data^2 + sigma^2) gives what is shown variance 1 at every noise level (Karras et al. 2022, section
5), and level = log-SNR / 4 is clamped to where float32 still tells levels apart. c_out and c_skip are the two coefficients of
`predictions.convert` to x_0. At one time all of them are plain numbers, computed once: a sampler asks for the same times
again and again, and waits for them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..schedules import Learned, Schedule

_FLATTEST = 20.0  # log-SNR beyond which levels look alike
_REMEMBERED = 2**14  # times of one denoiser
_ONE = 1e-14  # what rounding makes of alpha^2 + sigma^2 = 1


class AtTime(NamedTuple):
    """The numbers above at one time."""

    c_in: float
    level: float
    c_out: float
    c_skip: float
    is_data: bool  # nothing has to be read: x_t is x_0


def input_scale(alpha: Tensor, sigma: Tensor, sigma_data: float) -> Tensor:
    """c_in, shaped as alpha."""
    return torch.rsqrt(alpha.square() * sigma_data**2 + sigma.square())


def network_level(alpha: Tensor, sigma: Tensor) -> Tensor:
    """What a network is told, log-SNR / 4, shaped as alpha."""
    return (alpha.log() - sigma.log()).clamp(-_FLATTEST / 2, _FLATTEST / 2) / 2


class Preconditioning:
    """The numbers around a network's `prediction` at any time of `schedule`, remembered.

    A schedule that moves (`Learned`) has none: nothing of it may be remembered, and gradients go through it.
    """

    def __init__(self, schedule: Schedule, prediction: str, sigma_data: float) -> None:
        self.schedule, self.prediction, self.sigma_data = schedule, prediction, sigma_data
        self.moves = isinstance(schedule, Learned)
        self.known: dict[float, AtTime] = {}
        self.tensors: dict[float, Tensor] = {}

    def is_of(self, schedule: Schedule, prediction: str, sigma_data: float) -> bool:
        """Whether the denoiser is still what the numbers were computed for: a schedule may be put in another's place."""
        return self.schedule is schedule and self.prediction == prediction and self.sigma_data == sigma_data

    def at(self, t: float) -> AtTime:
        """The numbers at `t`. Raises as `Schedule.level`."""
        found = self.known.get(t)
        if found is None:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
                self.tensors.clear()
            self.known[t] = found = self._computed(t)
        return found

    def told(self, t: float, level: float, x_t: Tensor) -> Tensor:
        """`level`, that at `t`, as a network takes it: (1,), where x_t is and in its dtype."""
        usual = x_t.is_cpu and x_t.dtype is torch.float32 and type(x_t) is Tensor
        found = self.tensors.get(t) if usual else None
        if found is None or found._version:  # a network may have written into it
            found = torch.full((1,), level, dtype=x_t.dtype, device=x_t.device)
            if usual and _is_plain(found):
                self.tensors[t] = found
        return found

    def _computed(self, t: float) -> AtTime:
        sigma_data = self.sigma_data
        _, alpha, sigma, log_snr = self.schedule.level(t)
        var = (alpha * sigma_data) ** 2 + sigma**2
        c_in = 1 / math.sqrt(var) if var else math.inf
        if abs(c_in - 1) < _ONE:
            c_in = 1.0
        level = min(max(log_snr, -_FLATTEST), _FLATTEST) / 4
        if sigma == 0:
            return AtTime(c_in, level, 0.0, 1.0, is_data=True)
        # the prediction as the row (a x_0 + b eps) / scale, beside x_t = alpha x_0 + sigma eps: see `predictions`
        match self.prediction:
            case "x0":
                a, b, scale = 1.0, 0.0, 1.0
            case "eps":
                a, b, scale = 0.0, 1.0, 1.0
            case "v":
                a, b, scale = -sigma, alpha, 1.0
            case "velocity":
                (a, b), scale = (float(rate) for rate in self.schedule.rates(t)), 1.0
            case _:  # edm
                a, b, scale = sigma, -alpha * sigma_data**2, sigma_data * math.sqrt(var)
        divisor = a * sigma - b * alpha or math.nan  # the prediction says no more than x_t does
        return AtTime(c_in, level, sigma * scale / divisor, -b / divisor, is_data=False)


def _is_plain(x: Tensor) -> bool:
    """Whether `x` is a tensor that may be kept: none of a dry run, of inference mode or of a transform, which ends with it."""
    if type(x) is not Tensor or x.is_inference():
        return False
    try:
        x.data_ptr()
    except RuntimeError:
        return False
    return True
