"""What a network denoiser refuses: a prediction that says nothing where sampling starts, a range that is none, samples of another
dtype than the weights, an answer of another shape."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..checks import brief, is_number
from ..schedules import Schedule


def check_pair(schedule: Schedule, prediction: str) -> None:
    """Raises ValueError if `prediction` says nothing of x_0 at t = 1, where sampling starts."""
    if prediction == "eps" and schedule.reaches_zero_snr:
        raise ValueError(
            f"{schedule.name} ends at alpha = 0, where eps is x_t itself and says nothing of x_0: predict v, x0 or edm."
        )
    if prediction == "velocity":
        (alpha, sigma), (alpha_rate, sigma_rate) = schedule.alpha_sigma(1.0), schedule.rates(1.0)
        says = (alpha_rate * sigma - sigma_rate * alpha).detach()
        if not says.is_meta and not 0 < abs(float(says)) < math.inf:
            raise ValueError(
                f"The velocity of {schedule.name} at t = 1 is 0 or infinite, and says nothing of x_0:"
                " predict v, x0 or edm."
            )


def checked_clip(clip: object) -> tuple[float, float] | None:
    """`clip` as two floats, or None. ValueError unless it is (lowest, highest) or None."""
    if clip is None:
        return None
    if not isinstance(clip, tuple | list) or len(clip) != 2 or not all(map(is_number, clip)) or clip[0] > clip[1]:
        raise ValueError(f"clip must be the lowest and the highest value, or None, but got {brief(clip)}.")
    return float(clip[0]), float(clip[1])


def check_dtype(network: nn.Module, x_t: Tensor) -> None:
    """Raises TypeError if a network of ours has weights of another kind; one of somebody else's may know what to do."""
    weight = next(network.parameters(), x_t)
    if hasattr(network, "config") and weight.dtype != x_t.dtype and not torch.is_autocast_enabled(x_t.device.type):
        raise TypeError(
            f"This network computes in {weight.dtype}, but x_t is {x_t.dtype}; convert one of them with .to(dtype)."
        )


def check_answer(answer: Tensor, due: torch.Size) -> None:
    """Raises TypeError unless a network's `answer` is a tensor, ValueError unless it has the shape `due`."""
    if not isinstance(answer, Tensor):
        raise TypeError(
            f"The network must return a tensor, but returned a {type(answer).__name__}; networks.Adapted takes the tensor"
            " out of an answer's .sample."
        )
    if answer.shape != due:
        raise ValueError(
            f"The network must return {tuple(due)} for this x_t, but returned {tuple(answer.shape)}; see learned_range"
            " for twice the channels, and networks.Adapted for modules that are called in another way."
        )
