"""Training few-step models as a generator: the shortest loop that does it, with an average of the weights.

Beside `train`, which minimises denoising losses alone and keeps all that a run needs to be continued, this one minimises any
`FewStepObjective` and keeps nothing: no checkpoints, no resuming.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Generator, Tensor, nn

from ..checks import brief, check_generator, is_number
from ..data import DataSet
from ..data.base import check_data
from ..denoisers.consistency import ConsistencyDenoiser
from ..denoisers.mean_flow import MeanFlowDenoiser
from ..device import resolve
from .batches import batches
from .ema import EMA, clone
from .settings import whole

_MOST_BATCH = 10**7
M = TypeVar("M", ConsistencyDenoiser, MeanFlowDenoiser)


class FewStepObjective(Protocol):
    """What is minimised: `objectives.ConsistencyTraining`, `objectives.MeanFlowTraining`, or one of your own."""

    def loss(
        self,
        model: Any,
        x0: Tensor,
        labels: Tensor | None = None,
        *,
        progress: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """The loss of a batch x0 (n, *shape), a scalar with gradients, when a share `progress` of the steps is done."""
        ...


@dataclass(frozen=True, slots=True)
class FewStepState(Generic[M]):
    """What one step yields.

    Attributes:
        step: 1, 2, ...: how many updates the weights have had.
        loss: of this step's batch, before its update; a scalar on the device, without gradients.
        model: the model itself, live.
        average: its moving average, live.
    """

    step: int
    loss: Tensor
    model: M
    average: EMA[M]

    @property
    def ema(self) -> M:
        """A copy of the averaged model as it is now: the one to sample from."""
        return clone(self.average.module)


def train_few_step(
    model: M,
    data: DataSet,
    objective: FewStepObjective,
    *,
    steps: int,
    batch: int = 512,
    lr: float = 1e-3,
    warmup: int = 50,
    ema: float = 0.999,
    clip_gradient: float | None = 1.0,
    generator: Generator | None = None,
    device: str | torch.device = "auto",
) -> Iterator[FewStepState[M]]:
    """Train `model` in place for `steps` steps of Adam; yields after every step.

    Args:
        model: moved to `device`; a model that knows classes, or vectors, is trained with them.
        objective: the loss.
        lr: learning rate; it rises over `warmup` steps and falls as half a cosine to 0 at the end.
        ema: decay of the average.
        clip_gradient: largest norm of the gradient, or None. Leaps bring rare large ones.
        generator: a CPU generator; gives the seeds of the run's two streams, data and noise.

    Raises TypeError or ValueError at once, in one sentence, for what cannot be trained so, and FloatingPointError, on the
    way, when a loss is nan or inf.
    """
    if not isinstance(model, ConsistencyDenoiser | MeanFlowDenoiser):
        raise TypeError(f"A few-step model is a ConsistencyDenoiser or a MeanFlowDenoiser, but got {brief(model)}.")
    if isinstance(objective, type) or not callable(getattr(objective, "loss", None)):
        raise TypeError(
            f"An objective has a loss, such as MeanFlowTraining() or ConsistencyTraining(), but got {brief(objective)}."
        )
    check_data(data)
    check_generator(generator)
    whole("steps", steps, least=1)
    whole("batch", batch, least=1, most=_MOST_BATCH)
    whole("warmup", warmup, least=0)
    if not is_number(lr) or lr <= 0:
        raise ValueError(f"lr, the learning rate, must be a positive number, but got {lr!r}.")
    if clip_gradient is not None and (not is_number(clip_gradient) or clip_gradient <= 0):
        raise ValueError(f"clip_gradient must be a number above 0, or None, but got {clip_gradient!r}.")
    if model.shape not in (None, data.shape):
        raise ValueError(f"The network is made for samples of shape {model.shape}, but {data.name} has {data.shape}.")
    for of, knows, has in (("classes", model.classes, data.classes), ("numbers a vector", model.vector, data.vector)):
        if knows is not None and knows != has:
            raise ValueError(
                f"The network knows {knows} {of}, and {data.name} has {has or 'none'}: build it for this data."
            )
    where = resolve(device)
    model.to(where)
    return _steps(model, data, objective, steps, batch, lr, warmup, EMA(model, ema), clip_gradient, generator, where)


def _steps(
    model: M,
    data: DataSet,
    objective: FewStepObjective,
    steps: int,
    batch: int,
    lr: float,
    warmup: int,
    average: EMA[M],
    clip_gradient: float | None,
    generator: Generator | None,
    device: torch.device,
) -> Iterator[FewStepState[M]]:
    seeds = torch.randint(2**62, (2,), generator=generator, dtype=torch.int64).tolist()
    noise = Generator(device).manual_seed(seeds[1])
    labelled = model.classes is not None or model.vector is not None
    source = batches(data, device, Generator().manual_seed(seeds[0]), labelled)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=lr, betas=(0.9, 0.99))
    model.train()
    for step in range(1, steps + 1):
        x0, labels = source.draw(batch)
        loss = objective.loss(model, x0, labels, progress=(step - 1) / steps, generator=noise)
        _check_loss(loss)
        if device.type != "meta" and not bool(loss.isfinite()):
            raise FloatingPointError(
                f"The loss of step {step} was not finite, so training stopped there; try a smaller learning rate."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if clip_gradient is not None:
            nn.utils.clip_grad_norm_(parameters, clip_gradient)
        rising = min(1.0, step / warmup) if warmup else 1.0
        for group in optimizer.param_groups:
            group["lr"] = lr * rising * 0.5 * (1 + math.cos(math.pi * (step - 1) / steps))
        optimizer.step()
        average.update(step)
        yield FewStepState(step, loss.detach(), model, average)


def _check_loss(loss: Tensor) -> None:
    if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
        got = f"the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) and loss.ndim else brief(loss)
        raise TypeError(f"An objective's loss must be one number with a gradient, but got {got}.")
