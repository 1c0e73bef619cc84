"""How to train: plain values that fit into a recipe and a checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..checks import is_whole
from ..objectives.objective import check_names
from .power_profiles import check_length
from .precision import Precision, check_precision
from .sharing import Parallel

_LARGEST_BATCH = 2**24
_MOST_AVERAGES = 8
_COOLING = 0.2  # share of a "trapezoid" that falls
Decay = Literal["constant", "cosine", "linear", "inverse-sqrt", "trapezoid"]


@dataclass(frozen=True)
class Settings:
    """How to train. Raises ValueError, in one sentence, for values that cannot be.

    Attributes:
        batch: samples per step, on all processes together.
        lr: learning rate after the warm-up.
        warmup: steps over which the learning rate rises from 0.
        decay: what the learning rate does. "constant" and "inverse-sqrt" may stop at any time: the latter falls with
            1 / sqrt(step) from step number `decay_after` on (Karras et al. 2024, eq. 67). "cosine" and "linear" fall from the
            first step on, "trapezoid" over the last fifth, to what would be 0 one step after the last.
        decay_after: steps before "inverse-sqrt" falls (t_ref; the paper's networks take 35,000 to 70,000).
        ema: decay of the weights' moving average.
        averages: lengths of power-function averages to follow, as shares of the training (sigma_rel), such as (0.05, 0.1):
            afterwards `post_hoc.average` makes one of any length of them. Each costs what the moving average does.
        weight_decay: of AdamW.
        label_dropout: share of a batch that is trained without its label, so that the network also knows all classes
            together.
        clip_gradient: largest norm of the gradient, or None.
        weighting: of noise levels: a name in `objectives.WEIGHTINGS`, or "uncertainty", which is learned.
        times: at which a batch is noised: a name in `objectives.TIMES`.
        precision: of what the network computes: "float32"; "bfloat16", refused where the hardware has none; "auto", the
            latter where it has and a measurement finds it faster (`precision.resolved`). Weights, target and loss are float32.
        compile: have torch compile the network. The first step then takes up to minutes, and needs a C++ compiler.
        parallel: what several processes do: "ddp", each has all weights; "fsdp", each keeps a part of them, of their averages
            and of their moments, for a network that is too big for one device. The checkpoint is the same.
    """

    batch: int = 512
    lr: float = 2e-3
    warmup: int = 50
    decay: Decay = "constant"
    decay_after: int = 1000
    ema: float = 0.999
    averages: tuple[float, ...] = ()
    weight_decay: float = 0.0
    label_dropout: float = 0.1
    clip_gradient: float | None = None
    weighting: str = "uniform"
    times: str = "stratified"
    precision: Precision = "float32"
    compile: bool = False
    parallel: Parallel = "ddp"

    def __post_init__(self) -> None:
        whole("batch", self.batch, least=1, most=_LARGEST_BATCH)
        whole("warmup", self.warmup, least=0)
        whole("decay_after", self.decay_after, least=1)
        if not (_is_number(self.lr) and 0 < self.lr < math.inf):
            raise ValueError(f"lr, the learning rate, must be a positive number, but got {self.lr!r}.")
        if self.decay not in get_args(Decay):
            raise ValueError(f"decay must be one of {', '.join(get_args(Decay))}, but got {self.decay!r}.")
        if not (_is_number(self.ema) and 0 <= self.ema < 1):
            raise ValueError(f"ema, the decay of the average, must be a number in [0, 1), but got {self.ema!r}.")
        if not (_is_number(self.label_dropout) and 0 <= self.label_dropout <= 1):
            raise ValueError(f"label_dropout must be a number in [0, 1], but got {self.label_dropout!r}.")
        if not (_is_number(self.weight_decay) and 0 <= self.weight_decay < math.inf):
            raise ValueError(f"weight_decay must be a number of 0 or more, but got {self.weight_decay!r}.")
        if self.clip_gradient is not None and not (
            _is_number(self.clip_gradient) and 0 < self.clip_gradient < math.inf
        ):
            raise ValueError(f"clip_gradient must be a number above 0, or None, but got {self.clip_gradient!r}.")
        check_names(self.weighting, self.times)
        check_precision(self.precision)
        if not isinstance(self.compile, bool):
            raise ValueError(f"compile must be True or False, but got {self.compile!r}.")
        if self.parallel not in get_args(Parallel):
            raise ValueError(f"parallel must be one of {', '.join(get_args(Parallel))}, but got {self.parallel!r}.")
        object.__setattr__(self, "averages", _lengths(self.averages))
        for name in ("batch", "warmup", "decay_after"):  # numpy's numbers cannot be written into a checkpoint's JSON
            object.__setattr__(self, name, int(getattr(self, name)))

    @property
    def unlabelled(self) -> float:
        """The share of a batch that is trained without its label: `label_dropout`, rounded down to whole rows."""
        return math.floor(self.batch * self.label_dropout) / self.batch

    def rows_without_label(self) -> Tensor:
        """(batch,) bool: evenly spread over the rows, since row i has the i-th stratum of t."""
        rows = torch.arange(self.batch, dtype=torch.float64, device="cpu")  # MPS has no float64
        return ((rows + 1) * self.label_dropout).floor() > (rows * self.label_dropout).floor()

    def learning_rate(self, step: int, steps: int) -> float:
        """At step number `step` = 1, 2, ... of `steps`."""
        rate = self.lr * min(1.0, step / self.warmup) if self.warmup else self.lr
        done = min(1.0, (step - 1) / steps)  # before this step
        match self.decay:
            case "cosine":
                return rate * 0.5 * (1 + math.cos(math.pi * done))
            case "linear":
                return rate * (1 - done)
            case "inverse-sqrt":
                return rate / math.sqrt(max(step / self.decay_after, 1.0))
            case "trapezoid":
                return rate * min(1.0, (1 - done) / _COOLING)
        return rate


def _lengths(averages: object) -> tuple[float, ...]:
    """The lengths of `averages` as a tuple: recipes and checkpoints have lists. ValueError in one sentence."""
    if not isinstance(averages, list | tuple):
        raise ValueError(f"averages must be a list of lengths such as [0.05, 0.1], but got {averages!r}.")
    for length in averages:
        check_length(length, "averages")
    if len(set(averages)) < len(averages) or len(averages) > _MOST_AVERAGES:
        raise ValueError(f"averages must be at most {_MOST_AVERAGES} different lengths, but got {averages!r}.")
    return tuple(float(length) for length in averages)


def whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Raises ValueError, in one sentence, unless the setting `name` is a whole number of at least `least`."""
    if not is_whole(value, least) or (most is not None and int(value) > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {bounds}, but got {value!r}.")


def _is_number(value: object) -> bool:
    """Whether this is a float, or a whole number that fits into one."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)
