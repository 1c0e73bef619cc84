"""Laws of times that learn from the losses of a training.

Both keep, for each of `bins` intervals of t, the last `history` values measured there, and turn them into a density that is
constant within the interval:

    LossTimes         p ~ sqrt(E loss^2)             least variance of the same mean loss (Nichol & Dhariwal 2021, section 3.3)
    InformationTimes  p ~ (bits held there) / (how much the objective weighs x_0's error)      InfoNoise (Raya et al. 2026)

Until every interval is full the law is uniform, and a small share of the draws always is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from ..checks import brief, is_number, is_whole
from ..device import has_float64
from .times import T_MIN, Draw, TabulatedTimes, check_t_min
from .weightings import ELBO, Uniform, Weighting, factor

if TYPE_CHECKING:
    from ..denoisers.network import NetworkDenoiser
    from .denoising import DenoisingLoss


class AdaptiveTimes(TabulatedTimes, ABC):
    """A table whose masses follow what `observe` is told.

    Args:
        bins: intervals of equal length.
        history: how many values each interval keeps: the newest.
        uniform_share: of the draws that go to uniform times whatever was measured.
    """

    adaptive = True

    def __init__(
        self, *, bins: int, history: int, uniform_share: float, reweighted: bool, t_min: float = T_MIN, **options: Any
    ) -> None:
        for name, value in (("bins", bins), ("history", history)):
            if not is_whole(value):
                raise ValueError(f"{name} must be a whole number of at least 1, but got {value!r}.")
        if not is_number(uniform_share) or not 0 < uniform_share <= 1:
            raise ValueError(f"uniform_share must be a share in (0, 1], but got {uniform_share!r}.")
        check_t_min(t_min)
        edges = torch.linspace(t_min, 1, bins + 1, dtype=torch.float64, device="cpu")
        super().__init__(edges, edges.diff(), reweighted=reweighted, **options)
        self.bins, self.history, self.uniform_share = bins, history, float(uniform_share)
        # one more row and column: where what is not kept is written
        self._values = torch.zeros(bins + 1, history + 1, device="cpu")
        self._counts = torch.zeros(bins + 1, dtype=torch.int64, device="cpu")

    @abstractmethod
    def summary(self, values: Tensor) -> Tensor:
        """The unnormalised density (bins,) of the kept `values` (bins, history)."""

    @property
    def warm(self) -> Tensor:
        """Whether every interval is full; a bool scalar on the device where the values are."""
        return (self._counts[:-1] >= self.history).all()

    @property
    def mass(self) -> Tensor:
        values = self._values[:-1, :-1]
        density = self.summary(values).to(torch.float64 if has_float64(values.device) else torch.float32)
        uniform = torch.full_like(density, 1 / self.bins)
        total = density.sum()
        learned = torch.where(self.warm & (total > 0), density / total, uniform)
        return self.uniform_share * uniform + (1 - self.uniform_share) * learned

    def observe(self, t: Tensor, values: Tensor) -> None:
        """Keep `values` (n,), measured at `t` (n,); of more than `history` in one interval the last ones."""
        for name, given in (("times", t), ("values", values)):
            if not isinstance(given, Tensor) or not given.is_floating_point():
                raise TypeError(f"observe needs {name} as a tensor of floating-point numbers, but got {brief(given)}.")
        if t.shape != values.shape or t.ndim != 1:
            raise ValueError(
                f"observe needs one value for each time, but got {tuple(values.shape)} values for {tuple(t.shape)} times."
            )
        if self._values.device != t.device:
            self._values, self._counts = self._values.to(t.device), self._counts.to(t.device)
        n = len(t)
        bin_ = ((t.detach() - self.t_min) / self.width * self.bins).ceil().long().clamp(1, self.bins) - 1
        order = bin_.argsort(stable=True)
        sorted_bin = bin_.gather(0, order)
        fresh = torch.zeros_like(self._counts).scatter_add(0, bin_, torch.ones_like(bin_))
        first = fresh.cumsum(0) - fresh
        rank = torch.arange(n, device=t.device) - first.gather(0, sorted_bin)
        kept = rank >= fresh.gather(0, sorted_bin) - self.history
        slot = (self._counts.gather(0, sorted_bin) + rank) % self.history
        row = torch.where(kept, sorted_bin, torch.full_like(sorted_bin, self.bins))
        slot = torch.where(kept, slot, torch.full_like(slot, self.history))
        flat = row * (self.history + 1) + slot
        new = values.detach().to(self._values.dtype).gather(0, order)
        self._values = self._values.reshape(-1).scatter(0, flat, new).reshape(self._values.shape)
        self._counts = self._counts + fresh

    def learn_from(self, loss: DenoisingLoss, denoiser: NetworkDenoiser, weighting: Weighting | None) -> None:
        """Observe a batch that these times drew, trained under `weighting`."""
        self.observe(loss.t, self.values_of(loss, denoiser, Uniform() if weighting is None else weighting))

    @abstractmethod
    def values_of(self, loss: DenoisingLoss, denoiser: NetworkDenoiser, weighting: Weighting) -> Tensor:
        """What is observed of a batch, (n,), without gradients."""

    def state(self) -> dict[str, Tensor]:
        return {"values": self._values[:-1, :-1].clone(), "counts": self._counts[:-1].clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a `state`. Raises ValueError if it is none, or of another number of bins or another history."""
        values, counts = (state.get(k) if isinstance(state, dict) else None for k in ("values", "counts"))
        if not isinstance(values, Tensor) or not isinstance(counts, Tensor):
            raise ValueError(f"A state of these times has the tensors values and counts, but got {brief(state)}.")
        if values.shape != (self.bins, self.history) or counts.shape != (self.bins,):
            raise ValueError(
                f"These times keep {self.history} values in {self.bins} bins, but the state has {tuple(values.shape)}."
            )
        self._values[:-1, :-1] = values.to(self._values)
        self._counts[:-1] = counts.to(self._counts)

    def draw(
        self, n: int, generator: Generator | None = None, *, device: torch.device | str = "cpu", batches: int = 1
    ) -> Draw:
        if self._values.device != torch.device(device):
            self._values, self._counts = self._values.to(device), self._counts.to(device)
        return super().draw(n, generator, device=device, batches=batches)


