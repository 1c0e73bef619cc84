"""Metropolis-adjusted walks: a proposal is accepted or stays away, row by row, so that p_t itself is left as it is.

With q(b | a) the density of proposing b from a, a move is accepted with the probability min(1, r),
r = p_t(b) q(a | b) / (p_t(a) q(b | a)) (Metropolis et al. 1953; Hastings 1970): then p_t(a) q(b | a) min(1, r) is the same from a
to b as from b to a, and nothing flows on balance, however large the steps are. Too large ones are not wrong, they are rejected.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ...checks import brief, is_number, is_whole
from ...denoisers import Denoiser
from ...schedules.base import Level
from ..base import State
from .adaptation import Adapted
from .density import Density, LogProb, Point, check_density, density_of, of_rows, widest
from .one_level import OneLevel, limit


class Proposal(NamedTuple):
    """Where a chain may go, log r (n,) above, the evaluations that it took, and points on the way that have to be looked at."""

    there: Point
    log_ratio: Tensor
    evaluations: int
    between: Sequence[Point] = ()


class Chain(NamedTuple):
    """What a chain remembers, in `State.memory`; all of it row by row, (n,).

    Attributes:
        here: the point where it is, so that its score and log-density are not asked for again.
        adapted: of the step size.
        size: the step size of the proposal that led here.
        probability: of accepting it, min(1, r).
        accepted: whether it was.
    """

    here: Point
    adapted: Adapted
    size: Tensor
    probability: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class Metropolis(OneLevel):
    """What MALA and HMC share: step size and its adaptation, where log p_t comes from, and the test.

    Args:
        step_size: of the first proposal, in the method's unit; None takes one that is stable for any data at this level.
        warm_up: proposals during which each row's step size adapts; 0 keeps it as it is. Samples are to be taken from then on.
        target: acceptance probability that it adapts to.
        log_prob: log p_t(x), (x, t) -> (n,) in nats, up to a constant; None takes the denoiser's own (an oracle's).
        path: where there is none, integrate the score from point to point by a rule of this many points, 2 to 5, each beyond
            the second one evaluation more.

    Raises ValueError or TypeError for a knob out of range; in a step, ValueError if nothing says what log p_t is.
    """

    step_size: float | None = None
    warm_up: int = 100
    target: float = 0.574
    log_prob: LogProb | None = None
    path: int | None = None

    unit: ClassVar[str]  # of the step size, for sentences

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.step_size is not None and (not is_number(self.step_size) or self.step_size <= 0):
            raise ValueError(
                f"The step size of {name} must be above 0, in {self.unit}, or None, but got {brief(self.step_size)}."
            )
        if not is_whole(self.warm_up, 0):
            raise ValueError(
                f"The warm-up of {name} is a whole number of steps, 0 or more, but got {brief(self.warm_up)}."
            )
        if not is_number(self.target) or not 0 < self.target < 1:
            raise ValueError(
                f"The acceptance that {name} adapts to must lie between 0 and 1, but got {brief(self.target)}."
            )
        check_density(self.log_prob, self.path)

    @abstractmethod
    def first_size(self, level: Level, dim: int) -> float:
        """A step size that is stable for any data at this level."""

    @abstractmethod
    def propose(self, density: Density, here: Point, size: Tensor, z: Tensor) -> Proposal:
        """A move from `here` with the step sizes (n,) and standard normal z, shaped as x."""

    @property
    def steps_in_words(self) -> str:
        first = "found from sigma" if self.step_size is None else f"{self.step_size:g}"
        return f"step {first}, adapted over {self.warm_up} steps" if self.warm_up else f"step {first}"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        density = density_of(type(self).__name__, denoiser, state.t, self.log_prob, self.path)
        x, evaluations = state.x, 0
        first = self.step_size or self.first_size(density.level, x[0].numel() if len(x) else 1)
        chain = state.memory
        if isinstance(chain, Chain) and chain.here.x is x:
            here, adapted = chain.here, chain.adapted
        else:  # the start of a run
            here, evaluations = density.at(x), 1
            adapted = Adapted.begun(first, torch.zeros(len(x), dtype=widest(x), device=x.device))
        size, z = adapted.log_size.exp(), state.noise.step(x, state.index)
        there, log_ratio, spent, between = self.propose(density, here, size, z)
        accepted = _log_uniform(state, log_ratio) < log_ratio  # False where it is nan: nobody goes to infinity
        probability = log_ratio.clamp(max=0.0).exp().nan_to_num(0.0)
        after = _chosen(accepted, here, there)
        for asked in (*([here] if evaluations else []), *between, there):
            after = _stopped(after, asked, limit(denoiser, state.t))
        adapted = adapted.after(probability, self.target, self.warm_up, first)
        memory = Chain(after, adapted, size, probability, accepted)
        return state.moved(after.x, s, after.denoised, evaluations + spent, z=z, memory=memory)

    def failure(self, denoiser: Denoiser, before: State, after: State) -> str:
        if after.denoised is not None and bool(after.denoised.isfinite().all()):
            return f"log_prob returned nan at t = {before.t:.4g}, so {type(self).__name__} stopped there."
        return super().failure(denoiser, before, after)


def _log_uniform(state: State, like: Tensor) -> Tensor:
    """The logarithm of a uniform number for each row, (n,): Phi of a normal one from the run's noise."""
    z = state.noise.step(like, state.index, 1)
    return ((1 + torch.erf(z / math.sqrt(2))) / 2).log()


def _chosen(accepted: Tensor, here: Point, there: Point) -> Point:
    """`there` in the rows that accepted it, `here` in the others."""
    mask = accepted.reshape(-1, *[1] * (here.x.ndim - 1))
    x, denoised, score = (torch.where(mask, b, a) for a, b in zip(here[:3], there[:3], strict=True))
    if here.log_p is None or there.log_p is None:
        return Point(x, denoised, score, None)
    return Point(x, denoised, score, torch.where(accepted, there.log_p, here.log_p))


def _stopped(after: Point, asked: Point, far: float) -> Point:
    """`after`, with nan in the rows where nan or inf was the answer at a point `asked` about that is within reach.

    A proposal out of reach is rejected whatever is said there; but to reject what a broken denoiser says everywhere would be
    to stand still and look sane.
    """
    shape = (-1, *[1] * (asked.x.ndim - 1))
    far = min(far, torch.finfo(asked.x.dtype).max)
    near = of_rows(asked.x).abs().amax(1) <= far
    said = of_rows(asked.denoised).sum(1, dtype=widest(asked.x)).isfinite()
    silent = near & ~said
    broken = silent if asked.log_p is None else silent | (near & asked.log_p.isnan())
    x = after.x.masked_fill(broken.reshape(shape), math.nan)
    return after._replace(x=x, denoised=after.denoised.masked_fill(silent.reshape(shape), math.nan))
