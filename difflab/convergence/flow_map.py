"""The exact flow map of any denoiser, by following its flow finely: what few-step models are to learn."""

from __future__ import annotations

from torch import Tensor

from ..checks import check_samples
from ..denoisers import Conditioned, Denoiser
from ..denoisers.base import Checked, Posterior, asked
from ..flow.reference import check_steps, check_times, flow


class ExactFlowMap:
    """`denoiser` with the map of its flow, a `denoisers.flow_map.FlowMap`: exact where the denoiser is.

    Its consistency function is flow_map(x_t, t, 0), its average velocity `average_velocity`.

    Args:
        denoiser: an oracle, or a network whose own flow is asked about.
        steps: of `reference.flow`, for each leap; its error falls with the fourth power.

    Raises TypeError for what is no denoiser, ValueError for steps that are none.
    """

    def __init__(self, denoiser: Denoiser, steps: int = 200) -> None:
        Checked(denoiser)
        check_steps(steps)
        self.denoiser, self.schedule, self.steps = denoiser, denoiser.schedule, int(steps)
        self.shape = getattr(denoiser, "shape", None)

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """The denoiser's own answer."""
        return asked(self.denoiser, x_t, t, labels)

    def flow_map(self, x_t: Tensor, t: float, s: float, labels: Tensor | None = None) -> Tensor:
        """x_s, in the dtype of `x_t`. As `reference.flow`."""
        check_samples(x_t, self.shape)
        followed = self.denoiser if labels is None else Conditioned(self.denoiser, labels)
        return flow(followed, x_t, t, s, steps=self.steps).to(x_t.dtype)

    def average_velocity(self, x_t: Tensor, t: float, s: float, labels: Tensor | None = None) -> Tensor:
        """(x_t - x_s) / (t - s), shaped as x_t, for s < t; ValueError for other times."""
        check_times(t, s)
        if not s < t:
            raise ValueError(f"An average velocity is one from t down to s, but got t = {t!r} and s = {s!r}.")
        return (x_t - self.flow_map(x_t, t, s, labels)) / (t - s)
