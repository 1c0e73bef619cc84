"""LossFloor: the training loss at each noise level over its exact floor, and the excess on an axis of its own."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..checks import is_whole
from ..data import DataSet
from . import loss_at_t
from .arrays import Array
from .choices import as_data, schedule_of
from .following import Measuring
from .traits import ScheduleTrait

if TYPE_CHECKING:
    from ..denoisers import Denoiser, ExactDenoiser
    from ..training import Trainer


class LossFloor(Measuring):
    """Where the loss of a denoiser lies above what no network gets below, noise level by noise level.

        floor = difflab.LossFloor("ring")
        floor.follow(trainer)             # live, or floor.measure(denoiser) once

    Floor and excess are measured of x_0; each face and weighting is a factor of the level times them, so that choosing another
    one computes nothing.

    Args:
        data: whose oracle gives the floor: a data set, a name, or None for the ring of eight.
        schedule: a Schedule, its name, or {"name", "params"}.
        trainer: a training to follow at once, on the same data and schedule.
        seed: of the draws that floor and excess are averaged over.

    Raises TypeError or ValueError, in one sentence, for data without an exact denoiser.
    """

    schedule = ScheduleTrait()
    #: the face whose squared error is the loss
    prediction = traitlets.Enum(loss_at_t.FACES, "eps").tag(sync=True)
    weighting = traitlets.Enum(loss_at_t.WEIGHTINGS, "uniform").tag(sync=True)
    #: what the horizontal axis is
    over = traitlets.Enum(["t", "log-SNR"], "t").tag(sync=True)
    #: whether standard errors are drawn
    errors = traitlets.Bool(True).tag(sync=True)
    #: standard deviation of the data: one Gaussian of this spread has the highest floor there can be
    spread = traitlets.Float(1.0).tag(sync=True)
    #: (m,) noise levels, and their log-SNR
    times = Array()
    log_snr = Array()
    #: (k, m) what turns the squared error of x_0 into each of the k `measures`
    factors = Array()
    measures = traitlets.List(traitlets.Unicode()).tag(sync=True)
    #: (m, 2) of x_0's squared error: the exact floor and what was measured above it, each with its standard error
    floor = Array()
    excess = Array()
    oracle = traitlets.Unicode("population").tag(sync=True)
    #: why the network at hand is not measured; "" if it is
    note = traitlets.Unicode().tag(sync=True)
    #: the schedule that the numbers above belong to
    computed_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "prediction", "weighting", "over", "errors")
    controls = ("time", "prediction", "weighting", "over", "errors", "seed", "png")

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        *,
        trainer: Trainer | None = None,
        **traits: Any,
    ) -> None:
        self.data = _with_oracle(data)
        self._conditional = _by_class(self.data)
        self._exact: _Exact | None = None
        self._turn = threading.Lock()  # what is shown belongs together: held while `_exact` and its traits change
        super().__init__(schedule=schedule, spread=float(self.data.sigma_data), **traits)
        self.observe(lambda _: self.refresh(), ["schedule", "seed"])
        self.refresh()
        if trainer is not None:
            self.follow(trainer)

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Measure the floor of other data from now on."""
        data, seed = _with_oracle(data), self._seed_of(seed)
        with self._turn:
            self.data, self._exact, self._conditional = data, None, _by_class(data)
            gone = dict.fromkeys(("floor", "excess", "computed_for"))
            self.publish(**gone, note="", spread=float(data.sigma_data), seed=seed)
        self.refresh()

    def refresh(self) -> None:
        """Compute the floor again, in the background."""
        self.compute("exact", "floor", self._measure_floor)

    def _measure_floor(self) -> None:
        import torch

        from ..denoisers import ExactDenoiser

        data, spec, conditional = self.data, self.schedule, self._conditional
        schedule = schedule_of(spec)
        oracle = ExactDenoiser(data, schedule)
        floor = loss_at_t.mmse_at_t(oracle, torch.Generator().manual_seed(self.seed), conditional)
        rows = loss_at_t.factors(schedule, data.sigma_data)
        exact = _Exact(
            oracle,
            conditional,
            np.stack([floor.value, floor.error], axis=1),
            {name: row.numpy() for name, row in rows.items()},
        )
        with self._turn:
            if data is not self.data or conditional != self._conditional:
                return  # that of the new question is next in the lane
            moved = (
                self._exact is None or self._exact.oracle.schedule != schedule or self._exact.conditional != conditional
            )
            self._exact = exact
            self.publish(
                times=floor.times.numpy(),
                log_snr=schedule.log_snr(floor.times).numpy(),
                factors=np.stack(list(exact.factors.values())),
                measures=list(exact.factors),
                floor=exact.floor,
                oracle=oracle.of,
                computed_for={"schedule": spec},
                **({"excess": None, "note": ""} if moved else {}),
            )

    def measure(self, denoiser: Denoiser, rows: int | None = None) -> None:
        """Show what `denoiser` loses above the floor, from `rows` samples at each level (128 points or 8 images if None).

        Computes on the calling thread. While the floor is being computed for another schedule nothing is shown; a denoiser
        of another schedule is named as such. TypeError or ValueError, in one sentence, for what is no denoiser of these data.
        """
        from ..denoisers.base import Checked

        if rows is not None and not is_whole(rows, 2):
            raise ValueError(f"rows must be a whole number of at least 2, or None, but got {rows!r}.")
        Checked(denoiser)  # what is none says so here
        shape = getattr(denoiser, "shape", None)
        if shape is not None and tuple(shape) != tuple(self.data.shape):
            raise ValueError(
                f"The denoiser is made for samples of shape {tuple(shape)}, but {self.data.name} has {self.data.shape}."
            )
        conditional = getattr(denoiser, "classes", None) is not None
        if conditional != self._conditional:
            self._conditional = conditional
            self._measure_floor()
        exact = self._exact
        if exact is None:
            return  # the floor is on its way; the next measurement will find it
        if exact.oracle.schedule != denoiser.schedule:
            if schedule_of(self.schedule) != denoiser.schedule:
                self.publish(
                    note=f"The network learns under {denoiser.schedule.name}: give the scene the same schedule."
                )
            return
        found = loss_at_t.x0_excess_at_t(denoiser, exact.oracle, self.seed + 1, rows)
        with self._turn:
            if self._exact is exact:
                exact.excess = np.stack([found.value, found.error], axis=1)
                self.publish(excess=exact.excess, note="")

    def forget(self) -> None:
        """Take what was measured of a network away."""
        with self._turn:
            if self._exact is not None:
                self._exact.excess = None
            self.publish(excess=None, note="")

    def numbers(self) -> dict[str, float]:
        """Of the loss that is shown, averaged over t: floor, loss, excess, each with its error as "floor_error", and `share`,
        the part of the loss that is the floor; floor_at_t and excess_at_t at the level next to the clock. Those known."""
        found = super().numbers()
        exact = self._exact
        if exact is None:
            return found
        factor = exact.factors[self.measure_name]
        near = int(np.abs(loss_at_t.times().numpy() - self.t).argmin())
        parts = {"floor": exact.floor} | ({} if exact.excess is None else {"excess": exact.excess})
        for name, (value, error) in ((name, part.T) for name, part in parts.items()):
            found[name], found[f"{name}_error"] = _mean(factor * value), _mean_error(factor * error)
            found[f"{name}_at_t"], found[f"{name}_at_t_error"] = factor[near] * value[near], factor[near] * error[near]
        if "excess" in found:
            found["loss"] = found["floor"] + found["excess"]
            found["loss_error"] = float(np.hypot(found["floor_error"], found["excess_error"]))
            found["share"] = found["floor"] / found["loss"] if found["loss"] else 1.0
        return {name: float(value) for name, value in found.items()}

    @property
    def measure_name(self) -> str:
        """Which of `measures` is shown: weightings are the same on every face, but for the uniform one."""
        return self.prediction if self.weighting == "uniform" else self.weighting


@dataclass
class _Exact:
    """The floor, the question that it answers, and what was measured above it."""

    oracle: ExactDenoiser
    conditional: bool
    floor: np.ndarray
    factors: dict[str, np.ndarray]
    excess: np.ndarray | None = None


def _with_oracle(data: DataSet | str | None) -> DataSet:
    from ..data import FiniteSet, GaussianMixture

    found = as_data(data)
    if not isinstance(found, (GaussianMixture, FiniteSet)):
        raise TypeError(f"A floor is known of a GaussianMixture or a FiniteSet, but got {type(found).__name__}.")
    return found


def _by_class(data: DataSet) -> bool:
    """Whether the floor is that of a network that is told the class, until a network says which it is."""
    return data.is_image and data.classes is not None


def _weights() -> np.ndarray:
    """(TIMES,) of the trapezoidal rule for the mean over t."""
    t = loss_at_t.times().numpy()
    width = np.diff(t, prepend=t[0]) / 2 + np.diff(t, append=t[-1]) / 2
    return width / width.sum()


def _mean(values: np.ndarray) -> float:
    return float(_weights() @ values)


def _mean_error(errors: np.ndarray) -> float:
    return float(np.sqrt(_weights() ** 2 @ errors**2))
