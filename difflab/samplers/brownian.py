"""Noise that is one Brownian path, whatever the steps it is cut into: at 10 steps and at 1,000 it is the same.

A random sampler follows an SDE, and the noise of a step from log-SNR u to v is the increment of the path that drives it,

    z = (W(v) - W(u)) / sqrt(v - u),

standard normal for every pair, independent where steps do not overlap, and correlated as the path is where they do. With the
path held fixed, runs converge to one another sample by sample as the steps shrink (strong convergence): two numbers of steps,
or two samplers, are compared on the same randomness.

W is built by Lévy's midpoints: on an interval of length L, W(middle) is the mean of the ends plus sqrt(L)/2 times a standard
normal of the interval's own name, down to intervals of 2^-20 nats. So W(u) is a sum over the 28 intervals that hold u (Karatzas
& Shreve 1991, section 2.3: a Schauder series), and an increment one over those that hold either end: no tree is kept, and no
interval has to be asked for before another.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property, lru_cache
from numbers import Real
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import brief
from .noise import NoisePool, normal

_PATH = 2  # after the purposes of a NoisePool
_REACH = 64  # log-SNRs beyond +-64 nats are no longer told apart: alpha or sigma is 1e-14 of the other there
_LEVELS = 27  # halvings of the whole
_REMEMBERED = 2**10  # steps, of 8 kB: a sampler takes the same ones in every run
_FEW = 4096  # numbers
_WHOLE = 2**_LEVELS  # in units of the shortest interval, 2 _REACH / _WHOLE = 2^-20 nats


@dataclass(frozen=True)
class BrownianPath(NoisePool):
    """A `NoisePool` whose noise between two log-SNRs is the increment of one path: `sample(..., noise=BrownianPath(7))`.

    The start, and draws that belong to no stretch of the path (those of Langevin's steps, of correctors and of churn), are
    those of `NoisePool(seed)`.

    Args:
        seed: 0 to 2^64 - 1.
    """

    def between(self, like: Tensor, index: int, first: float, last: float, substep: int = 0) -> Tensor:
        """(W(last) - W(first)) / sqrt(|last - first|), in the shape, dtype and on the device of `like` (n, *shape).

        Log-SNRs in nats, infinite ones too. Where both are the same to 2^-20 nats the path does not move, and it is the
        draw of the step as a `NoisePool` gives it. Raises ValueError for nan.
        """
        if not isinstance(like, Tensor):
            raise TypeError(f"Noise is drawn in the shape of a tensor, but got {brief(like)}.")
        terms = schauder(_units(first), _units(last))
        if not terms:
            return self.step(like, index, substep)
        z, nodes = np.zeros(like.shape), [self._nodes(*name, like.shape) for name in terms]
        if z.size <= _FEW:  # sooner done at once
            z = np.tensordot(np.array(list(terms.values())), np.array(nodes), 1)
        else:
            for factor, node in zip(terms.values(), nodes, strict=True):
                z += factor * node
        return torch.from_numpy(z).to(like.device, torch.float32).to(like.dtype)

    @cached_property
    def _nodes(self) -> _Nodes:
        return _Nodes(self.seed)

    def __reduce__(self) -> tuple[Any, ...]:  # without what it remembers
        return BrownianPath, (self.seed,)


@lru_cache(_REMEMBERED)
def schauder(first: int, last: int) -> dict[tuple[int, int], float]:
    """The increment from `first` to `last`, divided by its standard deviation, as a sum over standard normals: factor by
    (level, position) of the interval whose own each one is. Empty where the ends are the same.

    Ends are whole numbers from 0 to 2^27, in units of the shortest interval. The factors' squares sum to 1.
    """
    if first == last:
        return {}
    width = math.sqrt(abs(last - first))
    terms = {(0, 0): (last - first) / math.sqrt(_WHOLE) / width}  # the path's end itself, approached in proportion
    for level in range(1, _LEVELS + 1):
        length = _WHOLE >> (level - 1)
        for end, sign in ((first, -1.0), (last, 1.0)):
            position, offset = divmod(end, length)
            if offset:  # a hat of height sqrt(length) / 2 over the interval
                hat = min(offset, length - offset) / math.sqrt(length)
                terms[level, position] = terms.get((level, position), 0.0) + sign * hat / width
    return terms


def _units(log_snr: float) -> int:
    if not isinstance(log_snr, Real) or log_snr != log_snr:
        raise ValueError(f"A Brownian path is asked for log-SNRs, but got {brief(log_snr)}.")
    return round((min(max(log_snr, -_REACH), _REACH) + _REACH) / (2 * _REACH) * _WHOLE)


class _Nodes:
    """The normals of intervals, the last ones remembered: a step begins where the last one ended, on the same intervals."""

    def __init__(self, seed: int) -> None:
        self.seed, self.lock = seed, Lock()
        self.known: OrderedDict[tuple[int, int, torch.Size], np.ndarray] = OrderedDict()

    def __call__(self, level: int, position: int, shape: torch.Size) -> np.ndarray:
        key = (level, position, shape)
        with self.lock:
            if key in self.known:
                self.known.move_to_end(key)
                return self.known[key]
        found = normal(shape, self.seed, _PATH, level, position)
        with self.lock:
            self.known[key] = found
            if len(self.known) > 2 * (_LEVELS + 1):
                self.known.popitem(last=False)
        return found
