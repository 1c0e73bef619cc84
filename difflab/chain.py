"""A schedule seen at T steps: the Markov chain of DDPM (Ho et al. 2020, section 2) for any pair (alpha_k, sigma_k).

    q(x_k | x_0)          = N(alpha_k x_0, sigma_k^2 I)
    q(x_k | x_{k-1})      = N(a_k x_{k-1}, beta_k I)
        a_k = alpha_k / alpha_{k-1},                beta_k = sigma_k^2 - a_k^2 sigma_{k-1}^2
    q(x_{k-1} | x_k, x_0) = N(c_x x_k + c_0 x_0, var_k I)
        c_x = a_k sigma_{k-1}^2 / sigma_k^2,        c_0 = alpha_{k-1} beta_k / sigma_k^2,
        var_k = sigma_{k-1}^2 beta_k / sigma_k^2

For a variance-preserving schedule beta_k is DDPM's beta. All tables are float64 on the CPU, indexed by k = 0..T; 0 is data.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .schedules import Schedule, VPLinear


class MarkovChain:
    """The chain of `steps` noise levels of `schedule`.

    Attributes, each (steps + 1,) float64: `alpha`, `sigma`, `alpha_bar`, `log_snr`, `times` (where the schedule has the
    same log-SNR: what a denoiser is called with), `beta`, `posterior_log_var`, `posterior_x`, `posterior_x0` (the
    coefficients c_x and c_0). Entry 0 of the last four is nan: nothing comes before data.

    Raises ValueError if `steps` is not a whole number of at least 1.
    """

    def __init__(self, schedule: Schedule, steps: int) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"A chain needs a Schedule such as VPCosine(), but got {schedule!r}.")
        whole = isinstance(steps, (int, float)) and not isinstance(steps, bool) and steps == steps // 1
        if not whole or steps < 1:
            raise ValueError(f"A chain needs a whole number of steps, T >= 1, but got {steps!r}.")
        self._fill(schedule, *schedule.table(int(steps)))

    @classmethod
    def from_betas(cls, betas: Tensor, schedule: Schedule | None = None) -> MarkovChain:
        """A variance-preserving chain with these `betas` (T,), such as a published table kept at another T.

        `schedule` (VPLinear by default) is the clock: `times` are where it has the same log-SNR, and what a denoiser made for
        it is called with. Raises ValueError unless every beta lies in (0, 1), or if the clock does not reach the chain's end.
        """
        betas = torch.as_tensor(betas, dtype=torch.float64)
        if betas.ndim != 1 or len(betas) < 1 or not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError("betas must be a list of numbers between 0 and 1, one for each step.")
        schedule = VPLinear() if schedule is None else schedule
        log_alpha_bar = torch.cat([torch.zeros(1, dtype=torch.float64), torch.log1p(-betas).cumsum(0)])
        chain = cls.__new__(cls)
        chain._fill(schedule, (log_alpha_bar / 2).exp(), (-torch.expm1(log_alpha_bar)).sqrt())
        if not schedule.variance_preserving or chain.log_snr[-1] < schedule.log_snr(1.0) - 1e-9:
            raise ValueError(f"{schedule} cannot be the clock of these betas: it has no such noise levels.")
        return chain

    def _fill(self, schedule: Schedule, alpha: Tensor, sigma: Tensor) -> None:
        self.schedule, self.steps = schedule, len(alpha) - 1
        self.alpha, self.sigma = alpha, sigma
        self.log_snr = 2 * (self.alpha.log() - self.sigma.log())
        self.times = torch.cat([torch.zeros(1, dtype=torch.float64), schedule.t_of_log_snr(self.log_snr[1:])])
        self.alpha_bar = self.alpha.square()

        ratio = self.alpha[1:] / self.alpha[:-1]
        var, before = self.sigma[1:].square(), self.sigma[:-1].square()
        beta = var - ratio.square() * before
        self.beta = _after_data(beta)
        self.posterior_log_var = _after_data(before.log() + beta.log() - var.log())
        self.posterior_x = _after_data(ratio * before / var)
        self.posterior_x0 = _after_data(self.alpha[:-1] * beta / var)

    def __repr__(self) -> str:
        return f"MarkovChain({self.schedule}, steps={self.steps})"

    def marginal(self, x0: Tensor, k: int | Tensor) -> tuple[Tensor, Tensor]:
        """Mean, shaped as `x0` (n, *shape), and log-variance of q(x_k | x_0); `k` is an index or (n,) of them."""
        return self.at(self.alpha, k, x0) * x0, self.at(2 * self.sigma.log(), k, x0)

    def step(self, before: Tensor, k: int | Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(x_k | x_{k-1} = before), k >= 1."""
        ratio = _after_data(self.alpha[1:] / self.alpha[:-1])
        return self.at(ratio, k, before) * before, self.at(self.beta.log(), k, before)

    def posterior(self, x_k: Tensor, x0: Tensor, k: int | Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(x_{k-1} | x_k, x_0), k >= 1; the log-variance at k = 1 is -inf."""
        mean = self.at(self.posterior_x, k, x_k) * x_k + self.at(self.posterior_x0, k, x_k) * x0
        return mean, self.at(self.posterior_log_var, k, x_k)

    def at(self, table: Tensor, k: int | Tensor, like: Tensor) -> Tensor:
        """Entries `k` of a table, on the device and in the dtype of `like`, shaped to multiply (n, *shape).

        Raises IndexError for an index k outside 0..T, or at 0 for a table that begins at 1; ValueError if k are not one
        index or one for each row.
        """
        if isinstance(k, int):
            first = int(bool(table[0].isnan()))
            if not first <= k <= self.steps:
                raise IndexError(f"k is {k}, but here this chain has steps {first} to {self.steps} (0 is data).")
            return table[k].to(like.device, like.dtype)
        if not isinstance(k, Tensor) or k.dtype != torch.int64 or k.shape != like.shape[:1]:
            raise ValueError(f"k must be one index or {len(like)} of them, int64, one for each sample.")
        # gather on the device of `like`: indexing a CPU table with a device index would pass unnoticed in a dry run
        entries = table.to(like.device, like.dtype).gather(0, k.to(like.device))
        return entries.reshape(-1, *[1] * (like.ndim - 1))


def _after_data(values: Tensor) -> Tensor:
    return torch.cat([torch.full((1,), torch.nan, dtype=values.dtype), values])


def ddpm_betas(steps: int = 1000, beta_min: float = 1e-4, beta_max: float = 0.02) -> Tensor:
    """DDPM's published table, (steps,) float64: what `VPLinear` passes through at steps = 1000."""
    return torch.linspace(beta_min, beta_max, steps, dtype=torch.float64)
