"""A pool of noise: every draw has a name, so that changing one knob leaves the other draws as they were.

Row i of a draw is the same whatever the number of rows, and the draws of a run depend only on the pool's seed and their
own name: more steps, another eta or another step size keep the initial noise, and step k keeps its noise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

_START, _STEP = 0, 1


class Noise(ABC):
    """Where a run's random draws come from. Row i of every draw is the same whatever the number of rows."""

    @abstractmethod
    def start(self, n: int, shape: tuple[int, ...]) -> Tensor:
        """What x at the first time is made of: (n, *shape) float32 on the CPU."""

    @abstractmethod
    def step(self, like: Tensor, index: int, substep: int = 0) -> Tensor:
        """The noise of step `index`, in the shape, dtype and on the device of `like` (n, *shape)."""

    def between(self, like: Tensor, index: int, first: float, last: float) -> Tensor:
        """The noise of step `index`, which leads from the log-SNR `first` up to `last`: standard normal, as `step`.

        A pool that knows one Brownian path, whatever the steps it is cut into, gives its increment here.
        """
        return self.step(like, index)


@dataclass(frozen=True)
class NoisePool(Noise):
    """Standard normal draws, each from its own Philox stream keyed by (seed, purpose, step, substep)."""

    seed: int

    @classmethod
    def drawn(cls, generator: Generator | None = None) -> NoisePool:
        """A pool whose seed is one draw of `generator` (of torch's global one if None)."""
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(f"generator must be a torch.Generator, but got {generator!r}.")
        device = "cpu" if generator is None else generator.device
        return cls(int(torch.randint(2**63 - 1, (), generator=generator, device=device).item()))

    def start(self, n: int, shape: tuple[int, ...]) -> Tensor:
        """What x at the first time is made of: (n, *shape) float32 on the CPU."""
        return self._normal((n, *shape), _START)

    def step(self, like: Tensor, index: int, substep: int = 0) -> Tensor:
        """The noise of step `index`, in the shape, dtype and on the device of `like` (n, *shape)."""
        return self._normal(tuple(like.shape), _STEP, index, substep).to(like.device, like.dtype)

    def _normal(self, shape: tuple[int, ...], *name: int) -> Tensor:
        stream = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, *name])))
        return torch.from_numpy(stream.standard_normal(shape, dtype=np.float32))
