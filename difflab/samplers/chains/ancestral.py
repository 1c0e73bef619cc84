"""Ancestral sampling: draw x_s from a Gaussian around the mean of q(x_s | x_t, x_0) at x_0 = E[x_0 | x_t], as wide as one says.

The mean, c_x x_t + c_0 E[x_0 | x_t] (see bridge.py), is that of the true reverse step q(x_s | x_t), which is no Gaussian unless
the data is. The variances are those of `difflab.variances`, for the grid's own pair (t, s), so that on the times of a chain,
or of a sub-chain, these are its tables:

    "small"     var, that of q(x_s | x_t, x_0): right for data that is one point
    "large"     beta, that of the forward step q(x_t | x_s): right for data that is white noise (Ho et al. 2020, section 3.2)
    "learned"   var^(1 - f) beta^f for each coordinate, f the fraction that a network predicts (Nichol & Dhariwal 2021, eq. 15)
    "optimal"   var + c_0^2 v. With v = Var[x_0 | x_t] of each sample and coordinate, as an oracle knows it, the step has
                the true mean and variances (Bao et al. 2022b, SN-DDPM); with its average over x_t, one number for a level, it
                is the best such number (Bao et al. 2022, Analytic-DPM, theorem 1)

The last step, to data, returns its mean as DDPM's code does; `denoise=False` draws there as well, as the model does whose bound
`elbo` computes. There var is 0 and x_0 given x_t has the whole variance v: "small" takes beta for it, and "ddpm_small",
"ddpm_large" and the small end of "learned" take var of the step before. Else the two named ddpm_ are "small" and "large".

For Gaussian data with the optimal variance every step is exact, however few there are. In the frame y = x / alpha, where the
noise level is sigma / alpha, "small" is what k-diffusion and its followers call Euler ancestral.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...checks import brief, is_number
from ...denoisers import Denoiser, Posterior
from ...linear import combined
from ...mmse import Profile
from ...schedules import Schedule
from ...variances import FIXED
from ..base import Sampler, State
from ..knobs import check_choice, check_flag
from .bridge import Bridge, bridge

VARIANCES = (*FIXED, "learned", "optimal")


@dataclass(frozen=True)
class Ancestral(Sampler):
    """DDPM (Ho et al. 2020, Alg. 2) on any grid and any schedule. Weak order 1 (2 with the optimal variance, where the
    coordinates of x_0 are independent given x_t).

    Args:
        variance: "small", that of q(x_s | x_t, x_0); "large", that of q(x_t | x_s); "ddpm_small" and "ddpm_large", the same with
            DDPM's last step where that is drawn; "learned", by the network's `fraction`; "optimal", by the posterior's variance.
        denoise: return the mean of the last step, to data, instead of a draw.
        posterior_var: E Var[x_0 | x_t] of a coordinate on average, for the optimal variance: an `mmse.Profile`, or a function
            of the log-SNR. It is clipped to [0, sigma^2 / alpha^2], where it must lie. By default the denoiser's own, for
            each sample.

    A step raises ValueError, in one sentence, where the denoiser does not know what the variance needs.
    """

    variance: str = "small"
    denoise: bool = True
    posterior_var: Profile | Callable[[float], float] | None = None
    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("variance", self.variance, *VARIANCES)
        check_flag("denoise", self.denoise)
        if self.posterior_var is None:
            return
        if self.variance != "optimal":
            raise ValueError(
                f"posterior_var is what the optimal variance is made of, but the variance is {self.variance!r}."
            )
        if not isinstance(self.posterior_var, Profile) and not callable(self.posterior_var):
            raise TypeError(
                f"posterior_var must be an mmse.Profile or a function of the log-SNR, but got {brief(self.posterior_var)}."
            )

    @property
    def label(self) -> str:
        by_level = ", one for each level" if self.posterior_var is not None else ""
        to_the_end = "" if self.denoise else ", no last denoising step"
        return f"Ancestral (DDPM, {self.variance} variance{by_level}{to_the_end})"

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        b = bridge(denoiser.schedule, state.t, s)
        posterior = denoiser(state.x, state.t)
        x0 = posterior.mean
        if s == 0 and self.denoise:
            return state.moved(x0, s, denoised=x0)
        z, std = state.draw(denoiser.schedule, s), self._std(b, posterior, state, denoiser.schedule)
        mean = combined(b.c_x, state.x, b.c_0, x0)
        x = torch.addcmul(mean, std, z) if isinstance(std, Tensor) else torch.add(mean, z, alpha=std)
        return state.moved(x, s, denoised=x0, z=z)

    def _std(self, b: Bridge, posterior: Posterior, state: State, schedule: Schedule) -> float | Tensor:
        """The standard deviation of the step: one number, or one of each coordinate, shaped as x in its dtype."""
        last = b.sigma_s == 0
        match self.variance:
            case "small":
                return math.sqrt(b.beta if last else b.var)
            case "large":
                return math.sqrt(b.beta)
            case "ddpm_small":
                return math.sqrt(self._before(state, schedule) if last else b.var)
            case "ddpm_large":
                return math.sqrt(self._before(state, schedule) if last else b.beta)
            case "learned":
                if posterior.fraction is None:
                    raise ValueError(
                        "Ancestral sampling with a learned variance needs a denoiser that predicts where it lies"
                        " (learned_range=True), but this one does not: take 'small' or 'large'."
                    )
                small = self._before(state, schedule) if last else b.var
                return math.sqrt(small) * (math.log(b.beta / small) / 2 * posterior.fraction.to(state.x.dtype)).exp()
        return self._optimal(b, posterior, state, schedule)

    def _optimal(self, b: Bridge, posterior: Posterior, state: State, schedule: Schedule) -> float | Tensor:
        if self.posterior_var is not None:
            v = _averaged(self.posterior_var, schedule.level(state.t).log_snr)
            most = (b.sigma_t / b.alpha_t) ** 2 if b.alpha_t else math.inf
            return math.sqrt(b.var + b.c_0**2 * min(max(v, 0.0), most))
        if posterior.var is None:
            raise ValueError(
                "Ancestral sampling with the optimal variance needs Var[x_0 | x_t], which this denoiser does not know: give"
                " posterior_var, such as an mmse.Profile, or take 'small' or 'large'."
            )
        wide = torch.promote_types(state.x.dtype, torch.float32)  # squares of small numbers are 0 in float16
        return (b.c_0**2 * posterior.var.to(wide).clamp(min=0) + b.var).sqrt().to(state.x.dtype)

    def _before(self, state: State, schedule: Schedule) -> float:
        """var of the step that led here, which DDPM's rule takes for that to data."""
        if state.index < 1:
            raise ValueError(
                f"{self.variance!r} takes the variance of step 2 for step 1, to data, but this grid has one step:"
                " take 'small' or 'large', or denoise=True."
            )
        return bridge(schedule, state.grid[state.index - 1], state.t).var


def _averaged(posterior_var: Profile | Callable[[float], float], log_snr: float) -> float:
    """E Var[x_0 | x_t] of a coordinate at this level, as it was given. ValueError for what is no number."""
    if isinstance(posterior_var, Profile):
        at = torch.tensor(log_snr, dtype=torch.float64, device="cpu")
        return float(posterior_var.at(at)[0]) / posterior_var.dim
    v = posterior_var(log_snr)
    if not is_number(v):
        raise ValueError(
            f"posterior_var must be a number at every level, but at a log-SNR of {log_snr:.4g} it is {brief(v)}."
        )
    return float(v)
