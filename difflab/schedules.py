"""Noise schedules: how much of the data is left at time t.

A schedule is a pair of functions with x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, I), for t in [0, 1]; 0 is data and 1 is
noise. Everything else follows: log_snr(t) = log(alpha^2 / sigma^2) falls from +inf, and two schedules with the same log-SNR
range describe the same family of problems (Kingma et al. 2021, section 3.2).

At t = 0 exactly every schedule says alpha = 1, sigma = 0: that point is the data itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from .device import in_float64

_MIN_LOG_SNR = -20.0  # where VPCosine stops: at its very end alpha would be 0, and x_0 could not be read from eps
FIRST_T = 1e-9  # the lowest noise level of a schedule; t = 0 itself is data
_BISECTIONS = 62
# where float64 still has a beta at every step of a long chain, and float32 the squares of all levels
_LEAST_BETA, _SIGMAS, _LEAST_RATIO = 1e-8, (1e-6, 1e6), 1.001


class Schedule(ABC):
    """Base of all schedules; subclasses are frozen dataclasses whose fields are their parameters."""

    variance_preserving: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Subclasses check their own bounds after this."""
        for key, value in self.params.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{self.name}'s parameter {key} must be a number, but got {value!r}.")

    @abstractmethod
    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma for float64 `t` > 0, any shape."""

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def params(self) -> dict[str, float]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @property
    def prior_std(self) -> float:
        """Standard deviation of the prior at t = 1 that the reverse process starts from."""
        return 1.0

    def alpha_sigma(self, t: float | Tensor) -> tuple[Tensor, Tensor]:
        """(alpha, sigma) at `t`, shaped as `t`: float64 for a number, the dtype and device of `t` for a tensor."""
        if not isinstance(t, Tensor):
            if not isinstance(t, (int, float)):
                raise TypeError(f"t must be a number or a tensor, but got a {type(t).__name__}.")
            if not 0.0 <= t <= 1.0:
                raise ValueError(f"t is {t}, but time runs from 0 (data) to 1 (noise).")
            t = torch.tensor(t, dtype=torch.float64)
        elif not t.is_floating_point():
            t = t.double()
        work = in_float64(t)
        alpha, sigma = self._alpha_sigma(work.clamp(min=FIRST_T))
        data = work == 0
        alpha, sigma = alpha.masked_fill(data, 1.0), sigma.masked_fill(data, 0.0)
        return alpha.to(t.device, t.dtype), sigma.to(t.device, t.dtype)

    def alpha(self, t: float | Tensor) -> Tensor:
        return self.alpha_sigma(t)[0]

    def sigma(self, t: float | Tensor) -> Tensor:
        return self.alpha_sigma(t)[1]

    def log_snr(self, t: float | Tensor) -> Tensor:
        """log(alpha^2 / sigma^2) in nats; +inf at t = 0."""
        alpha, sigma = self.alpha_sigma(t)
        return 2 * (alpha.log() - sigma.log())

    def t_of_log_snr(self, log_snr: float | Tensor) -> Tensor:
        """The inverse of `log_snr`, by bisection in float64; values beyond the schedule's ends give its ends (never t = 0)."""
        target = torch.as_tensor(log_snr)
        work = in_float64(target)
        low, high = torch.full_like(work, FIRST_T), torch.ones_like(work)
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            noisier = self.log_snr(middle) < work
            low, high = torch.where(noisier, low, middle), torch.where(noisier, middle, high)
        dtype = target.dtype if target.is_floating_point() and isinstance(log_snr, Tensor) else torch.float64
        return low.where(work > self.log_snr(1.0).to(work.device), torch.ones_like(low)).to(target.device, dtype)

    def table(self, steps: int) -> tuple[Tensor, Tensor]:
        """(alpha_k, sigma_k) of a chain of `steps` noise levels, float64, each (steps + 1,); index 0 is data."""
        return self.alpha_sigma(torch.arange(steps + 1, dtype=torch.float64) / steps)


