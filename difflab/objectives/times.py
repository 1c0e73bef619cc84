"""At which times a batch is noised.

A law of times is a density p(t) on (t_min, 1]. Sampling where losses are large, or where there is much to learn, spends the
same batch better; what the mean loss then estimates is told by the weight that comes with every time:

    weight = u(t) / p(t),  u the uniform density     E_p[weight loss] = E_u[loss]: same objective, less (or more) variance
    weight = 1 (None)                                E_p[loss]: p is itself a part of the objective, as in EDM and InfoNoise

Every law here is drawn through its quantiles from strata of equal probability (Kingma et al. 2021, appendix I.1), and is a
table: constant between neighbouring edges, so that density, quantiles and weights agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from ..checks import brief, check_generator, is_number, is_whole, tensor_of
from ..device import has_float64, sent
from ..schedules import Schedule

if TYPE_CHECKING:
    from ..denoisers.network import NetworkDenoiser
    from .denoising import DenoisingLoss
    from .weightings import Weighting

T_MIN = 1e-3  # training draws t in (T_MIN, 1]: below it x_t is x_0 to three digits, and eps cannot be read from it
Strata = Literal["stratified", "uniform", "antithetic"]
_STEEPEST = 6.0  # standard deviations at which LogNormal stops: 2e-9 of its mass lies beyond


class Draw(NamedTuple):
    """Times (n,) float32 and what each one's loss is multiplied by, (n,) float32; None is 1."""

    t: Tensor
    weight: Tensor | None = None


def draw_times(
    n: int,
    generator: Generator | None = None,
    *,
    law: Strata = "stratified",
    t_min: float = T_MIN,
    device: torch.device | str = "cpu",
    batches: int = 1,
) -> Tensor:
    """`n` times for each of `batches` batches, one after the other: uniform in (t_min, 1], float32 (batches * n,), on `device`.

    "stratified" shifts n equidistant points by one draw (Kingma et al. 2021, appendix I.1): the batch covers the
    whole range, which takes most of the variance out of the loss. Row i is in stratum i, so rows must be exchangeable.
    "antithetic" draws half of them and mirrors it (Song et al. 2021, DDIM's code); "uniform" draws each by itself.
    """
    check_t_min(t_min)
    u = _uniforms(n, generator, law, device, batches)
    return 1.0 - (1.0 - t_min) * u  # u is in [0, 1)


