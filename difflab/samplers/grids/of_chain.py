"""The times of a discrete chain, all of them or evenly spaced ones."""

from __future__ import annotations

import torch
from torch import Tensor

from ...chain import MarkovChain, check_chain
from .checks import check_chain_has


def of_chain(chain: MarkovChain, steps: int | None = None) -> Tensor:
    """The times of `chain` from T to 0, or of a sub-chain of `steps` of its levels: (steps + 1,).

    Raises TypeError for what is no chain, ValueError unless 1 <= steps <= T.
    """
    check_chain(chain)
    steps = chain.steps if steps is None else steps
    check_chain_has(chain, steps)
    if chain.schedule.reaches_data:
        k = torch.linspace(chain.steps, 0, steps + 1, dtype=torch.float64, device="cpu")
    else:
        k = torch.linspace(chain.steps, 1, steps, dtype=torch.float64, device="cpu")
        k = torch.cat([k, k.new_zeros(1)])
    return chain.times[k.round().long()]
