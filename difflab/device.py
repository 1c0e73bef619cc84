"""Where tensors live: "auto" is the best device at hand."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import brief

WITHOUT_FLOAT64 = {"mps"}  # kinds of device


def has_float64(device: torch.device) -> bool:
    return device.type not in WITHOUT_FLOAT64


def in_float64(x: Tensor) -> Tensor:
    """`x` in float64: where it is, or on the CPU where its device has none."""
    return (x if has_float64(x.device) else x.cpu()).double()


def sent(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; from the CPU to a GPU through pinned memory, without waiting for what that still has to do."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)


def resolve(device: str | torch.device = "auto") -> torch.device:
    """The device named; "auto" is cuda where there is one, else mps, else cpu.

    Raises ValueError in one sentence if the name is unknown or this machine has no such device, TypeError for what is no name.
    """
    if isinstance(device, torch.device):
        return device
    if not isinstance(device, str | int) or isinstance(device, bool):
        raise TypeError(f"A device is auto, cpu, cuda, cuda:1, ... or mps, but got {brief(device)}.")
    if device == "auto":
        return torch.device("cuda" if _has("cuda") else "mps" if _has("mps") else "cpu")
    resolved = _named(device)
    if resolved.type in ("cuda", "mps") and not _has(resolved.type):
        raise ValueError(
            f"This machine offers torch no {resolved.type} device, but device is {brief(device)}: choose auto or cpu."
        )
    return resolved


def check_device_name(device: object) -> None:
    """ValueError, in one sentence, unless this is the name of a device, on this machine or another."""
    if not isinstance(device, str):
        raise ValueError(f"device must be a name, but got {brief(device)}: choose auto, cpu, cuda, cuda:1, ... or mps.")
    if device != "auto":
        _named(device)


def _named(device: str | int) -> torch.device:
    try:
        return torch.device(device)
    except (RuntimeError, ValueError) as error:  # the latter for a number beyond 64 bits
        raise ValueError(
            f"There is no device named {brief(device)}; choose auto, cpu, cuda, cuda:1, ... or mps."
        ) from error


def _has(kind: str) -> bool:
    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()
