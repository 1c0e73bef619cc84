"""How a run in the background is doing: its losses and its speed, taken in step by step without waiting for the device."""

from __future__ import annotations

import math
import time
from collections import deque

import torch
from torch import Tensor

from .curve import LossCurve
from .loop import CHECK_EVERY, TrainingState

_WINDOW = 2.0  # seconds over which the speed is measured


class Progress:
    """Of one `Trainer`, which sees to it that one thread at a time is here.

    Attributes:
        loss: the last one that was read; nan before the first.
        curve: of the losses that were read.
    """

    def __init__(self) -> None:
        self.loss, self.curve = math.nan, LossCurve()
        self._marks: deque[tuple[float, int]] = deque()
        self._unread: list[tuple[int, Tensor]] = []

    def add(self, state: TrainingState) -> None:
        """A step is done."""
        now = time.perf_counter()
        self._marks.append((now, state.step))
        while now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        self._unread.append((state.step, state.loss))
        # reading a loss waits for the device; on the CPU it is there already
        if state.loss.device.type == "cpu" or len(self._unread) >= CHECK_EVERY:
            self.read()

    def read(self) -> None:
        """Take in the losses of all steps so far; waits for the device."""
        if not self._unread:
            return
        losses = torch.stack([loss for _, loss in self._unread]).tolist()
        for (step, _), loss in zip(self._unread, losses, strict=True):
            if math.isfinite(loss):
                self.curve.add(step, loss)
                self.loss = loss
        self._unread.clear()

    def rest(self) -> None:
        """What lies between the steps before and the next one does not count as slow training."""
        self._marks.clear()

    def compare_anew(self) -> None:
        """Losses from here on do not compare with those before: the curve begins again."""
        self.read()
        self.curve = LossCurve()

    @property
    def steps_per_second(self) -> float:
        """Over the last two seconds; 0 before there are two steps."""
        if len(self._marks) < 2:
            return 0.0
        (t0, k0), (t1, k1) = self._marks[0], self._marks[-1]
        return (k1 - k0) / (t1 - t0) if t1 > t0 else 0.0
