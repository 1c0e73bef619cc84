"""Which levels of a chain a shorter run visits: the three rules that go by name in DDPM's followers (Lin et al. 2024, table 2).

For N of T steps, in our numbering (k = 1 is the lowest level, T the highest; the code they come from counts from 0):

    leading    k = 1 + offset + j floor(T / N), j = N - 1..0      ends on the lowest level, starts below the highest one
    trailing   k = round(T - j T / N), j = 0..N - 1               starts on the highest level, as `of_chain` does
    linspace   k = 1 + round(j (T - 1) / (N - 1)), j = N - 1..0   visits both

each followed by data. A run that starts below the highest level starts from what is not quite noise: there a network sees
less signal than it was trained on (ibid., section 3.3). Rounding is numpy's, of the very floating-point numbers those codes
round, halves to even: so that the levels are theirs for every N.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...chain import MarkovChain
from ...checks import brief, is_whole
from .checks import check_chain_has


def leading(chain: MarkovChain, steps: int, *, offset: int = 0) -> Tensor:
    """The times of `chain` at 1 + offset + j floor(T / steps), then 0: (steps + 1,).

    Raises TypeError for what is no chain, ValueError unless 1 <= steps <= T and the offset leaves all levels within the chain.
    """
    check_chain_has(chain, steps)
    k = 1 + np.arange(steps)[::-1] * (chain.steps // steps)
    room = chain.steps - int(k[0])
    if not is_whole(offset, 0) or offset > room:
        raise ValueError(
            f"The offset of {steps} leading steps of {chain.steps} must be a whole number from 0 to {room}, but got"
            f" {brief(offset)}."
        )
    return _times(chain, k + offset)


def trailing(chain: MarkovChain, steps: int) -> Tensor:
    """The times of `chain` at round(T - j T / steps), then 0: (steps + 1,). Raises as `leading`."""
    check_chain_has(chain, steps)
    # cut, since for some numbers of steps (61 of 1000) numpy's count is one too many: 0, which stands for data already
    return _times(chain, np.arange(chain.steps, 0, -chain.steps / steps)[:steps])


def linspace(chain: MarkovChain, steps: int) -> Tensor:
    """The times of `chain` at 1 + round(j (T - 1) / (steps - 1)), then 0: (steps + 1,). Raises as `leading`.

    A single step is one from the lowest level: take `trailing`.
    """
    check_chain_has(chain, steps)
    return _times(chain, 1 + np.linspace(0, chain.steps - 1, steps).round()[::-1])


def _times(chain: MarkovChain, k: np.ndarray) -> Tensor:
    index = torch.from_numpy(k.round().astype(np.int64))
    return chain.times[torch.cat([index, index.new_zeros(1)])]
