"""What a Metropolis test asks of p_t: its score, and how much log p_t rises from one point to another.

The score comes from the denoiser, by Tweedie. log p_t comes from where it is known, an oracle's `log_prob` or a function that is
given (of an energy model, say). Where only a score is known, the rise is its integral along the straight line between the points,

    log p_t(b) - log p_t(a) = int_0^1 score(a + u (b - a)) . (b - a) du,

by Gauss-Lobatto's rule of 2 to 5 points, whose ends are the points themselves and have been asked about anyway (with 2 points,
the trapezoid, it costs nothing). It is odd in (a, b), as a rise must be; its error falls with the length of the step to the
power 2 points - 1, and what a network's score has of a curl no rule can integrate away (Sjöberg et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...checks import brief, is_whole
from ...denoisers import Denoiser, ExactDenoiser
from ...denoisers.conditioned import unwrapped
from ...device import has_float64
from ...schedules.base import Level

LogProb = Callable[[Tensor, float], Tensor]

#: nodes within (0, 1) and weights of Gauss-Lobatto's rules, by their number of points; the ends have the first weight each
_LOBATTO: dict[int, tuple[float, tuple[tuple[float, float], ...]]] = {
    2: (1 / 2, ()),
    3: (1 / 6, ((0.5, 2 / 3),)),
    4: (1 / 12, tuple((0.5 + side / math.sqrt(20), 5 / 12) for side in (-1, 1))),
    5: (1 / 20, (*((0.5 + side * math.sqrt(3 / 28), 49 / 180) for side in (-1, 1)), (0.5, 16 / 45))),
}


class Point(NamedTuple):
    """A point of the walk and what is known there: x, E[x_0 | x] and score, each (n, *shape); log p_t (n,) where it is asked."""

    x: Tensor
    denoised: Tensor
    score: Tensor
    log_p: Tensor | None


@dataclass(frozen=True)
class Density:
    """p_t at one level.

    Attributes:
        log_prob: (x, t) -> (n,), or None where rises are integrals of the score.
        wide: whether `log_prob` is an oracle's, which is asked in the device's widest type whatever x is.
        path: points of the rule for those integrals.
    """

    denoiser: Denoiser
    level: Level
    log_prob: LogProb | None
    wide: bool
    path: int = 2

    @property
    def evaluations_of_a_rise(self) -> int:
        return 0 if self.log_prob else self.path - 2

    def at(self, x: Tensor, log_p: bool = True) -> Point:
        """What is known at x (n, *shape), for one evaluation; its log-density too unless `log_p` is False.

        Raises TypeError or ValueError if a given log_prob does not return (n,) numbers.
        """
        denoised, score = self._score(x)
        if not log_p or self.log_prob is None:
            return Point(x, denoised, score, None)
        found = self.log_prob(x.to(widest(x)) if self.wide else x, self.level.t)
        if not isinstance(found, Tensor) or not found.is_floating_point():
            raise TypeError(f"log_prob must return a tensor of numbers, one for each row of x, but got {brief(found)}.")
        if found.shape != x.shape[:1]:
            raise ValueError(
                f"log_prob must return one number for each row of x, ({len(x)},), but got {tuple(found.shape)}."
            )
        return Point(x, denoised, score, found.to(widest(x)))

    def rise(self, a: Point, b: Point) -> Tensor:
        """log p_t(b) - log p_t(a), (n,) in the widest type."""
        if a.log_p is not None and b.log_p is not None:
            return b.log_p - a.log_p
        along = b.x - a.x
        ends, inner = _LOBATTO[self.path]
        slope = ends * (a.score + b.score)
        for u, weight in inner:
            slope = slope + weight * self._score(a.x + u * along)[1]
        return dot(slope, along)

    def _score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        denoised = self.denoiser(x, self.level.t).mean
        return denoised, (self.level.alpha * denoised - x) / self.level.sigma**2


def density_of(name: str, denoiser: Denoiser, t: float, log_prob: LogProb | None, path: int | None) -> Density:
    """p_t for the sampler called `name`: by `log_prob` if given, else by `path` if given, else by the denoiser's own.

    Raises ValueError for a denoiser that knows no density, if neither is given.
    """
    level = denoiser.schedule.level(t)
    if log_prob is not None:
        return Density(denoiser, level, log_prob, wide=False)
    if path is not None:
        return Density(denoiser, level, None, wide=False, path=path)
    inner, labels = unwrapped(denoiser)
    known = getattr(inner, "log_prob", None)
    if not callable(known):
        raise ValueError(
            f"{name} needs differences of log p_t, and this {type(inner).__name__} has no log_prob: give"
            f" {name} a function log_prob(x, t), or path=3 to integrate its score from point to point."
        )

    def own(x: Tensor, t: float) -> Tensor:
        found: Tensor = known(x, t) if labels is None else known(x, t, labels.to(x.device))
        return found

    return Density(denoiser, level, own, wide=isinstance(inner, ExactDenoiser))


def check_density(log_prob: object, path: object) -> None:
    """Raises TypeError or ValueError unless these are what `density_of` can use."""
    if log_prob is not None and not callable(log_prob):
        raise TypeError(
            f"log_prob must be a function of (x, t) with one number for each row, but got {brief(log_prob)}."
        )
    if path is not None and (not is_whole(path) or path not in _LOBATTO):
        raise ValueError(f"path is the number of points that a score is integrated by, 2 to 5, but got {brief(path)}.")
    if log_prob is not None and path is not None:
        raise ValueError("Give either log_prob, a log-density, or path, to do without one.")


def widest(x: Tensor) -> torch.dtype:
    """The widest floating-point type where x is: acceptance is decided in it."""
    return torch.float64 if has_float64(x.device) else torch.float32


def dot(a: Tensor, b: Tensor) -> Tensor:
    """The product of each row of a with that of b, (n,), summed in the widest type."""
    return of_rows(a.to(widest(a)) * b.to(widest(b))).sum(1)


def of_rows(x: Tensor) -> Tensor:
    """x (n, *shape) as (n, D)."""
    return x.flatten(1) if x.ndim > 1 else x[:, None]