class LossTimes(AdaptiveTimes):
    """Importance sampling by the second moment of the loss: observe the loss itself; weights keep the objective.

    Published constants: the last 10 losses of each time, 0.1 % of the draws uniform.
    """

    def __init__(
        self, *, bins: int = 64, history: int = 10, uniform_share: float = 1e-3, t_min: float = T_MIN, **options: Any
    ) -> None:
        super().__init__(
            bins=bins, history=history, uniform_share=uniform_share, reweighted=True, t_min=t_min, **options
        )

    def summary(self, values: Tensor) -> Tensor:
        return values.square().mean(1).sqrt()

    def values_of(self, loss: DenoisingLoss, denoiser: NetworkDenoiser, weighting: Weighting) -> Tensor:
        return loss.per_sample.detach()


class InformationTimes(AdaptiveTimes):
    """Levels get draws by the bits they hold: observe -1/2 d log_snr/dt |eps error|^2, over the objective's own weight.

    By I-MMSE that value, undivided, is the nats per unit of time that x_t gains on x_0 as noise is taken away, as far as the
    network knows. Divided by w, the factor that the objective gives the squared error of x_0, the product p w, which is what
    training feels, is proportional to them. Weights are 1: the law is part of the objective. For continuous data the bits never
    end as t falls: the lowest level is t_min, and a w that grows towards the data keeps it from taking all.
    """

    def __init__(
        self, *, bins: int = 64, history: int = 128, uniform_share: float = 0.05, t_min: float = T_MIN, **options: Any
    ) -> None:
        super().__init__(
            bins=bins, history=history, uniform_share=uniform_share, reweighted=False, t_min=t_min, **options
        )

    def summary(self, values: Tensor) -> Tensor:
        return values.mean(1)

    @torch.no_grad()
    def values_of(self, loss: DenoisingLoss, denoiser: NetworkDenoiser, weighting: Weighting) -> Tensor:
        schedule, t = denoiser.schedule, loss.t
        gain = denoiser.gain_at(*schedule.alpha_sigma(t), t)
        nats = factor(ELBO(), schedule, gain, t, sigma_data=denoiser.sigma_data) * loss.squared
        w = factor(weighting, schedule, gain, t, sigma_data=denoiser.sigma_data)
        weight = weighting.effective(w, schedule.log_snr(t)) * gain.square()
        return (nats / weight).masked_fill(weight == 0, 0.0)  # a level that counts for nothing needs no draws
