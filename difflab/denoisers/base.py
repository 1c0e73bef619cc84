"""What a denoiser is: anything that says which x_0 is behind x_t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..checks import brief, is_seen
from ..checks import check_samples as check_samples
from ..schedules import Schedule


@dataclass(frozen=True)
class Posterior:
    """What is known of x_0 given x_t.

    Attributes:
        mean: E[x_0 | x_t], (n, *shape).
        var: Var[x_0 | x_t] of each coordinate, shaped as `mean`, where the denoiser knows it.
        fraction: where the log-variance of the reverse step lies between the small one (0) and the large one (1), shaped
            as `mean`, where it was learned (Nichol & Dhariwal 2021, eq. 15). Not bounded to [0, 1].
    """

    mean: Tensor
    var: Tensor | None = None
    fraction: Tensor | None = None


class Denoiser(Protocol):
    """(x_t, t) -> Posterior. `schedule` says what x_t is."""

    schedule: Schedule

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """`x_t` (n, *shape), `t` one time or (n,) of them, `labels` (n,) int64 where the denoiser knows classes, (n, d) where
        it knows vectors."""
        ...


class Checked:
    """A denoiser whose answers are looked at before anything is computed from them: anybody's may come here.

    TypeError if `denoiser` has no schedule, or returns no Posterior of floating-point numbers; ValueError if what it returns is
    not shaped like x_t or somewhere else than it.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        if isinstance(denoiser, type):
            raise TypeError(f"A denoiser is an object, but {denoiser.__name__} is its class: make one of it first.")
        if not callable(denoiser) or not isinstance(getattr(denoiser, "schedule", None), Schedule):
            raise TypeError(
                f"A denoiser is called with (x_t, t) and has a schedule; this {type(denoiser).__name__} is none:"
                " give a NetworkDenoiser, an ExactDenoiser or one of your own."
            )
        self.denoiser, self.schedule = denoiser, denoiser.schedule

    def __call__(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        answer = asked(self.denoiser, x_t, t, labels)
        check_answer(answer, x_t)
        return answer


def check_answer(answer: Posterior, x_t: Tensor) -> None:
    """Raises TypeError unless this is a Posterior of floating-point numbers, ValueError unless shaped like `x_t` where it is."""
    if not isinstance(answer, Posterior) and not isinstance(getattr(answer, "mean", None), Tensor):
        raise TypeError(f"A denoiser must return a Posterior, but this one returned a {type(answer).__name__}.")
    _check_part("mean", answer.mean, x_t)
    for name in ("var", "fraction"):
        part = getattr(answer, name, None)
        if part is not None:
            _check_part(name, part, x_t)


def _check_part(name: str, part: Tensor, x_t: Tensor) -> None:
    if not isinstance(part, Tensor) or not part.is_floating_point():
        kind = part.dtype if isinstance(part, Tensor) else type(part).__name__
        raise TypeError(f"A denoiser's {name} must be a tensor of floating-point numbers, but this one's is {kind}.")
    if part.shape != x_t.shape:
        raise ValueError(
            f"A denoiser's {name} must be shaped like x_t, {tuple(x_t.shape)}, but this one's is {tuple(part.shape)}."
        )
    if part.device != x_t.device:
        raise ValueError(f"A denoiser's {name} must be where x_t is, {x_t.device}, but this one's is on {part.device}.")


def asked(denoiser: Denoiser, x_t: Tensor, t: float | Tensor, labels: Tensor | None) -> Posterior:
    """The denoiser's answer; one that knows no classes need not take labels."""
    return denoiser(x_t, t) if labels is None else denoiser(x_t, t, labels)


def check_same_frame(one: Denoiser, other: Denoiser, what: str) -> None:
    """Raises TypeError if `other` is no denoiser, ValueError if its x_t or its samples are not those of `one`."""
    Checked(other)
    if other.schedule != one.schedule:
        raise ValueError(
            f"{what} must speak of the same x_t, but it has the schedule {other.schedule}, and not {one.schedule}."
        )
    shapes = getattr(one, "shape", None), getattr(other, "shape", None)
    if None not in shapes and tuple(shapes[0]) != tuple(shapes[1]):  # type: ignore[arg-type]
        raise ValueError(f"{what} must have samples of the shape {shapes[0]}, but it has {shapes[1]}.")


def noise_level(schedule: Schedule, t: float | Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) at `t` in the dtype and on the device of `x`, shaped to multiply x (n, *shape).

    Raises ValueError if `t` has neither one entry nor one for each row of `x`.
    """
    check_times(t, x)
    alpha, sigma = schedule.alpha_sigma(t)
    return beside(alpha, x), beside(sigma, x)


def check_times(t: float | Tensor, x: Tensor) -> None:
    """Raises ValueError if `t` has neither one entry nor one for each row of `x`."""
    if isinstance(t, Tensor) and t.ndim and t.shape != x.shape[:1]:
        raise ValueError(
            f"t must be one time or {len(x)} of them, one for each sample, but has the shape {tuple(t.shape)}."
        )


def beside(level: Tensor, x: Tensor) -> Tensor:
    """`level`, one number or (n,), in the dtype and on the device of `x` (n, *shape), shaped to multiply it."""
    return level.to(x.device, x.dtype).reshape((-1, *[1] * (x.ndim - 1)) if level.ndim else ())


def bayes(log_joint: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """(exp(log_joint) over its sum along `dim`, log of that sum), which sums to 1 however far out all terms lie."""
    largest = log_joint.detach().amax(dim, keepdim=True).clamp(min=torch.finfo(log_joint.dtype).min)
    terms = (log_joint - largest).exp()
    total = terms.sum(dim, keepdim=True)
    return terms / total, (largest + total.log()).squeeze(dim)


def check_labels(labels: Tensor, classes: int | None, n: int, vector: int | None = None) -> None:
    """Raises TypeError unless `labels` is a tensor, ValueError unless it is (n,) whole numbers from 0 to classes - 1, or, for
    conditions that are vectors of this length, (n, vector) floating-point numbers; a row of nan is none.

    The numbers are looked at on the CPU: on an accelerator every call would have to wait for them.
    """
    if vector is not None:
        _check_vectors(labels, vector, n)
        return
    if classes is None:
        raise ValueError("This denoiser knows no classes; call it without labels.")
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor of {n} whole numbers, but got {brief(labels)}.")
    if labels.shape != (n,) or labels.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"labels must be {n} whole numbers, one for each sample, but got {tuple(labels.shape)} of {labels.dtype}."
        )
    if is_seen(labels, lambda labels: (labels < 0) | (labels >= classes)):
        raise ValueError(
            f"labels must lie between 0 and {classes - 1}, but got {int(labels.min())} to {int(labels.max())}."
        )


def _check_vectors(labels: Tensor, length: int, n: int) -> None:
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels must be a tensor of {n} vectors of {length} numbers, but got {brief(labels)}.")
    if labels.shape != (n, length) or not labels.is_floating_point():
        raise ValueError(
            f"labels must be {n} vectors of {length} floating-point numbers, one for each sample, but got"
            f" {tuple(labels.shape)} of {labels.dtype}."
        )
    if is_seen(labels, lambda labels: ~labels.isfinite().all(1) & ~labels.isnan().all(1)):
        raise ValueError("The numbers of a label that is a vector must be finite, or all of them nan for none.")
