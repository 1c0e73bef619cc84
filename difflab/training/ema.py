"""Exponential moving average of the weights: what is sampled from."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from ..checks import brief, is_number
from .sharing import whole

M = TypeVar("M", bound=nn.Module)


class EMA(Generic[M]):
    """avg <- d avg + (1 - d) weights after every step, with d = min(decay, (1 + k) / (10 + k)) at step k = 1, 2, ...

    The warm-up (as in TensorFlow's ExponentialMovingAverage) is what keeps early averages from being the random first
    weights. `module` is the average, a copy without gradients; buffers are copied from the model.
    """

    def __init__(self, model: M, decay: float = 0.999) -> None:
        if not is_number(decay) or not 0 <= decay < 1:
            raise ValueError(f"The EMA's decay must lie in [0, 1), but got {brief(decay)}.")
        self.decay = decay
        self.module = clone(model)
        self.follow(model)

    def follow(self, model: M) -> None:
        """Average the parameters that `model` has now, in those that `module` has now: after either were replaced."""
        self._average = [p.detach() for p in self.module.parameters()]
        self._weights = [p.detach() for p in model.parameters()]
        self._buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))

    def decay_at(self, step: int) -> float:
        return min(self.decay, (1 + step) / (10 + step))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step` (1, 2, ...)."""
        torch._foreach_lerp_(self._average, self._weights, 1 - self.decay_at(step))
        for average, own in self._buffers:
            average.copy_(own)


def clone(model: M) -> M:
    """A copy of `model` without gradients, in evaluation mode, sharing nothing; whole, where the weights of `model` lie in parts
    on several processes."""
    # tensors are copied by torch: a deep copy of one takes its whole storage, and its mode in a dry run, along
    memo: dict[int, object] = {id(b): b.detach().clone() for b in model.buffers()}
    memo |= {id(p): nn.Parameter(whole(p.detach()).clone(), requires_grad=False) for p in model.parameters()}
    return copy.deepcopy(model, memo).eval()
