"""A schedule that is learned: a network that can only fall (Kingma et al. 2021, VDM, appendix H).

    gamma~(t) = l_1(t) + l_3(sigmoid(l_2(l_1(t)))),   l_1, l_2, l_3 linear with positive weights,
    lambda(t) = lambda_max - (lambda_max - lambda_min) (gamma~(t) - gamma~(0)) / (gamma~(1) - gamma~(0)).

The two ends are learned by the bound itself. Inside them the continuous-time bound does not depend on the schedule (ibid.,
section 5.1), so the shape is learned by the variance of its estimate instead (ibid., section 5.3 and appendix I.2).

`Learned` is what is trained; `LearnedSnapshot` is the same function with its weights as plain numbers, which can be
compared, hashed and cached like every other schedule.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ..device import in_float64
from .level import Level
from .log_snr import VPLogSNRLinear
from .preserving import ByLogSNR


class MonotoneNetwork(ByLogSNR):
    """The formula above. The positive weights are softplus of the numbers that are stored."""

    reaches_data = False

    @abstractmethod
    def _weights(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """lambda_max, log(lambda_max - lambda_min), and of l_1, l_2 and l_3 the weights before softplus, and l_2's offsets:
        (), (), (), (units,), (units,), (units,), float64 on `device`."""

    def _log_snr(self, t: Tensor) -> Tensor:
        top, log_span, first, inner, offset, outer = self._weights(t.device)

        def rise(t: Tensor) -> Tensor:
            h = softplus(first) * t
            return h + (softplus(outer) * torch.sigmoid(softplus(inner) * h[..., None] + offset)).sum(-1)

        start, end = rise(t.new_zeros(())), rise(t.new_ones(()))
        return top - log_span.exp() * (rise(t) - start) / (end - start)

    def _log_snr_rate(self, t: Tensor) -> Tensor:
        _, log_span, first, inner, offset, outer = self._weights(t.device)
        scale, slope, weight = softplus(first), softplus(inner), softplus(outer)
        lit = torch.sigmoid(slope * (scale * t[..., None]) + offset)
        steepness = scale * (1 + (weight * slope * lit * (1 - lit)).sum(-1))
        ends = torch.sigmoid(torch.stack([offset, slope * scale + offset]))
        return -log_span.exp() * steepness / (scale + (weight * (ends[1] - ends[0])).sum(-1))


@dataclass(frozen=True)
class LearnedSnapshot(MonotoneNetwork):
    """A `Learned` schedule as it was at one moment: plain numbers."""

    log_snr_max: float
    log_span: float
    first: float
    inner: tuple[float, ...]
    offset: tuple[float, ...]
    outer: tuple[float, ...]

    def __post_init__(self) -> None:
        for key in ("inner", "offset", "outer"):
            value = getattr(self, key)
            if not isinstance(value, (list, tuple)) or not value or len(value) != len(self.inner):
                raise ValueError(
                    f"{self.name}'s {key} must be a list of numbers, one for each unit, but got {value!r:.80}."
                )
            object.__setattr__(self, key, tuple(value))
        for key in (field.name for field in fields(self)):
            value = getattr(self, key)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) <= 1e4:
                    raise ValueError(f"{self.name}'s {key} must be finite numbers, at most 1e4, but got {number!r}.")

    @property
    def params(self) -> dict[str, Any]:
        return {
            key: list(value) if isinstance(value := getattr(self, key), tuple) else value
            for key in (field.name for field in fields(self))
        }

    def __repr__(self) -> str:
        return (
            f"{self.name}({len(self.inner)} units, log-SNR from {self.log_snr_max:.4g}"
            f" to {self.log_snr_max - math.exp(self.log_span):.4g})"
        )

    def _weights(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        numbers = (self.log_snr_max, self.log_span, self.first, self.inner, self.offset, self.outer)
        a, b, c, d, e, f = (torch.tensor(number, dtype=torch.float64, device="cpu").to(device) for number in numbers)
        return a, b, c, d, e, f


class Learned(MonotoneNetwork, nn.Module):
    """A schedule whose `alpha_sigma`, `log_snr` and their rates are differentiable in its parameters.

    It starts as good as linear in log-SNR between the given ends. It is compared by identity, for its weights move: give
    samplers and chains its `frozen()`, and bounds a denoiser of that (`NetworkDenoiser.frozen`).

    Args:
        log_snr_max, log_snr_min: the ends that it starts from; the defaults are VDM's for CIFAR-10.
        units: of the hidden layer (VDM has 1024; each one is a bend that the schedule can have).

    Raises ValueError for ends that do not fall or units below 1.
    """

    def __init__(self, log_snr_max: float = 13.3, log_snr_min: float = -5.0, units: int = 32) -> None:
        nn.Module.__init__(self)
        VPLogSNRLinear(log_snr_max, log_snr_min)  # it knows which ends are sound
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise ValueError(f"Learned needs 1 hidden unit or more, but got {units!r}.")
        # bends at evenly spaced times, each as wide as a few of its neighbours are apart, together a third of the rise
        slope = 2.0 + units / 2
        centres = (torch.arange(units, dtype=torch.float64) + 0.5) / units
        self.log_snr_max = nn.Parameter(torch.tensor(float(log_snr_max)))
        self.log_span = nn.Parameter(torch.tensor(math.log(log_snr_max - log_snr_min)))
        self.first = nn.Parameter(torch.tensor(_before_softplus(1.0)))
        self.inner = nn.Parameter(torch.full((units,), _before_softplus(slope)))
        self.offset = nn.Parameter((-slope * centres).float())
        self.outer = nn.Parameter(torch.full((units,), _before_softplus(0.5 / units)))

    def _weights(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        own = (self.log_snr_max, self.log_span, self.first, self.inner, self.offset, self.outer)
        a, b, c, d, e, f = (in_float64(weight).to(device) for weight in own)
        return a, b, c, d, e, f

    def end_parameters(self) -> Iterator[nn.Parameter]:
        """What the two ends depend on: learned by the bound."""
        yield from (self.log_snr_max, self.log_span)

    def shape_parameters(self) -> Iterator[nn.Parameter]:
        """What the curve between the ends depends on: learned by the variance of the bound's estimate."""
        yield from (self.first, self.inner, self.offset, self.outer)

    @property
    def _levels(self) -> dict[float, Level]:  # type: ignore[override]
        return {}  # it moves: nothing is remembered

    @property
    def _times(self) -> dict[float, float]:  # type: ignore[override]
        return {}

    def t_of_log_snr(self, log_snr: float | Tensor) -> Tensor:
        """As of every schedule; no gradient goes through it."""
        with torch.no_grad():
            return super().t_of_log_snr(log_snr)

    def frozen(self) -> LearnedSnapshot:
        """The schedule as it is now, to the last bit, as plain numbers."""
        return LearnedSnapshot(**self.params)

    @property
    def params(self) -> dict[str, Any]:
        return {key: weight.detach().cpu().tolist() for key, weight in self.named_parameters(recurse=False)}

    @classmethod
    def parameter_names(cls, required: bool = False) -> list[str]:
        return LearnedSnapshot.parameter_names(required)

    @classmethod
    def from_params(cls, params: dict[str, Any]) -> Self:
        snapshot = LearnedSnapshot.from_params(params)
        learned = cls(units=len(snapshot.inner))
        with torch.no_grad():
            for key, weight in learned.named_parameters(recurse=False):
                weight.copy_(torch.tensor(getattr(snapshot, key), dtype=torch.float64))
        return learned

    def __repr__(self) -> str:
        return repr(self.frozen()).replace(LearnedSnapshot.__name__, self.name)


def _before_softplus(value: float) -> float:
    return value + math.log(-math.expm1(-value))
