"""Dropout whose masks are a function of what the network is shown, and of nothing else.

Random numbers need no stream (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a good hash of a name is as
random as the next draw. Here the name is a row's own bits, the layer and the place in it. The noise in x_t makes every row of
every batch another one, so that masks are as good as drawn; and a run that is continued, or shared among processes, has the
same masks for the same rows, with nothing to keep and no generator to advance.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# multipliers and shifts of a 32-bit hash (Wellons 2018, "lowbias32") whose output bits flip with probability 1/2, to 2^-12,
# for every bit of its input
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B - 2**32
_GOLDEN = 0x9E3779B9 - 2**32  # 2^32 over the golden ratio, odd: its multiples are spread evenly


class Masks:
    """The masks of one pass through a network: called with the input of one layer after the other.

    Args:
        x: what the network is shown, (n, *shape).
        rate: share of the numbers of a layer that become 0, in [0, 1); the others grow by 1 / (1 - rate).
    """

    def __init__(self, x: Tensor, rate: float) -> None:
        self.rate, self._layer = rate, 0
        bits = x.detach().float().flatten(1).contiguous().view(torch.int32)
        # sums of whole numbers wrap around and know no order: a row's key is the same on every device
        weights = _mixed(_places(bits.shape[1], bits.device)) | 1
        self._rows = _mixed((bits * weights).sum(1, keepdim=True, dtype=torch.int32))

    def __call__(self, h: Tensor) -> Tensor:
        """`h` (n, ...) with some of its numbers dropped, others in every row."""
        self._layer += 1
        places = _mixed(_places(h[0].numel(), h.device) + _wrapped(self._layer * _FIRST))
        chance = (self._rows ^ places) * _FIRST  # both are hashes already: this much more makes one of the two
        chance ^= chance >> 15
        chance *= _SECOND
        dropped = chance < round(self.rate * 2**32) - 2**31
        return (h / (1 - self.rate)).masked_fill(dropped.view(h.shape), 0)


def masks_of(network: nn.Module, x: Tensor) -> Masks | None:
    """The masks of a pass that is shown `x` (n, *shape); None in evaluation, and where `network.dropout` is 0."""
    return Masks(x, network.dropout) if network.training and network.dropout else None  # type: ignore[arg-type]


def _places(n: int, device: torch.device) -> Tensor:
    return torch.arange(1, n + 1, dtype=torch.int32, device=device) * _GOLDEN


def _mixed(h: Tensor) -> Tensor:
    """A hash of whole numbers of 32 bits."""
    h = (h ^ (h >> 16 & 0xFFFF)) * _FIRST  # shifts of numbers with a sign bring ones in, which are masked
    h = (h ^ (h >> 15 & 0x1FFFF)) * _SECOND
    return h ^ (h >> 16 & 0xFFFF)


def _wrapped(number: int) -> int:
    """As a whole number of 32 bits with a sign."""
    return (number + 2**31) % 2**32 - 2**31