@dataclass(frozen=True)
class VPLinear(Schedule):
    """Betas that rise linearly (Ho et al. 2020, section 4): at t = k / 1000 exactly DDPM's table of 1000 steps.

    Between the steps the product of (1 - beta_j) is continued by the gamma function, since its factors form an arithmetic
    progression: with d = (beta_max - beta_min) / 999 and z = (1 - beta_min) / d + 1,
    alpha_bar(t) = d^k Gamma(z) / Gamma(z - k), k = 1000 t. A chain of T steps is therefore a sub-chain of DDPM's.
    Before the first step that may rise above 1, if betas start lower than they rise (beta_min < d): there alpha_bar(t) is
    held below (1 - beta_min)^(k / 2).
    """

    beta_min: float = 1e-4
    beta_max: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.beta_min < self.beta_max <= 0.5:
            raise ValueError(
                f"VPLinear needs 0 < beta_min < beta_max <= 0.5, but got beta_min={self.beta_min}, beta_max={self.beta_max}."
            )
        if self.beta_min < _LEAST_BETA:
            raise ValueError(f"VPLinear needs beta_min >= {_LEAST_BETA:g}, but got beta_min={self.beta_min}.")

    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        k = 1000 * t
        d = (self.beta_max - self.beta_min) / 999
        z = (1 - self.beta_min) / d + 1
        y = z - k
        # Stirling's series for both gammas, arranged so that the large terms cancel by hand; the next term is below 1e-13.
        log_alpha_bar = k * torch.log1p(torch.tensor(d - self.beta_min, dtype=torch.float64)) - k
        log_alpha_bar = log_alpha_bar - (y - 0.5) * torch.log1p(-k / z)
        log_alpha_bar = log_alpha_bar + (1 / z - 1 / y) / 12 - (1 / z**3 - 1 / y**3) / 360
        first = torch.log1p(torch.tensor(-self.beta_min, dtype=torch.float64))
        log_alpha_bar = log_alpha_bar.minimum(first * k / 2)
        return (log_alpha_bar / 2).exp(), (-torch.expm1(log_alpha_bar)).sqrt()


@dataclass(frozen=True)
class VPCosine(Schedule):
    """alpha_bar = cos^2(u) / cos^2(u_0), u = (t + s)/(1 + s) pi/2 (Nichol & Dhariwal 2021, eq. 17).

    Ends at log-SNR = -20 instead of -inf, so that x_0 can be read from every prediction at every t. As a chain its betas
    are clipped at 0.999, as published.
    """

    s: float = 0.008

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.s <= 1:
            raise ValueError(f"VPCosine needs an offset 0 < s <= 1, but got s={self.s}.")

    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        quarter = torch.pi / 2 / (1 + self.s)
        u0 = torch.tensor(self.s * quarter, dtype=torch.float64)
        u = u0 + t * quarter
        floor = torch.sigmoid(torch.tensor(_MIN_LOG_SNR, dtype=torch.float64))
        alpha_bar = (u.cos() / u0.cos()).square().clamp(min=floor.item())
        # cos^2 a - cos^2 b = sin(b - a) sin(b + a): exact where 1 - alpha_bar would cancel
        sigma2 = (t * quarter).sin() * (u + u0).sin() / u0.cos().square()
        return alpha_bar.sqrt(), sigma2.clamp(max=1 - floor.item()).sqrt()

    def table(self, steps: int) -> tuple[Tensor, Tensor]:
        alpha, _ = super().table(steps)
        beta = (1 - (alpha[1:] / alpha[:-1]).square()).clamp(max=0.999)
        log_alpha_bar = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-beta).cumsum(0)])
        return (log_alpha_bar / 2).exp(), (-torch.expm1(log_alpha_bar)).sqrt()


@dataclass(frozen=True)
class Geometric(Schedule):
    """alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t: NCSN's levels (Song & Ermon 2019), variance exploding."""

    sigma_min: float = 0.01
    sigma_max: float = 50.0
    variance_preserving: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = _SIGMAS
        got = f"but got sigma_min={self.sigma_min}, sigma_max={self.sigma_max}."
        if not 0 < self.sigma_min < self.sigma_max:
            raise ValueError(f"Geometric needs 0 < sigma_min < sigma_max, {got}")
        if self.sigma_min < low or self.sigma_max > high or self.sigma_max < _LEAST_RATIO * self.sigma_min:
            raise ValueError(
                f"Geometric needs levels from {low:g} to {high:g}, the largest at least {_LEAST_RATIO:g} times the"
                f" smallest, {got}"
            )

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    def _alpha_sigma(self, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def table(self, steps: int) -> tuple[Tensor, Tensor]:
        """NCSN's levels: sigma_1 = sigma_min, ..., sigma_steps = sigma_max."""
        t = torch.linspace(0, 1, steps, dtype=torch.float64) if steps > 1 else torch.ones(1, dtype=torch.float64)
        return self.alpha_sigma(torch.cat([torch.zeros(1, dtype=torch.float64), t.clamp(min=FIRST_T)]))


SCHEDULES: dict[str, type[Schedule]] = {c.__name__: c for c in (VPLinear, VPCosine, Geometric)}


def schedule_from(name: str, params: dict[str, Any] | None = None) -> Schedule:
    """The schedule of this class name with these parameters. Raises ValueError for an unknown name or parameter."""
    if not isinstance(name, str) or name not in SCHEDULES:
        raise ValueError(f"There is no schedule named {name!r}; choose one of {', '.join(SCHEDULES)}.")
    cls = SCHEDULES[name]
    known = list(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    if params is not None and not isinstance(params, dict):
        raise ValueError(f"The parameters of a schedule are a table of numbers, but got {params!r}.")
    for key, value in (params or {}).items():
        if key not in known:
            raise ValueError(f"{name} has no parameter {key!r}; it has {', '.join(known)}.")
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ValueError(f"{name}'s parameter {key} must be a number, but got {value!r}.")
    return cls(**(params or {}))
