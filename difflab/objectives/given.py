"""What a loss must be given before anything is drawn for it."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ..checks import brief, check_generator, check_samples, is_seen, is_whole
from ..data import DataSet
from ..denoisers import ExactDenoiser
from ..denoisers.base import check_labels
from ..schedules import Schedule
from .times import Times
from .weightings import Weighting


def check_network(denoiser: object) -> None:
    """Raises TypeError unless this has a network's own prediction, which is what a weighted loss compares."""
    if not all(hasattr(denoiser, name) for name in ("schedule", "predict_at", "target_at", "gain_at")):
        raise TypeError(
            f"This loss is of a network's own prediction: give a NetworkDenoiser, but got {brief(denoiser)}."
        )


def check_denoiser(denoiser: object) -> None:
    """Raises TypeError unless this is called with (x_t, t) and has a schedule."""
    if not callable(denoiser) or not isinstance(getattr(denoiser, "schedule", None), Schedule):
        raise TypeError(f"A bound is of a denoiser, which has a schedule, but got {brief(denoiser)}.")


def check_schedule(schedule: object) -> None:
    """Raises TypeError unless this is a schedule."""
    if not isinstance(schedule, Schedule):
        raise TypeError(f"A Schedule such as VPCosine() says what x_t is, but got {brief(schedule)}.")


def check_rows(x: Tensor) -> None:
    """As `check_samples`; raises ValueError for samples without coordinates as well: rows (n,) have nothing to sum over."""
    check_samples(x, None)
    if x.ndim < 2:
        raise ValueError(f"Samples must have the shape (n, *shape of one), but got {tuple(x.shape)}.")


def check_law(weighting: Weighting | None, times: Times | None, generator: Generator | None) -> None:
    """Raises TypeError unless each is None or what its name says: names of them are for `Objective` and recipes."""
    if weighting is not None and not isinstance(weighting, Weighting):
        raise TypeError(
            f"weighting must be a Weighting such as weightings.MinSNR() or weighting_from('min-snr'), or None, but got"
            f" {brief(weighting)}."
        )
    if times is not None and not isinstance(times, Times):
        raise TypeError(
            f"times must be a law of times such as LogNormalTimes(schedule), or None, but got {brief(times)}."
        )
    check_generator(generator)


def check_oracle(oracle: ExactDenoiser, conditional: bool = False) -> None:
    """Raises TypeError unless this is an oracle, ValueError if classes are asked of data that has none."""
    if not isinstance(oracle, ExactDenoiser):
        raise TypeError(f"A floor is that of an oracle: give an ExactDenoiser, but got {brief(oracle)}.")
    if conditional and oracle.data.classes is None:
        raise ValueError(
            f"{oracle.data.name} has no classes to condition on: ask for the floor with conditional=False."
        )


def check_same(oracle: ExactDenoiser, data: DataSet, schedule: Schedule) -> None:
    """As `check_oracle`; raises ValueError unless the oracle is that of this data under this schedule."""
    check_oracle(oracle)
    if oracle.data is not data or oracle.schedule != schedule:
        raise ValueError(f"The oracle must be that of {data.name} under {schedule}, but it is {oracle!r}.")


def check_profile(t: Tensor, n: int) -> None:
    """Raises TypeError unless `t` is a tensor; ValueError unless it is (m,) of times in (0, 1], and n a number of draws."""
    if not isinstance(t, Tensor) or not t.is_floating_point():
        raise TypeError(f"The times of a profile are a tensor (m,) of floating-point numbers, but got {brief(t)}.")
    if t.ndim != 1 or not len(t):
        raise ValueError(f"The times of a profile must have the shape (m,), m of 1 or more, but got {tuple(t.shape)}.")
    if is_seen(t, lambda t: ~((t > 0) & (t <= 1))):
        raise ValueError(f"A loss is measured at times in (0, 1], where there is noise, but got {t.tolist()}.")
    check_draws(n)


def check_draws(n: int) -> None:
    """Raises ValueError unless `n` is a number of draws whose mean has a standard error."""
    if not is_whole(n, 2):
        raise ValueError(f"A mean with its standard error needs a whole number n of draws, 2 or more, but got {n!r}.")


def check_given(x0: Tensor, t: Tensor | None, eps: Tensor | None) -> None:
    """Raises ValueError unless `t`, if it is given, are (n,) times and `eps` noise shaped as x0 (n, *shape)."""
    if t is not None and (not isinstance(t, Tensor) or t.shape != x0.shape[:1]):
        shape = tuple(t.shape) if isinstance(t, Tensor) else t
        raise ValueError(f"t must be {len(x0)} times, one for each sample, but got {shape!r}.")
    if eps is not None and (not isinstance(eps, torch.Tensor) or eps.shape != x0.shape):
        got = tuple(eps.shape) if isinstance(eps, Tensor) else brief(eps)
        raise ValueError(f"eps must be shaped like x0, {tuple(x0.shape)}, but got {got}.")


def check_batch(
    x0: Tensor, labels: Tensor | None, shape: tuple[int, ...] | None, classes: int | None, vector: int | None
) -> None:
    """Raises TypeError or ValueError unless `x0` is (n, *shape), one row or more, and `labels`, if given, are (n,) classes or
    (n, vector)."""
    check_samples(x0, shape)
    if not len(x0):
        raise ValueError("A loss is the mean over a batch, but this one is empty.")
    if labels is not None:
        check_labels(labels, classes, len(x0), vector)


def check_pair(x0: Tensor, t: Tensor, s: Tensor) -> None:
    """Raises ValueError unless `t` and `s` are (n,) floating-point times, s within [0, 1]."""
    for name, times in (("t", t), ("s", s)):
        if not isinstance(times, Tensor) or not times.is_floating_point() or times.shape != x0.shape[:1]:
            got = tuple(times.shape) if isinstance(times, Tensor) else brief(times)
            raise ValueError(f"{name} must be {len(x0)} times, one for each sample, but got {got}.")
    if is_seen(s, lambda s: ~((s >= 0) & (s <= 1))):
        raise ValueError(f"s must be times from 0 to 1, but it runs from {float(s.min()):g} to {float(s.max()):g}.")
