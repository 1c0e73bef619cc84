"""What knows where the probability flow leads, not only how it starts: few-step models, and the exact flow beside them.

x_s = Phi(x_t; t, s) is the flow's map from time t to s. A consistency function is s = 0 alone, f(x_t, t) = Phi(x_t; t, 0); an
average velocity is (x_t - x_s) / (t - s). Whoever has the map has a `flow_map`, and samplers that leap along it ask for that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from ..schedules import Schedule
from .base import Denoiser, Posterior
from .conditioned import unwrapped


class FlowMap(Protocol):
    """A denoiser with a map. `schedule` says what x_t is."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """As `Denoiser`."""
        ...

    def flow_map(self, x_t: Tensor, t: float, s: float, labels: Tensor | None = None) -> Tensor:
        """x_s (n, *shape), where the probability flow takes `x_t` (n, *shape) from time t to s, 0 <= s < t <= 1."""
        ...


def flow_map_of(denoiser: Denoiser) -> Callable[[Tensor, float, float], Tensor]:
    """(x_t, t, s) -> x_s of a denoiser, of one that is `Conditioned`, or one that is looked at on the way.

    TypeError for one that has no map; when called, for what is no tensor, and ValueError for one of another shape than x_t.
    """
    inner, labels = unwrapped(denoiser)
    own = getattr(inner, "flow_map", None)
    if own is None:
        raise TypeError(
            f"This sampler leaps along the flow, and a {type(inner).__name__} has no flow_map: give a ConsistencyDenoiser, a"
            " MeanFlowDenoiser or an ExactFlowMap."
        )

    def leap(x_t: Tensor, t: float, s: float) -> Tensor:
        found = own(x_t, t, s) if labels is None else own(x_t, t, s, labels.to(x_t.device))
        if not isinstance(found, Tensor) or not found.is_floating_point() or found.device != x_t.device:
            got = f"{found.dtype} on {found.device}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise TypeError(
                f"A flow map must return a tensor of floating-point numbers where x_t is, but this one returned {got}."
            )
        if found.shape != x_t.shape:
            raise ValueError(
                f"A flow map must return {tuple(x_t.shape)} for this x_t, but this one returned {tuple(found.shape)}."
            )
        return found

    return leap
