"""What a noise schedule is: how much of the data is left at time t.

A schedule is a pair of functions with x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, I), for t in [0, 1]; 0 is data and 1 is
noise. Everything else follows (Kingma et al. 2021, sections 2 and 3.2; Song et al. 2021, section 3):

    lambda(t) = log(alpha^2 / sigma^2), the log-SNR, which falls;
    dx = f x dt + g dW,   f = alpha' / alpha,   g^2 = d(sigma^2)/dt - 2 f sigma^2 = -sigma^2 lambda'.

Two schedules with the same log-SNR range describe the same family of problems. At t = 0 exactly every schedule says
alpha = 1, sigma = 0: that point is the data itself, whatever the level just above it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields
from functools import cached_property
from numbers import Real
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..checks import is_whole
from ..device import in_float64
from .level import Level as Level
from .terminal import kl_to_prior

FIRST_T = 1e-9  # the lowest noise level of a schedule; t = 0 itself is data
_HERE = torch.device("cpu")  # where numbers and tables are, whatever torch's default device may be at the moment
_REMEMBERED = 2**16  # noise levels of one schedule
_BISECTIONS = 64  # of log t, which spans 21: down to 1e-18, below what float64 tells apart


class Schedule(ABC):
    """Base of all schedules; subclasses are frozen dataclasses whose fields are their parameters.

    Times are numbers or tensors of any shape; answers are shaped as `t`: float64 on the CPU for a number, the dtype and
    device of `t` for a floating-point tensor, computed in float64 either way. Rates are those of the lowest level, FIRST_T,
    at t = 0 too; where a rate has a pole (alpha'/alpha at alpha = 0, say) it is infinite, never nan.

    Raises TypeError if a time is no real number, ValueError if it lies outside [0, 1] or is nan (looked at for numbers and
    for tensors on the CPU; a look at another device would wait for it).

    Attributes:
        variance_preserving: whether alpha^2 + sigma^2 = 1.
        reaches_data: whether sigma falls to 0 as t does; else the schedule has a lowest level above the data.
        reaches_zero_snr: whether alpha(1) is 0 exactly: x_1 is nothing but noise, and no x_0 can be read from eps.
    """

    variance_preserving: ClassVar[bool] = True
    reaches_data: bool = True
    reaches_zero_snr: bool = False

    def __post_init__(self) -> None:
        """Subclasses check their own bounds after this."""
        for key, value in self.params.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{self.name}'s parameter {key} must be a number, but got {value!r}.")

    # what a formula gives, for float64 t of any shape, FIRST_T <= t <= 1

    @abstractmethod
    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma, both to full relative precision."""

    @abstractmethod
    def _rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """d alpha / dt and d sigma / dt."""

    def _log_snr(self, t: Tensor) -> Tensor:
        alpha, sigma = self._alpha_sigma(t)
        return 2 * (alpha.log() - sigma.log())

    def _drift(self, t: Tensor) -> Tensor:
        return self._rates(t)[0] / self._alpha_sigma(t)[0]

    def _log_snr_rate(self, t: Tensor) -> Tensor:
        (alpha, sigma), (alpha_rate, sigma_rate) = self._alpha_sigma(t), self._rates(t)
        return 2 * (alpha_rate / alpha - sigma_rate / sigma)  # alpha falls and sigma rises: nothing cancels

    def _t_of_log_snr(self, log_snr: Tensor) -> Tensor:
        """By bisection of log t, so that small times are as precise as large ones; float64, finite or not."""
        low, high = torch.full_like(log_snr, math.log(FIRST_T)), torch.zeros_like(log_snr)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            noisier = self._log_snr(middle.exp()) < log_snr
            low, high = torch.where(noisier, low, middle), torch.where(noisier, middle, high)
        return low.exp()

    # what everybody asks

    def alpha_sigma(self, t: float | Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at `t`; (1, 0) at t = 0."""
        (alpha, sigma), like, data = self._at(self._alpha_sigma, t)
        return like(alpha.masked_fill(data, 1.0)), like(sigma.masked_fill(data, 0.0))

    def alpha(self, t: float | Tensor) -> Tensor:
        return self.alpha_sigma(t)[0]

    def sigma(self, t: float | Tensor) -> Tensor:
        return self.alpha_sigma(t)[1]

    def log_snr(self, t: float | Tensor) -> Tensor:
        """lambda = log(alpha^2 / sigma^2) in nats; +inf at t = 0, -inf where alpha = 0."""
        value, like, data = self._at(self._log_snr, t)
        return like(value.masked_fill(data, math.inf))

    def level(self, t: float) -> Level:
        """The noise level at `t`, remembered: a sampler asks for the same ones in every run. Raises as `alpha_sigma`."""
        known = self._levels
        try:
            return known[t]
        except (KeyError, TypeError):  # the latter for what cannot be looked up: a list, say
            if isinstance(t, Tensor) and t.ndim:
                raise TypeError(f"A noise level is that of one time, but got {t.numel()} of them.") from None
        with torch.no_grad():
            (alpha, sigma), log_snr = self.alpha_sigma(t), self.log_snr(t)
            found = Level(float(t), float(alpha), float(sigma), float(log_snr))
        if len(known) >= _REMEMBERED:
            known.clear()
        known[found.t] = found
        return found

    def level_of_log_snr(self, log_snr: float) -> Level:
        """The noise level with this log-SNR in nats, remembered too. Raises as `t_of_log_snr`, whose ends it has."""
        known = self._times
        t = known.get(log_snr)
        if t is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            t = known[float(log_snr)] = float(self.t_of_log_snr(log_snr))
        return self.level(t)

    @cached_property
    def _levels(self) -> dict[float, Level]:
        """By t."""
        return {}

    @cached_property
    def _times(self) -> dict[float, float]:
        """By log-SNR."""
        return {}

    def rates(self, t: float | Tensor) -> tuple[Tensor, Tensor]:
        """(d alpha / dt, d sigma / dt) at `t`, in closed form."""
        (alpha_rate, sigma_rate), like, _ = self._at(self._rates, t)
        return like(alpha_rate), like(sigma_rate)

    def log_snr_rate(self, t: float | Tensor) -> Tensor:
        """d lambda / dt at `t`, never above 0; -inf where alpha = 0."""
        value, like, _ = self._at(self._log_snr_rate, t)
        return like(value)

    def drift(self, t: float | Tensor) -> Tensor:
        """f = alpha' / alpha of dx = f x dt + g dW (Song et al. 2021, eq. 5), per unit of t; -inf where alpha = 0."""
        value, like, _ = self._at(self._drift, t)
        return like(value)

    def diffusion(self, t: float | Tensor) -> Tensor:
        """g of dx = f x dt + g dW, g^2 = -sigma^2 d lambda / dt; +inf where alpha = 0."""

        def g(t: Tensor) -> Tensor:
            return self._alpha_sigma(t)[1] * (-self._log_snr_rate(t)).sqrt()

        value, like, _ = self._at(g, t)
        return like(value)

    def t_of_log_snr(self, log_snr: float | Tensor) -> Tensor:
        """The inverse of `log_snr`; values beyond the schedule's ends give its ends (never t = 0). Refuses nan."""
        log_snr = _real("log_snr", log_snr, -math.inf, math.inf, "a log-SNR is a number, infinities included")
        work = in_float64(log_snr)
        first, last = (self._log_snr(torch.full_like(work, end)) for end in (FIRST_T, 1.0))
        inside = work.minimum(first).maximum(last)
        t = self._t_of_log_snr(inside).clamp(FIRST_T, 1.0)
        t = t.masked_fill(work <= last, 1.0).masked_fill(work >= first, FIRST_T)
        return t.masked_fill(work.isnan(), math.nan).to(log_snr.device, log_snr.dtype)

    @property
    def prior_std(self) -> float:
        """Standard deviation of the prior N(0, prior_std^2) at t = 1 that the reverse process starts from."""
        return 1.0

    def terminal_kl(self, second_moment: float = 1.0) -> float:
        """L_T = KL(q(x_1 | x_0) || prior) in nats per dimension, averaged over data of this E x_0^2."""
        alpha, sigma = (float(a.detach()) for a in self.alpha_sigma(1.0))
        return kl_to_prior(alpha, sigma, self.prior_std, second_moment)

    def table(self, steps: int) -> tuple[Tensor, Tensor]:
        """(alpha_k, sigma_k) of a chain of `steps` noise levels, float64, each (steps + 1,); index 0 is data.

        At t = k / steps; where the schedule has a lowest level above the data (`reaches_data` is False) that one is k = 1.
        """
        return self.alpha_sigma(level_times(self, steps))

    # as plain values

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as JSON values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """{"name", "params"}, JSON values: what `from_dict` reads."""
        return {"name": self.name, "params": self.params}

    @staticmethod
    def from_dict(spec: dict[str, Any]) -> Schedule:
        """The schedule that `to_dict` described. ValueError for an unknown name or parameter."""
        from .registry import schedule_from

        if not isinstance(spec, dict) or not {"name"} <= set(spec) <= {"name", "params"}:
            raise ValueError(f'A schedule is described by {{"name": ..., "params": {{...}}}}, but got {spec!r}.')
        return schedule_from(spec["name"], spec.get("params"))

    @classmethod
    def parameter_names(cls, required: bool = False) -> list[str]:
        """The keys of `params`; those without a default alone if `required`."""
        own = [f for f in fields(cls) if f.init]  # type: ignore[arg-type]
        return [f.name for f in own if not required or (f.default is MISSING and f.default_factory is MISSING)]

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        """The schedule with these `params`, as JSON says them."""
        return cls(**params)

    def _at(
        self, formula: Callable[[Tensor], Any], t: float | Tensor
    ) -> tuple[Any, Callable[[Tensor], Tensor], Tensor]:
        """`formula` in float64 at `t`; what casts its answers back to the kind of `t`; where t is 0."""
        t = _real("t", t, 0.0, 1.0, "time runs from 0 (data) to 1 (noise)")
        work = in_float64(t)
        return formula(work.clamp(min=FIRST_T)), lambda value: value.to(t.device, t.dtype), work == 0


def level_times(schedule: Schedule, steps: int) -> Tensor:
    """The times of `steps` noise levels and of the data before them: (steps + 1,) float64, rising from 0 to 1.

    ValueError if `steps` is not a whole number of at least 1.
    """
    if not is_whole(steps):
        raise ValueError(f"A table of noise levels needs a whole number of steps, 1 or more, but got {steps!r}.")
    if schedule.reaches_data:
        return torch.arange(steps + 1, dtype=torch.float64, device=_HERE) / steps
    levels = torch.linspace(1, 0, steps, dtype=torch.float64, device=_HERE).flip(0)  # a single level is t = 1
    return torch.cat([levels.new_zeros(1), levels.clamp(min=FIRST_T)])


def _real(name: str, value: float | Tensor, least: float, most: float, meaning: str) -> Tensor:
    """`value` as a floating-point tensor. TypeError unless it is real, ValueError unless within [least, most]."""
    if not isinstance(value, Tensor):
        if not isinstance(value, Real):
            raise TypeError(f"{name} must be a number or a tensor, but got a {type(value).__name__}.")
        if not least <= value <= most:
            raise ValueError(f"{name} is {value}, but {meaning}.")
        return torch.tensor(float(value), dtype=torch.float64, device=_HERE)
    if value.is_complex() or value.dtype == torch.bool:
        raise TypeError(f"{name} must be real numbers, but got a tensor of {value.dtype}.")
    if value.device.type == "cpu" and value.numel():
        try:
            low, high = (float(end) for end in value.detach().aminmax())
        except RuntimeError:  # in a dry run, or under vmap, there are no values to look at
            low, high = least, most
        if not (low >= least and high <= most):
            raise ValueError(f"{name} runs from {low} to {high}, but {meaning}.")
    return value if value.is_floating_point() else value.double()
