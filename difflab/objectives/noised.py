"""A batch as a network is shown it, beside what it should say: all of a denoising loss but the network.

None of this depends on weights, so it can be made for many batches at a time, and cut apart afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ..denoisers.network import NetworkDenoiser
from .times import Times
from .weightings import Uniform, Weighting, factor

Counted = tuple[Tensor, Tensor] | None


@dataclass(frozen=True, slots=True)
class Noised:
    """Rows x_t = alpha x_0 + sigma eps.

    Attributes:
        t: (n,), where each row was noised.
        shown: c_in x_t, (n, *shape); level: log-SNR / 4, (n,): what the network is called with.
        due: what it should answer, (n, *shape).
        factor, log_snr: what the weighting makes of each row's level, and that level, (n,); None where all count the same.
        weight: (n,) what the law of times asks each row to be multiplied by in the mean; None is 1.
    """

    t: Tensor
    shown: Tensor
    level: Tensor
    due: Tensor
    factor: Tensor | None = None
    log_snr: Tensor | None = None
    weight: Tensor | None = None

    def split(self, batches: int, rows: slice) -> list[Noised]:
        """The `rows` of each of `batches` batches of one size, which lie one after the other here."""
        cut = {}
        for name in (f.name for f in fields(self)):
            column = getattr(self, name)
            cut[name] = [None] * batches if column is None else batches_of(column, batches, rows)
        return [Noised(*parts) for parts in zip(*cut.values(), strict=True)]

    def mean_loss(self, answer: Tensor) -> Tensor:
        """The mean weighted squared error of a network's `answer` (n, *shape), a scalar, for a weighting that learns nothing."""
        if self.factor is None and self.weight is None:
            return F.mse_loss(answer, self.due)
        squared = (answer - self.due).square().flatten(1).mean(1)
        for column in (self.factor, self.weight):
            squared = squared if column is None else column * squared
        return squared.mean()

    def loss_and_slope(self, answer: Tensor) -> tuple[Tensor, Tensor]:
        """`mean_loss` without gradients, and how it changes with every number of `answer`, shaped as that."""
        error = answer - self.due
        slope = error * (2 / error.numel())
        for column in (self.factor, self.weight):
            slope = slope if column is None else column.reshape(-1, *[1] * (slope.ndim - 1)) * slope
        return torch.dot(error.flatten(), slope.flatten()) / 2, slope


def batches_of(column: Tensor, batches: int, rows: slice) -> list[Tensor]:
    """The `rows` of each of `batches` batches of one size in `column` (batches * size, ...)."""
    return list(column.unflatten(0, (batches, -1))[:, rows].unbind(0))


def draw_noise(x0: Tensor, generator: Generator | None = None) -> Tensor:
    """eps ~ N(0, I) shaped as `x0`, drawn where the generator lives."""
    source = generator.device if generator is not None else x0.device
    return torch.randn(x0.shape, generator=generator, device=source, dtype=x0.dtype).to(x0.device)


def noised(
    denoiser: NetworkDenoiser,
    x0: Tensor,
    t: Tensor,
    eps: Tensor,
    weighting: Weighting | None = None,
    weight: Tensor | None = None,
) -> Noised:
    """`x0` (n, *shape) at times `t` (n,) with noise `eps`, as `denoiser` is shown it. `weight` is that of the law of times."""
    alpha, sigma = (a.reshape(-1, *[1] * (x0.ndim - 1)) for a in denoiser.schedule.alpha_sigma(t))
    shown, level = denoiser.shown_at(alpha * x0 + sigma * eps, alpha, sigma)
    due = denoiser.target_at(x0, eps, alpha, sigma, t)
    factor, log_snr = counts(weighting, denoiser, t) or (None, None)
    return Noised(t, shown, level, due, factor, log_snr, weight)


def drawn(
    denoiser: NetworkDenoiser,
    x0: Tensor,
    times: Times,
    *,
    batches: int = 1,
    weighting: Weighting | None = None,
    generator: Generator | None = None,
) -> Noised:
    """`x0` (batches * n, *shape), several batches one after the other, at times of each batch by itself, times first."""
    t, weight = times.draw(len(x0) // batches, generator, device=x0.device, batches=batches)
    return noised(denoiser, x0, t, draw_noise(x0, generator), weighting, weight)


def counts(weighting: Weighting | None, denoiser: NetworkDenoiser, t: Tensor) -> Counted:
    """What `weighting` multiplies the squared error of the denoiser's own prediction at `t` (n,) by, (n,), and the log-SNR
    there; None where that is 1 everywhere."""
    if weighting is None or isinstance(weighting, Uniform):
        return None
    alpha, sigma = denoiser.schedule.alpha_sigma(t)
    gain = denoiser.gain_at(alpha, sigma, t)
    log_snr = denoiser.schedule.log_snr(t)
    return factor(weighting, denoiser.schedule, gain, t, sigma_data=denoiser.sigma_data), log_snr
