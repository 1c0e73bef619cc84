"""What a training minimises: a weighting and a law of times by their names, and what both have learned so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..denoisers import ExactDenoiser
from ..denoisers.network import NetworkDenoiser
from ..device import resolve
from ..estimate import Estimate
from ..schedules import Schedule
from .adaptive import InformationTimes, LossTimes
from .denoising import DenoisingLoss, denoising_loss, loss_of
from .floor import floor
from .noised import Noised, drawn
from .times import LogNormalTimes, Times
from .uncertainty import Uncertainty
from .weightings import EDM, WEIGHTINGS, Weighting, weighting_from

TIMES: dict[str, Callable[[Schedule], Times]] = {
    "stratified": lambda schedule: Times("stratified"),
    "uniform": lambda schedule: Times("uniform"),
    "antithetic": lambda schedule: Times("antithetic"),
    "log-normal": LogNormalTimes,
    "loss": lambda schedule: LossTimes(),
    "information": lambda schedule: InformationTimes(),
}
OBJECTIVES = (*WEIGHTINGS, "uncertainty")


class Objective:
    """A loss with a memory.

    Args:
        weighting: one of `OBJECTIVES`: a name in `WEIGHTINGS`, or "uncertainty" on top of EDM's.
        times: a name in `TIMES`.
        sigma_data: of the denoiser; weightings that ask for it take 1 where it is 0.
        device: where the denoiser is.

    Raises ValueError for an unknown name or device.
    """

    def __init__(
        self,
        weighting: str = "uniform",
        times: str = "stratified",
        *,
        sigma_data: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_names(weighting, times)
        device = resolve(device)
        size = sigma_data or 1.0
        self.weighting: Weighting = (
            Uncertainty(EDM(size)).to(device) if weighting == "uncertainty" else weighting_from(weighting, size)
        )
        self._law = TIMES[times]
        self._times: tuple[Schedule, Times] | None = None
        #: puts together the rows (n, ...) of all processes that share a batch: what times learn from
        self.gathered: Callable[[Tensor], Tensor] | None = None

    def loss(
        self, denoiser: NetworkDenoiser, x0: Tensor, labels: Tensor | None = None, *, generator: Generator | None = None
    ) -> DenoisingLoss:
        """The loss of a batch, as `denoising_loss`; times that learn learn from it."""
        times = self.times(denoiser.schedule)
        loss = denoising_loss(denoiser, x0, labels, generator=generator, weighting=self.weighting, times=times)
        times.learn_from(loss, denoiser, self.weighting)
        return loss

    def noised(
        self, denoiser: NetworkDenoiser, x0: Tensor, *, batches: int = 1, generator: Generator | None = None
    ) -> Noised:
        """`x0` (batches * n, *shape), several batches one after the other, each at times drawn for it by itself."""
        times = self.times(denoiser.schedule)
        return drawn(denoiser, x0, times, batches=batches, weighting=self.weighting, generator=generator)

    def loss_of(self, batch: Noised, answer: Tensor, denoiser: NetworkDenoiser) -> Tensor:
        """The mean loss of a network's `answer` to a batch of `noised`, with gradients; times that learn learn from it."""
        if not self.learns(denoiser.schedule):
            return batch.mean_loss(answer)
        times = self.times(denoiser.schedule)
        counted = None if batch.factor is None or batch.log_snr is None else (batch.factor, batch.log_snr)
        loss = loss_of(answer - batch.due, batch.t, counted, batch.weight, self.weighting)
        times.learn_from(self._of_all(loss) if times.adaptive else loss, denoiser, self.weighting)
        return loss.mean

    def _of_all(self, loss: DenoisingLoss) -> DenoisingLoss:
        if self.gathered is None:
            return loss
        rows = (self.gathered(column.detach()) for column in (loss.per_sample, loss.t, loss.squared))
        return DenoisingLoss(loss.mean.detach(), *rows)

    def floor(self, oracle: ExactDenoiser, prediction: str, **options: Any) -> Estimate:
        """What no network's mean loss gets below: `floor` under this weighting and, as they are now, these times."""
        options = {"weighting": self.weighting, "times": self.times(oracle.schedule), **options}
        return floor(oracle, prediction, **options)

    def learns(self, schedule: Schedule) -> bool:
        """Whether the weighting or the times change with what they are told; else a loss is `Noised.mean_loss`."""
        return isinstance(self.weighting, Uncertainty) or self.times(schedule).adaptive

    def times(self, schedule: Schedule) -> Times:
        """The law of t under this schedule. Under another one than last time it begins anew: levels moved to other times."""
        if self._times is None or self._times[0] != schedule:
            self._times = schedule, self._law(schedule)
        return self._times[1]

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """What is to be trained beside the network: of an `Uncertainty`, else nothing."""
        return list(self.weighting.named_parameters()) if isinstance(self.weighting, Uncertainty) else []

    def state(self, schedule: Schedule) -> dict[str, Tensor]:
        """All that changes, by name, for a run under `schedule`; empty where nothing learns."""
        learned = {f"weighting/{name}": p.detach() for name, p in self.named_parameters()}
        return learned | {f"times/{k}": v for k, v in self.times(schedule).state().items()}

    def restore(self, state: dict[str, Tensor], schedule: Schedule) -> None:
        """Take up a `state` of the same objective. Raises KeyError or ValueError if it is of another one."""
        with torch.no_grad():
            for name, p in self.named_parameters():
                p.copy_(state[f"weighting/{name}"])
        prefix = "times/"
        self.times(schedule).restore({k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)})


def check_names(weighting: object, times: object) -> None:
    """Raises ValueError, in one sentence, for a name that is none."""
    for what, name, known in (("weighting", weighting, OBJECTIVES), ("times", times, tuple(TIMES))):
        if name not in known:
            raise ValueError(f"{what} must be one of {', '.join(known)}, but got {name!r}.")
