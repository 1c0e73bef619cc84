"""a x + b y for plain numbers a and b, in two passes over the tensors and as little beside them as torch allows.

What a small network's sampler costs is the calls around it: `a * x` first makes a tensor of the number, which takes longer than
to multiply by it, while the `alpha` of an addition is a plain number all the way.
"""

from __future__ import annotations

import torch
from torch import Tensor

_NOTHING = torch.zeros((), device="cpu")  # one number, which takes the dtype and the device of what it is added to


def scaled(a: float, x: Tensor) -> Tensor:
    """a x, shaped as x, in its dtype and on its device."""
    return torch.add(_NOTHING, x, alpha=a)


def combined(a: float, x: Tensor, b: float, y: Tensor) -> Tensor:
    """a x + b y, both of one shape, dtype and device."""
    return torch.add(torch.add(_NOTHING, x, alpha=a), y, alpha=b)
