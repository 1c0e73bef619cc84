"""Guidance in a limited interval of noise levels (Kynkäänniemi et al. 2024): at high noise it costs variety, at low noise it
changes nothing, so it is left out there. Samples are better, and each call outside asks one network instead of two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...checks import brief, is_number
from ..base import Denoiser, Posterior, beside, check_same_frame, check_times
from .base import Guidance, answer_of


class Interval(Guidance):
    """`guided` where the noise level lies in the interval, both ends included; elsewhere what it is without guidance.

    Args:
        guided: a guidance, or any denoiser if `plain` is given.
        plain: what is asked outside; by default `guided.unguided`: the conditional model of classifier-free guidance, the
            denoiser of a classifier's, the good model of autoguidance.
        t, log_snr, sigma: (lowest, highest), one of the three: times in [0, 1], log-SNR in nats, or sigma / alpha, the
            paper's noise level.

    Two calls of networks inside, one outside.

    Raises TypeError for what is no denoiser, or no guidance and no `plain`; ValueError unless one interval of two numbers,
    the lower one first, is given.
    """

    def __init__(
        self,
        guided: Denoiser,
        *,
        plain: Denoiser | None = None,
        t: tuple[float, float] | None = None,
        log_snr: tuple[float, float] | None = None,
        sigma: tuple[float, float] | None = None,
    ) -> None:
        super().__init__(guided)
        if plain is None and not isinstance(guided, Guidance):
            raise TypeError(
                f"A {type(guided).__name__} does not say what it is without guidance: put the interval around the guidance"
                " itself, or give the denoiser outside as plain."
            )
        if plain is not None:
            check_same_frame(guided, plain, "The plain denoiser")
        given = {k: v for k, v in {"t": t, "log_snr": log_snr, "sigma": sigma}.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "An interval is given by one of t, log_snr and sigma, as (lowest, highest), but got"
                f" {', '.join(given) or 'none of them'}."
            )
        ((self.of, ends),) = given.items()
        pair = isinstance(ends, tuple | list) and len(ends) == 2 and all(map(is_number, ends))
        if not (pair and ends[0] <= ends[1]):
            raise ValueError(
                f"The interval of {self.of} must be two numbers, the lower one first, but got {brief(ends)}."
            )
        self.guided, self.plain = guided, plain
        self.low, self.high = float(ends[0]), float(ends[1])

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        if not isinstance(t, Tensor):
            inside = self.low <= self._level(t) <= self.high
            return answer_of(self.guided, x_t, t, labels) if inside else self.unguided(x_t, t, labels)
        check_times(t, x_t)
        # a look at where rows stand would stop an accelerator: both are asked, and each row keeps its own
        log_snr = self.schedule.log_snr(t)
        value = {"t": t, "log_snr": log_snr, "sigma": (-log_snr / 2).exp()}[self.of]
        within = beside(((value >= self.low) & (value <= self.high)).to(x_t.dtype), x_t).bool()
        guided, plain = answer_of(self.guided, x_t, t, labels), self.unguided(x_t, t, labels)
        return Posterior(torch.where(within, guided.mean, plain.mean))

    def unguided(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        if self.plain is not None:
            return answer_of(self.plain, x_t, t, labels)
        assert isinstance(self.guided, Guidance)
        return self.guided.unguided(x_t, t, labels)

    def _level(self, t: float) -> float:
        level = self.schedule.level(t)
        return {"t": level.t, "log_snr": level.log_snr, "sigma": level.ratio}[self.of]
