"""AdamW as this training runs it: fused where torch has that, and on a CUDA device so that a graph may hold the whole step.

A CUDA graph repeats kernels on the same memory, and cannot ask the host. So there the step count and the rate are tensors on the
device (`capturable`), and a new rate is written into the one that is there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def options_for(device: torch.device) -> dict[str, Any]:
    """How AdamW is to run on this kind of device."""
    return {"fused": device.type in ("cpu", "cuda"), "capturable": device.type == "cuda"}


def adamw(groups: list[dict[str, Any]], lr: float, weight_decay: float, device: torch.device) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) of parameters on `device`, whose rate `set_rate` changes."""
    options = options_for(device)
    optimizer = torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, **options)
    if options["capturable"]:
        for group in optimizer.param_groups:
            group["lr"] = torch.full((), lr, device=device)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Take the next step at this rate; nothing waits for the device."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