def _uniforms(n: int, generator: Generator | None, law: str, device: torch.device | str, batches: int = 1) -> Tensor:
    if law not in get_args(Strata):
        raise ValueError(f"Times are drawn {', '.join(get_args(Strata))}, but got {law!r}.")
    if not isinstance(n, int) or isinstance(n, bool) or n < 0:
        raise ValueError(f"The number of times to draw must be a whole number, 0 or more, but got {n!r}.")
    check_generator(generator)
    source = generator.device if generator is not None else device
    count = {"stratified": 1, "uniform": n, "antithetic": (n + 1) // 2}[law]
    u = torch.rand(batches, count, generator=generator, device=source).to(device)
    if law == "stratified":
        u = (u + torch.arange(n, device=device, dtype=torch.float32) / n) % 1.0
    elif law == "antithetic":
        u = torch.cat([u, (1 - u[:, : n // 2]) % 1.0], dim=1)
    return u.flatten()


class Times:
    """The uniform law on (t_min, 1], and the base of all others.

    Args:
        strata: how a batch is spread over it: "stratified", "uniform" (each time by itself) or "antithetic" (pairs).
        t_min: no time is at or below it.

    Attributes:
        reweighted: whether a draw's weight keeps the objective that of uniform times.
        adaptive: whether it learns from what a training tells it.
    """

    reweighted: bool = False
    adaptive: bool = False

    def __init__(self, strata: Strata = "stratified", *, t_min: float = T_MIN) -> None:
        if strata not in get_args(Strata):
            raise ValueError(f"Times are drawn {', '.join(get_args(Strata))}, but got {strata!r}.")
        check_t_min(t_min)
        self.strata: Strata = strata
        self.t_min = float(t_min)

    def draw(
        self, n: int, generator: Generator | None = None, *, device: torch.device | str = "cpu", batches: int = 1
    ) -> Draw:
        """`n` times in (t_min, 1] for each of `batches` batches, one after the other, on `device`.

        Row i of a batch is in stratum i where strata are "stratified".
        """
        return Draw(draw_times(n, generator, law=self.strata, t_min=self.t_min, device=device, batches=batches))

    def quantile(self, q: Tensor) -> Tensor:
        """The time below which lies a share `q` in [0, 1] of the mass, shaped as `q`."""
        return self.t_min + (1 - self.t_min) * q

    def density(self, t: Tensor) -> Tensor:
        """p(t), shaped as `t`, in its dtype; 0 outside of (t_min, 1]."""
        inside = (t > self.t_min) & (t <= 1)
        return inside.to(t.dtype) / (1 - self.t_min)

    def learn_from(self, loss: DenoisingLoss, denoiser: NetworkDenoiser, weighting: Weighting | None) -> None:
        """Told of each batch after its loss. Nothing to learn here."""

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs to go on as if nothing had happened: nothing here."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a `state`."""


class TabulatedTimes(Times):
    """A density that is constant between neighbouring `edges`.

    Args:
        edges: (m + 1,) increasing times in [0, 1], the first one being t_min.
        mass: (m,) of each interval, 0 or more; normalised to sum 1.
        reweighted: whether draws carry u / p, u uniform on the table's whole range.

    Raises ValueError for edges that do not increase, or masses that are negative, not finite, or all 0; where draws are
    reweighted, also for a mass of 0: no weight makes up for what is never drawn.
    """

    def __init__(self, edges: Tensor, mass: Tensor, *, reweighted: bool = False, strata: Strata = "stratified") -> None:
        edges, mass = tensor_of(edges, "The edges of a table of times"), tensor_of(mass, "Its masses")
        if edges.ndim != 1 or mass.shape != (len(edges) - 1,) or len(mass) < 1:
            raise ValueError(
                f"A table of times needs one mass for each interval between edges, but got {tuple(edges.shape)} edges"
                f" and {tuple(mass.shape)} masses."
            )
        if not (bool((edges.diff() > 0).all()) and edges[0] >= 0 and edges[-1] <= 1):
            raise ValueError("The edges of a table of times must increase from at least 0 to at most 1.")
        super().__init__(strata, t_min=float(edges[0]))
        self.reweighted, self.edges = reweighted, edges
        self.width = float(edges[-1] - edges[0])
        self._first = float(np.nextafter(np.float32(self.t_min), np.float32(1)))  # the first float32 above t_min
        if not (bool((mass >= 0).all()) and bool(mass.isfinite().all()) and bool(mass.sum() > 0)):
            raise ValueError("The masses of a table of times must be finite numbers of 0 or more, and not all 0.")
        if reweighted and bool((mass == 0).any()):
            raise ValueError("Draws cannot be reweighted where a mass is 0: those times would never be seen.")
        self._mass = mass / mass.sum()

    @property
    def mass(self) -> Tensor:
        """(m,) float64, of each interval; sums to 1."""
        return self._mass

    def quantile(self, q: Tensor) -> Tensor:
        return self._quantile(q)[0]

    def density(self, t: Tensor) -> Tensor:
        edges, mass = self._on(t.device)
        x = t.to(edges.dtype)
        i = torch.searchsorted(edges, x.contiguous()).clamp(1, len(mass)) - 1
        p = (mass / edges.diff()).gather(0, i.reshape(-1)).reshape(x.shape)
        return p.masked_fill((x <= edges[0]) | (x > edges[-1]), 0.0).to(t.dtype)

    def draw(
        self, n: int, generator: Generator | None = None, *, device: torch.device | str = "cpu", batches: int = 1
    ) -> Draw:
        u = _uniforms(n, generator, self.strata, device, batches)
        t, p = self._quantile(1 - u)  # 1 - u is in (0, 1]
        t = t.float().clamp(min=self._first)
        return Draw(t, (1 / (self.width * p)).float() if self.reweighted else None)

    def _quantile(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The quantiles, and the density there."""
        edges, mass = self._on(q.device)
        cdf = torch.cat([mass.new_zeros(1), mass.cumsum(0)])
        cdf = cdf / cdf[-1]
        x = q.to(cdf.dtype).reshape(-1)
        i = torch.searchsorted(cdf, x).clamp(1, len(mass)) - 1
        within = ((x - cdf.gather(0, i)) / cdf.diff().gather(0, i)).nan_to_num(0.0).clamp(0, 1)
        t = torch.lerp(edges.gather(0, i), edges.gather(0, i + 1), within)
        p = (mass / edges.diff()).gather(0, i)
        return t.reshape(q.shape), p.reshape(q.shape)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        dtype = torch.float64 if has_float64(device) else torch.float32
        return sent(self.edges.to(dtype), device), sent(self.mass.to(dtype), device)


class LogNormalTimes(TabulatedTimes):
    """log(sigma / alpha) ~ N(mean, std^2) (Karras et al. 2022, section 5), cut where the schedule ends and at t_min.

    EDM's constants are mean -1.2 and std 1.2 for data of standard deviation 0.5. Weights are 1: with `weightings.EDM` this
    is EDM's objective. Between `bins` knots of equal width in log(sigma / alpha) the density in t is constant.
    """

    def __init__(
        self,
        schedule: Schedule,
        mean: float = -1.2,
        std: float = 1.2,
        *,
        bins: int = 2048,
        t_min: float = T_MIN,
        reweighted: bool = False,
        strata: Strata = "stratified",
    ) -> None:
        _check_levels(schedule, bins, t_min)
        if not is_number(mean):
            raise ValueError(f"The mean of log(sigma / alpha) must be a number, but got {mean!r}.")
        if not is_number(std) or std <= 0:
            raise ValueError(f"The standard deviation of log(sigma / alpha) must be above 0, but got {std!r}.")
        ends = -schedule.log_snr(torch.tensor([t_min, 1.0], dtype=torch.float64)) / 2
        low, high = max(float(ends[0]), mean - _STEEPEST * std), min(float(ends[1]), mean + _STEEPEST * std)
        if not low < high:
            raise ValueError(
                f"{schedule} has log(sigma / alpha) from {ends[0]:.3g} to {ends[1]:.3g}: out of reach for a normal law of"
                f" mean {mean:g} and standard deviation {std:g}."
            )
        knots = torch.linspace(low, high, bins + 1, dtype=torch.float64)
        edges = schedule.t_of_log_snr(-2 * knots).clamp(max=1.0)
        mass = torch.special.ndtr((knots - mean) / std).diff()
        super().__init__(*_merged(edges, mass), reweighted=reweighted, strata=strata)


def information_times(
    schedule: Schedule,
    rate: Callable[[Tensor], Tensor],
    *,
    log_snr: tuple[float, float] | None = None,
    bins: int = 1024,
    t_min: float = T_MIN,
) -> TabulatedTimes:
    """Noise levels allocated in proportion to the bits they hold (InfoNoise: Raya et al. 2026).

    By I-MMSE (Guo et al. 2005) a unit of log-SNR holds 1/2 SNR mmse nats: with `rate` that function of log_snr (float64), the
    share of the draws between two levels is their share of the information between t_min and 1 (or between the two values
    `log_snr`, increasing). To take part in an objective that already weighs levels, divide `rate` by that weight.
    """
    _check_levels(schedule, bins, t_min)
    ends = schedule.log_snr(torch.tensor([1.0, t_min], dtype=torch.float64))
    given = ends.tolist() if log_snr is None else list(log_snr) if isinstance(log_snr, Iterable) else [log_snr]
    if len(given) != 2 or not all(map(is_number, given)) or not given[0] < given[1]:
        raise ValueError(
            f"Give the range of log-SNR to divide, two increasing numbers, as log_snr=; got {brief(log_snr or given)}."
        )
    low, high = given
    knots = torch.linspace(high, low, bins + 1, dtype=torch.float64)  # times increase
    middle = (knots[1:] + knots[:-1]) / 2
    first, half, last = (_said(rate, at) for at in (knots[:-1], middle, knots[1:]))
    mass = (first + 4 * half + last) / 6  # Simpson: each bin has the same width
    edges = schedule.t_of_log_snr(knots)
    return TabulatedTimes(*_merged(edges, mass))


def _said(rate: Callable[[Tensor], Tensor], log_snr: Tensor) -> Tensor:
    said = rate(log_snr) if callable(rate) else rate
    if not isinstance(said, Tensor) or said.shape != log_snr.shape:
        raise TypeError(
            f"rate must be a function of log_snr that returns a tensor shaped like it, but it gave {brief(said)}."
        )
    return said.double()


def check_t_min(t_min: float) -> None:
    if not is_number(t_min) or not 0 <= t_min < 1:
        raise ValueError(f"t_min must be a time in [0, 1), but got {t_min!r}.")


def _check_levels(schedule: Schedule, bins: int, t_min: float) -> None:
    if not isinstance(schedule, Schedule):
        raise TypeError(f"A law of noise levels needs a Schedule such as VPCosine(), but got {brief(schedule)}.")
    if not is_whole(bins):
        raise ValueError(f"A table of times needs a whole number of bins, 1 or more, but got {bins!r}.")
    check_t_min(t_min)


def _merged(edges: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """The table without repeated edges: where float64 does not tell times apart, the mass goes to the next interval."""
    first = torch.cat([torch.ones(1, dtype=torch.bool), edges.diff() > 0])
    cdf = torch.cat([mass.new_zeros(1), mass.cumsum(0)])
    kept = cdf[first]
    kept[-1] = cdf[-1]
    return edges[first], kept.diff()
