"""A module that was not made for difflab, called as difflab calls a network."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args

from torch import Tensor, nn

from ..checks import brief, is_whole
from ..schedules import Schedule
from .sizes import check_inputs

Told = Literal["nothing", "log_snr", "c_noise", "sigma", "t", "step"]
_TOLD: tuple[str, ...] = get_args(Told)
_STEPS = 1000  # of the chains that modules which count steps were made for


class Adapted(nn.Module):
    """`module` as network(x, noise level, labels): whatever it is told of the noise, it is told here.

        NetworkDenoiser(Adapted(unet, "c_noise"), EDM(), "edm", sigma_data=0.5)

    Args:
        module: returns a tensor shaped as x (n, *shape), or something with such a tensor as `.sample`.
        told: its second argument, (n,):
            "nothing": there is none, module(x);
            "log_snr": lambda = log(alpha^2 / sigma^2);
            "c_noise": log(sigma / alpha) / 4 = -lambda / 8 (Karras et al. 2022, table 1);
            "sigma": sigma / alpha, the noise level where the data is not shrunk;
            "t": time in [0, 1] under `schedule`;
            "step": 1000 t, the index in a chain of 1000 steps, not rounded.
        schedule: for "t" and "step".
        labels: the keyword by which it takes labels (n,), "class_labels" say; it is left out when there are none.
        classes: number of classes it knows, with `labels`.

    Levels reach it clamped to |lambda| <= 20, as every network of a `NetworkDenoiser`. Raises ValueError if these do not fit,
    TypeError for what is no module.
    """

    def __init__(
        self,
        module: nn.Module,
        told: Told = "log_snr",
        *,
        schedule: Schedule | None = None,
        labels: str | None = None,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        if not callable(module) or isinstance(module, type):
            raise TypeError(
                f"Adapted needs a module that can be called, but got a {type(module).__name__}, {brief(module)}."
            )
        if told not in _TOLD:
            raise ValueError(f"A module can be told {', '.join(_TOLD)}, but got {told!r}.")
        if told in ("t", "step") and not isinstance(schedule, Schedule):
            raise ValueError(f"To tell a module {told}, give the schedule that says which noise level is when.")
        if (labels is None) != (classes is None):
            raise ValueError(
                "A module with classes needs both: labels, its keyword for them, and classes, their number."
            )
        if labels is not None and not (isinstance(labels, str) and is_whole(classes)):
            raise ValueError(
                "A module's labels are its keyword for them, and its classes a whole number of at least 1, but got"
                f" {labels!r} and {classes!r}."
            )
        self.module, self.told, self.schedule = module, told, schedule
        self.labels, self.classes = labels, classes

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`x` (n, *shape), `level` (n,) or (1,), lambda / 4, `labels` (n,) int64 or None -> (n, *shape)."""
        options: dict[str, Any] = {} if labels is None or self.labels is None else {self.labels: labels}
        check_inputs(x, level, None)
        arguments = self._argument(4 * level.expand(len(x)))
        try:
            answer = self.module(x, *arguments, **options)
        except TypeError:
            check_call(self.module, "x", *[self.told] * len(arguments), **dict.fromkeys(options, "labels"))
            raise
        return getattr(answer, "sample", answer)

    def _argument(self, log_snr: Tensor) -> tuple[Tensor, ...]:
        match self.told:
            case "nothing":
                return ()
            case "log_snr":
                return (log_snr,)
            case "c_noise":
                return (-log_snr / 8,)
            case "sigma":
                return ((-log_snr / 2).exp(),)
        assert self.schedule is not None
        t = self.schedule.t_of_log_snr(log_snr)
        return (t if self.told == "t" else _STEPS * t,)


def check_call(module: Any, *arguments: str, **keywords: str) -> None:
    """Raises TypeError if `module`'s signature, where it tells one, does not take these arguments, named as in a sentence."""
    try:
        signature = inspect.signature(getattr(module, "forward", module))
    except (TypeError, ValueError):  # built in, or compiled
        return
    try:
        signature.bind(*arguments, **keywords)
    except TypeError:
        called = ", ".join([*arguments, *(f"{key}=..." for key in keywords)])
        raise TypeError(
            f"{type(module).__name__} is called with {signature}, but would be called with ({called}): wrap it in"
            " networks.Adapted, which can tell a module nothing, log_snr, c_noise, sigma, t or step, or write a forward"
            " that takes them."
        ) from None
