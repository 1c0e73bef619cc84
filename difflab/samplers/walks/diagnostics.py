"""What the states of a walk say of it: how often it accepts, how many independent samples it is worth, which modes it has found.

All of them take what `sample` yields, or the `Trajectory` that was made of it; numbers of chains, (steps, n, *shape), will do too
where only x matters. Rows are independent chains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from ...checks import brief, is_whole
from ...denoisers import ExactDenoiser
from ...estimate import Estimate
from ..base import State
from ..trajectory import Trajectory
from .metropolis import Chain

States = Iterable[State] | Trajectory


def frames(states: States) -> list[tuple[float, Tensor]]:
    """(t, x) of each state, x (n, *shape). Raises TypeError for what are no states, ValueError for none."""
    if isinstance(states, Trajectory):
        return list(zip(states.times.tolist(), states.states.unbind(0), strict=True))
    if isinstance(states, Tensor) or not isinstance(states, Iterable):
        raise TypeError(f"This looks at the states that sample yields, or at a Trajectory, but got {brief(states)}.")
    found = list(states)
    if not all(isinstance(state, State) for state in found):
        raise TypeError(f"This looks at the states that sample yields, or at a Trajectory, but got {brief(found)}.")
    if not found:
        raise ValueError("There are no states to look at: give all that sample yields, as a list.")
    if len({state.x.shape for state in found}) > 1:
        raise ValueError("These states are of several runs, of different shapes: look at each by itself.")
    return [(state.t, state.x) for state in found]


def acceptance(states: Iterable[State], skip: int = 0) -> Estimate:
    """The mean probability with which a Metropolis-adjusted walk accepts, and its standard error from row to row.

    `skip` leaves out as many steps at the beginning: the warm-up. Raises ValueError where no step is left, or none was a
    Metropolis sampler's, and for fewer than two rows.
    """
    if not is_whole(skip, 0):
        raise ValueError(f"The number of steps to skip is a whole number, 0 or more, but got {brief(skip)}.")
    if isinstance(states, Tensor | Trajectory) or not isinstance(states, Iterable):
        raise TypeError(
            f"What a walk accepted is in the states that sample yields, which a Trajectory forgets, but got {brief(states)}."
        )
    chains = [state.memory for state in states if isinstance(getattr(state, "memory", None), Chain)][skip:]
    if not chains:
        raise ValueError(
            "None of these states is one that a Metropolis sampler has led to (after those to skip): acceptance is that of"
            " MALA and HMC, from all states of their run."
        )
    if len({len(chain.probability) for chain in chains}) > 1:
        raise ValueError("These states are of several runs, of different numbers of rows: look at each by itself.")
    by_row = torch.stack([chain.probability for chain in chains]).double().mean(0).cpu()
    if len(by_row) < 2:
        raise ValueError(
            f"The error of an acceptance is that from row to row, so it needs two or more, not {len(by_row)}."
        )
    return Estimate(float(by_row.mean()), float(by_row.std() / math.sqrt(len(by_row))))


def autocorrelation(chains: States | Tensor) -> Tensor:
    """rho of each coordinate at lags 0 to steps - 1, (steps, *shape), float64 on the CPU.

    Estimated of n chains at once (Vehtari et al. 2021, eq. 10): rho_k = 1 - (W - c_k) / V, with c_k the autocovariance at lag k
    within chains, W their variance and V the variance of all of them together; so chains that stay where they are and disagree
    are correlated at all lags. nan for coordinates that never move. Raises ValueError with fewer than 4 steps, nan or inf.
    """
    x = _stacked(chains)
    steps, n = x.shape[:2]
    flat = x.reshape(steps, n, -1)
    centred = flat - flat.mean(0)
    power = torch.fft.rfft(centred, 2 * steps, dim=0).abs().square().mean(1)
    covariance = torch.fft.irfft(power, 2 * steps, dim=0)[:steps] / steps
    within = covariance[0] * steps / (steps - 1)
    between = flat.mean(0).var(0) if n > 1 else torch.zeros_like(within)
    total = covariance[0] + between
    return (1 - (within - covariance) / total).reshape(steps, *x.shape[2:])


def effective_sample_size(chains: States | Tensor) -> Tensor:
    """How many independent samples would tell the mean of each coordinate as well as these n steps x rows do, shaped as a sample.

    steps n / tau with tau = 1 + 2 sum rho_k, summed over the pairs rho_2k + rho_2k+1 while they are positive, each at most its
    predecessor (Geyer 1992, section 3.3: the initial monotone sequence; Vehtari et al. 2021, eqs. 11 and 13). Leave out the
    warm-up before. nan and errors as `autocorrelation`.
    """
    x = _stacked(chains)
    rho = autocorrelation(x).reshape(len(x), -1)
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2, rho.shape[1]).sum(1)
    positive = (pairs > 0).double().cumprod(0)
    tau = 2 * (pairs.clamp(min=0).cummin(0).values * positive).sum(0) - 1
    count = x.shape[0] * x.shape[1]
    # chains that alternate may be worth more than their number, but an estimate of much more is none
    worth = count / tau.clamp(min=1 / math.log10(count))
    return worth.masked_fill(rho[0].isnan(), math.nan).reshape(x.shape[2:])


class ModeMassOverTime(NamedTuple):
    """times (frames,), and the mass of each mode at them with its standard error, (frames, K)."""

    times: Tensor
    mass: Tensor
    error: Tensor


def mode_mass_over_time(states: States, oracle: ExactDenoiser) -> ModeMassOverTime:
    """The mean of P(mode j | x_t) over rows at each state's own noise level: the weights w_j, if x_t is of the law p_t.

    At t = 0, of well separated modes, it is `metrics.mode_mass`. Raises TypeError unless `oracle` is one.
    """
    if not isinstance(oracle, ExactDenoiser):
        raise TypeError(f"What is a mode, an ExactDenoiser has to say, but got {brief(oracle)}.")
    times, mass, error = [], [], []
    for t, x in frames(states):
        found = oracle.mode_probabilities(x, t).double().cpu()
        times.append(t)
        mass.append(found.mean(0))
        error.append(found.std(0, correction=0) / math.sqrt(max(1, len(found))))
    return ModeMassOverTime(
        torch.tensor(times, dtype=torch.float64, device="cpu"), torch.stack(mass), torch.stack(error)
    )


def _stacked(chains: States | Tensor) -> Tensor:
    if not isinstance(chains, Tensor):
        chains = torch.stack([x for _, x in frames(chains)])
    good = chains.ndim >= 2 and chains.is_floating_point() and not chains.is_meta
    if not good or len(chains) < 4 or 0 in chains.shape[1:]:
        raise ValueError(
            "Chains are numbers of the shape (steps, n, *shape), with 4 steps or more of 1 row or more, but got"
            f" {tuple(chains.shape)} of {chains.dtype} on {chains.device}."
        )
    x = chains.detach().cpu().double()
    if not bool(x.isfinite().all()):
        raise ValueError("Chains with nan or inf in them are worth no samples: look at the run that they came from.")
    return x
