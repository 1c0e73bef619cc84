"""Align Your Steps: the grid with the least bound on the KL divergence that cutting the reverse SDE into steps costs.

Along a step from the level r = sigma / alpha down to r', stochastic DDIM keeps the denoiser's answer D at the step's start. By
Girsanov's theorem the paths of the true reverse SDE and of the one cut into steps differ by a KL divergence of

    KLUB = 1/2 sum over steps of  integral from SNR(r) to SNR(r') of  E|D(x_s, s) - D(x_r, r)|^2  d SNR(s)     (nats)

and by the data processing inequality the samples' laws by no more (Sabour et al. 2024, theorem 3.1, where SNR = 1 / t^2 and
d SNR = -2 dt / t^3). For an exact denoiser D is a martingale along the reverse process, so that E|D_s - D_r|^2 = mmse(r) -
mmse(s), and the bound is what a left Riemann sum of the mmse curve over SNR has too much: the gap between the discrete and the
continuous variational bound (Kingma et al. 2021, appendix F).

The expectation is over the data and one noise path for each, so that D is asked once for every point of a fine row of levels,
evenly spaced in log-SNR, and every possible step is a sum over one table. (The paper draws levels by importance instead, anew
for each candidate, and moves one level at a time, from 10 steps to 20 to 40; on a table the best of all its sub-rows is found.)

The bound knows nothing of how far apart the data lie, only of bits: at levels below the data's own finest detail every factor
of sigma costs as much as another. `sigma_min` says down to where they are counted.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ...checks import brief, check_samples
from ...data import DataSet
from ...denoisers import Denoiser
from .cheapest import cheapest, even_way, price
from .levels import times_of
from .optimised import MOST_LEVELS, Optimised, Search, check_count

_ROWS = 256  # data points at a time: the table's answers of so many are kept at once


@torch.no_grad()
def align_your_steps(
    denoiser: Denoiser,
    steps: int,
    data: DataSet | Tensor | None = None,
    *,
    n: int = 1024,
    levels: int = 200,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    generator: Generator | None = None,
) -> Optimised:
    """The times of `steps` steps from sigma_max down, then 0, with the least KLUB; `value` is it, in nats.

    The bound counts the last step down to sigma_min; as the denoiser is not asked again on the way, it goes on to 0.

    Args:
        data: what is sampled, or examples (m, *shape) of it, of which all are taken; None is the exact denoiser's own.
        n: points drawn from a data set; the levels' noise is of the order 1 / sqrt(n) of their distances.
        levels: of the table, over the whole range; the grid is a part of them. More than `steps`.
        sigma_min, sigma_max: as of `karras`.
        generator: draws data and noise; torch's global one if None.

    Takes n * levels rows of the denoiser. Raises TypeError for what is no denoiser or data, ValueError for counts and
    levels that are none, FloatingPointError where the denoiser returns nan or inf.
    """
    search = Search(denoiser, steps, sigma_min, sigma_max, generator)
    check_count("levels", levels, search.steps + 1, MOST_LEVELS)
    x0 = _examples(denoiser, data, n, generator)
    row = search.even(levels)
    cost = klub(row, _distances(search, x0, row))
    way, value = cheapest(cost, search.steps)
    return search.found(row[way[:-1]], value, price(cost, even_way(levels, search.steps)))


def klub(row: Tensor, distances: Tensor) -> Tensor:
    """The bound on every step between two of the levels `row` (falling), in nats: (levels, levels), of interest above the
    diagonal; `distances` is E|D_i - D_j|^2, integrated by the trapezoidal rule in SNR."""
    snr = row**-2
    cells = (distances[:, 1:] + distances[:, :-1]) / 2 * snr.diff()
    below = torch.cat([cells.new_zeros(len(row), 1), cells.cumsum(1)], 1)  # from the first level on
    return (below - below.diagonal()[:, None]) / 2


def _distances(search: Search, x0: Tensor, row: Tensor) -> Tensor:
    """E|D(x_i) - D(x_j)|^2 along noise paths, for all pairs of levels: (levels, levels) float64."""
    schedule, times = search.schedule, times_of(search.schedule, row).tolist()
    total = torch.zeros(len(row), len(row), dtype=torch.float64, device="cpu")
    # standard deviations of the noise added, lowest level first
    spread = row.square().flip(0).diff(prepend=row.new_zeros(1)).sqrt().tolist()
    for block in x0.split(_ROWS):
        noise, answers = torch.zeros_like(block), []
        for std, t in zip(spread, reversed(times), strict=True):
            z = torch.randn(block.shape, generator=search.generator, dtype=block.dtype, device=_drawn_on(search))
            noise = noise + std * z.to(block.device)
            answers.append(search.denoiser(schedule.level(t).alpha * (block + noise), t).mean.flatten(1).cpu())
        table = torch.stack(answers[::-1]).flatten(1).double()
        table -= table.mean(0)  # so that little is lost to cancellation
        gram = table @ table.T
        total += gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    return total.clamp(min=0) / len(x0)


def _drawn_on(search: Search) -> str | torch.device:
    return "cpu" if search.generator is None else search.generator.device


def _examples(denoiser: Denoiser, data: DataSet | Tensor | None, n: int, generator: Generator | None) -> Tensor:
    data = getattr(denoiser, "data", None) if data is None else data
    if isinstance(data, DataSet):
        check_count("n", n, 1)
        x0 = data.sample(n, generator)
    elif isinstance(data, Tensor):
        x0 = data
        check_samples(x0, getattr(denoiser, "shape", None))
        if len(x0) == 0 or x0.is_meta:
            raise ValueError("Align Your Steps needs examples of the data, but got none.")
    else:
        raise TypeError(
            "Align Your Steps averages over the data: give a DataSet or a tensor of examples as data, but got"
            f" {brief(data)}."
        )
    device = getattr(denoiser, "device", None)
    return x0 if device is None else x0.to(device)
