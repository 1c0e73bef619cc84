"""A pool of noise: every draw has a name, so that changing one knob leaves the other draws as they were.

Row i of a draw is the same whatever the number of rows, and the draws of a run depend only on the pool's seed and their
own name: more steps, another eta or another step size keep the initial noise, and step k keeps its noise.

Philox is a function of a key and a counter (Salmon et al. 2011): a name is written into them, and the stream that follows
is its own. To start one costs a microsecond, where seeding a generator anew costs ten.
"""

from __future__ import annotations

import operator
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Generator, Tensor

from ..checks import brief, check_generator, is_whole

_START, _STEP = 0, 1


class Noise(ABC):
    """Where a run's random draws come from. Row i of every draw is the same whatever the number of rows."""

    @abstractmethod
    def start(self, n: int, shape: tuple[int, ...]) -> Tensor:
        """What x at the first time is made of: (n, *shape) float32 on the CPU."""

    @abstractmethod
    def step(self, like: Tensor, index: int, substep: int = 0) -> Tensor:
        """The noise of step `index`, in the shape, dtype and on the device of `like` (n, *shape)."""

    def between(self, like: Tensor, index: int, first: float, last: float, substep: int = 0) -> Tensor:
        """The noise of step `index`, which leads from the log-SNR `first` up to `last`: standard normal, as `step`.

        A pool that knows one Brownian path, whatever the steps it is cut into, gives its increment here.
        """
        return self.step(like, index, substep)


@dataclass(frozen=True)
class NoisePool(Noise):
    """Standard normal draws, each from its own Philox stream named (seed, purpose, step, substep).

    Args:
        seed: 0 to 2^64 - 1; two pools of one seed are equal, and give the same draws. Else ValueError.
    """

    seed: int

    def __post_init__(self) -> None:
        if not is_whole(self.seed, 0) or self.seed >= 2**64:
            raise ValueError(f"A pool's seed is a whole number from 0 to 2^64 - 1, but got {brief(self.seed)}.")

    @classmethod
    def drawn(cls, generator: Generator | None = None) -> Self:
        """A pool whose seed is one draw of `generator` (of torch's global one if None)."""
        check_generator(generator)
        device = "cpu" if generator is None else generator.device
        return cls(int(torch.randint(2**63 - 1, (), generator=generator, device=device).item()))

    def start(self, n: int, shape: tuple[int, ...]) -> Tensor:
        """What x at the first time is made of: (n, *shape) float32 on the CPU."""
        if not isinstance(shape, tuple | list):
            raise ValueError(f"The shape of one sample is whole numbers such as (2,), but got {brief(shape)}.")
        return torch.from_numpy(normal((n, *shape), self.seed, _START))

    def step(self, like: Tensor, index: int, substep: int = 0) -> Tensor:
        """The noise of step `index`, in the shape, dtype and on the device of `like` (n, *shape)."""
        if not isinstance(like, Tensor):
            raise TypeError(f"Noise is drawn in the shape of a tensor, but got {brief(like)}.")
        z = torch.from_numpy(normal(like.shape, self.seed, _STEP, index, substep))
        return z if like.is_cpu and like.dtype is torch.float32 else z.to(like.device, like.dtype)


class _Stream(threading.local):
    """One generator for each thread: its state is written anew for every draw, so that nothing of it is remembered."""

    def __init__(self) -> None:
        self.bits = np.random.Philox(key=0)
        self.standard_normal = np.random.Generator(self.bits).standard_normal


_stream = _Stream()


def normal(shape: tuple[int, ...], seed: int, purpose: int, first: int = 0, second: int = 0) -> np.ndarray:
    """Standard normal float32 from the stream of this name: the first numbers of it, whatever the shape.

    All parts of a name are whole numbers below 2^64, else ValueError; so for a shape that is none.
    """
    stream = _stream
    try:
        counter = (0, operator.index(first), operator.index(second), 0)  # the draws count up the first word
        state: Any = {  # numbers do for its arrays
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": (seed, purpose)},
            "buffer": (0, 0, 0, 0),
            "buffer_pos": 4,  # used up: nothing of the last draw is left in it
            "has_uint32": 0,
            "uinteger": 0,
        }
        stream.bits.state = state
    except (TypeError, OverflowError):
        raise ValueError(
            "A draw is named by the number of its step and one beside it, whole numbers from 0 to 2^64 - 1, but got"
            f" {brief(first)} and {brief(second)}."
        ) from None
    try:
        return stream.standard_normal(shape, dtype=np.float32)
    except (TypeError, ValueError):
        raise ValueError(f"Draws have a shape of whole numbers, 0 or more, but got {brief(shape)}.") from None
