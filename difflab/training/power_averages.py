"""Power-function averages of the weights, followed while training, so that one of any length can be had afterwards.

Two are enough (Karras et al. 2024, section 3.2); what of them is kept is in the files of `snapshots.py`, what is made of it in
`post_hoc.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from .ema import EMA, M
from .power_profiles import decay_at, gamma_of
from .sharing import fill, whole
from .snapshots import Snapshots


class PowerEMA(EMA[M]):
    """The average of length `sigma_rel`, a share of the training so far; `module` is it, a copy without gradients.

    It needs no warm-up: after the first update it is the model, and its first weights count nothing.
    """

    def __init__(self, model: M, sigma_rel: float) -> None:
        self.gamma = gamma_of(sigma_rel)
        super().__init__(model)

    def decay_at(self, step: int) -> float:
        return decay_at(step, self.gamma)


class PowerAverages:
    """Averages of several lengths of one model.

    Attributes:
        averages: by their length, sigma_rel.
        snapshots: of all of them, at evenly spaced steps.
    """

    def __init__(self, model: nn.Module, lengths: tuple[float, ...], folder: Path | None = None) -> None:
        self.averages = {length: PowerEMA(model, length) for length in lengths}
        self.snapshots = Snapshots(folder)

    def update(self, step: int) -> None:
        """Take in the weights after step number `step` (1, 2, ...)."""
        if not self.averages:
            return
        for average in self.averages.values():
            average.update(step)
        if self.snapshots.due(step):
            self.snapshots.add(step, self.copied())

    def state(self) -> dict[str, Tensor]:
        """The averages as they are, not copied, named <length>/<name of the weight>."""
        return {
            f"{length!r}/{name}": value
            for length, average in self.averages.items()
            for name, value in average.module.state_dict().items()
        }

    def copied(self) -> dict[str, Tensor]:
        """A copy of `state` on the CPU."""
        return {name: whole(value.detach()).to("cpu", copy=True).contiguous() for name, value in self.state().items()}

    def check(self, state: dict[str, Tensor], step: int) -> None:
        """ValueError, in one sentence, if a run that stopped at `step` in this `state` did not follow all of these."""
        found = lengths_of(state)
        for length in self.averages:
            if step and length not in found:
                raise ValueError(
                    f"the average of length {length} was not followed from its first step on: averages may be"
                    f" {' and '.join(map(str, found)) or 'none'}."
                )

    def restore(self, state: dict[str, Tensor], step: int) -> None:
        """Take up a `state` that was `check`ed; what was kept of later steps is forgotten."""
        if step:
            for length, average in self.averages.items():
                fill(average.module, of_length(state, length))
        self.snapshots.forget_after(step)

    def parameters(self) -> Iterator[Tensor]:
        for average in self.averages.values():
            yield from average.module.parameters()


def lengths_of(state: dict[str, Tensor]) -> tuple[float, ...]:
    """The lengths of the averages in a `PowerAverages.state`."""
    return tuple(sorted({float(name.partition("/")[0]) for name in state}))


def of_length(state: dict[str, Tensor], length: float) -> dict[str, Tensor]:
    """The weights of the average of this length in a `PowerAverages.state`, by their own names."""
    mark = f"{length!r}/"
    return {name[len(mark) :]: value for name, value in state.items() if name.startswith(mark)}
