"""The irreducible loss: what remains when the network says exactly E[x_0 | x_t].

A prediction's error is error_gain times the error of its x_0, so at time t the floor of a loss with weight w is

    floor(t) = w(t) error_gain(t)^2 E_{x_t} mean_d Var[x_0,d | x_t],

and any denoiser's expected loss lies above it by w error_gain^2 E |mean - exact mean|^2 / D. Given the oracle, both are
averages over x_t alone: nothing of the noise in |x_0 - mean|^2 is left. Where the weighting learns its `Uncertainty` the least
of w L e^(-u) + u is 1 + log(w L), for the u that belongs to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..checks import is_number
from ..data import DataSet
from ..data.base import check_data
from ..denoisers import ExactDenoiser, NetworkDenoiser
from ..estimate import Estimate
from ..predictions import error_gain
from .given import check_draws, check_law, check_network, check_oracle, check_profile, check_same
from .noised import draw_noise
from .times import Times
from .uncertainty import Uncertainty
from .weightings import Uniform, Weighting, factor

_ROUNDS = 16  # independent repeats from which the error of the total is estimated: strata of one are not independent
_ROWS = 4096  # rows a denoiser sees at a time
_LEVELS = 128  # noise levels at which the floor is measured before its logarithm is taken


@dataclass(frozen=True)
class LossProfile:
    """A loss at each of `times`: `value` and its standard `error`, all (m,) float64 on the CPU."""

    times: Tensor
    value: Tensor
    error: Tensor


def floor(
    oracle: ExactDenoiser,
    prediction: str,
    *,
    n: int = 16_384,
    generator: Generator | None = None,
    conditional: bool = False,
    unlabelled: float = 0.0,
    weighting: Weighting | None = None,
    times: Times | None = None,
    sigma_data: float | None = None,
) -> Estimate:
    """The floor of the training loss: `floor_profile` averaged over the times that training draws, from `n` samples
    of x_t.

    Args:
        prediction: any of `predictions.PREDICTIONS`.
        conditional: of a network that is told the class.
        unlabelled: the share of the rows that are without it nevertheless, to learn all classes together: a training's is
            `Settings.unlabelled`.
        weighting, times: as training's; None is uniform. Times that learn are taken as they are now.
        sigma_data: of the denoiser, which "edm" depends on; the data's by default.

    Raises TypeError for what is no oracle, weighting or law, ValueError for a share outside of [0, 1], fewer than 2 draws,
    and classes of data that has none.
    """
    if not is_number(unlabelled) or not 0 <= unlabelled <= 1:
        raise ValueError(f"unlabelled must be a share in [0, 1], but got {unlabelled!r}.")
    check_oracle(oracle, conditional)
    check_law(weighting, times, generator)
    check_draws(n)
    loss = _Loss(oracle, prediction, weighting, sigma_data)
    times = Times() if times is None else times
    if isinstance(weighting, Uncertainty):
        return _log_floor(loss, times, n, generator, conditional, unlabelled)
    size = max(1, n // _ROUNDS)
    rounds = []
    for _ in range(_ROUNDS):
        drawn = times.draw(size, generator)
        rows = loss.mixed(*_draw(oracle, drawn.t, generator, conditional), unlabelled)
        rounds.append((rows if drawn.weight is None else drawn.weight.double() * rows).mean())
    values = torch.stack(rounds)
    return Estimate(values.mean().item(), (values.std() / _ROUNDS**0.5).item())


def floor_profile(
    oracle: ExactDenoiser,
    prediction: str,
    t: Tensor,
    *,
    n: int = 1024,
    generator: Generator | None = None,
    conditional: bool = False,
    weighting: Weighting | None = None,
    sigma_data: float | None = None,
) -> LossProfile:
    """The floor at each of the times `t` (m,), from `n` samples of x_t at each. Arguments as of `floor`.

    With the same seed `loss_profile` sees the same x_t. Raises as `floor`, and ValueError for times outside of (0, 1].
    """
    check_oracle(oracle, conditional)
    check_law(weighting, None, generator)
    check_profile(t, n)
    loss = _Loss(oracle, prediction, weighting, sigma_data)
    rows = [loss.of(*_draw(oracle, torch.full((n,), one), generator, conditional)) for one in t.tolist()]
    profile = _summary(t, rows)
    return _logarithm(profile) if isinstance(weighting, Uncertainty) else profile


def loss_profile(
    denoiser: NetworkDenoiser,
    data: DataSet,
    t: Tensor,
    *,
    n: int = 1024,
    generator: Generator | None = None,
    oracle: ExactDenoiser | None = None,
    weighting: Weighting | None = None,
) -> LossProfile:
    """The loss of `denoiser` at each of the times `t` (m,), from `n` samples of `data` at each; with labels if it knows
    classes, and with vectors if it knows those, but for an `oracle`, which does not.

    With the `oracle` of the same data and schedule, the floor plus the exact excess: far less noise for the same `n`.
    Without, the plain mean of squared errors. An `Uncertainty` is taken with the u that it has learned. Raises ValueError
    for an oracle of other data or another schedule; else as `floor_profile`.
    """
    check_network(denoiser)
    check_data(data)
    check_law(weighting, None, generator)
    check_profile(t, n)
    if oracle is not None:
        check_same(oracle, data, denoiser.schedule)
    conditional = denoiser.classes is not None or (denoiser.vector is not None and oracle is None)
    rows = []
    if oracle is not None:
        loss = _Loss(oracle, denoiser.prediction, weighting, denoiser.sigma_data, denoiser)
        rows = [loss.of(*_draw(oracle, torch.full((n,), one), generator, conditional)) for one in t.tolist()]
    else:
        for one in t.tolist():
            x0, labels, eps, at = _sample(data, torch.full((n,), one), generator, conditional)
            alpha, sigma = _levels(denoiser, at, x0)
            wanted = denoiser.target_at(x0, eps, alpha, sigma, at)
            said = _chunked(denoiser, alpha * x0 + sigma * eps, alpha, sigma, labels)
            squared = (said - wanted).double().square().flatten(1).mean(1)
            gain = denoiser.gain_at(*denoiser.schedule.alpha_sigma(at.double()), at.double())
            rows.append(_weighed(weighting, denoiser, gain, squared, at.double(), denoiser.sigma_data))
    if isinstance(weighting, Uncertainty):
        with torch.no_grad():
            rows = [r + weighting.u(denoiser.schedule.log_snr(at)) for r, at in zip(rows, t.double(), strict=True)]
    return _summary(t, rows)


class _Loss:
    """E[weighted squared error of a prediction | x_t] per row, float64 (n,): of the oracle, or of a `denoiser`."""

    def __init__(
        self,
        oracle: ExactDenoiser,
        prediction: str,
        weighting: Weighting | None,
        sigma_data: float | None,
        denoiser: NetworkDenoiser | None = None,
    ) -> None:
        self.oracle, self.prediction, self.weighting, self.denoiser = oracle, prediction, weighting, denoiser
        self.sigma_data = oracle.data.sigma_data if sigma_data is None else sigma_data
        if not is_number(self.sigma_data) or self.sigma_data < 0:
            raise ValueError(f"sigma_data must be a number of 0 or more, or None, but got {sigma_data!r}.")

    def of(self, x_t: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        x_t, t = x_t.double(), t.double()
        exact = self.oracle(x_t, t, labels)
        assert exact.var is not None
        alpha, sigma = _levels(self.oracle, t, x_t)
        squared = exact.var
        if self.denoiser is not None:
            low = (x_t.float(), alpha.float(), sigma.float())
            value = _chunked(self.denoiser, *low, labels).double()
            squared = squared + (self.denoiser.x0_at(value, x_t, alpha, sigma, t) - exact.mean).square()
        rates = self.oracle.schedule.rates(t) if self.prediction == "velocity" else None
        gain = error_gain(
            self.prediction, alpha.flatten(), sigma.flatten(), rates=rates, sigma_data=self.sigma_data, check=False
        )
        own = gain.reshape(alpha.shape).square() * squared
        # a learned denoiser is judged by the u that was learned, the floor by the best one
        weighting = self.weighting
        if isinstance(weighting, Uncertainty) and self.denoiser is None:
            weighting = weighting.base
        return _weighed(weighting, self.oracle, gain, own.flatten(1).mean(1), t, self.sigma_data)

    def mixed(self, x_t: Tensor, t: Tensor, labels: Tensor | None, unlabelled: float) -> Tensor:
        rows = self.of(x_t, t, labels)
        if labels is not None and unlabelled > 0:
            return torch.lerp(rows, self.of(x_t, t, None), unlabelled)
        return rows


def _weighed(
    weighting: Weighting | None,
    denoiser: ExactDenoiser | NetworkDenoiser,
    gain: Tensor,
    squared: Tensor,
    t: Tensor,
    sigma_data: float,
) -> Tensor:
    if weighting is None or isinstance(weighting, Uniform):
        return squared
    schedule = denoiser.schedule
    w = factor(weighting, schedule, gain, t, sigma_data=sigma_data)
    return weighting.effective(w, schedule.log_snr(t)) * squared


def _log_floor(
    loss: _Loss, times: Times, n: int, generator: Generator | None, conditional: bool, unlabelled: float
) -> Estimate:
    """The mean over times of 1 + log floor(t): at the middles of `_LEVELS` shares of equal probability."""
    q = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) / _LEVELS
    at = (Times(t_min=times.t_min) if times.reweighted else times).quantile(q)
    each = max(2, n // _LEVELS)
    rows = [
        loss.mixed(*_draw(loss.oracle, torch.full((each,), t), generator, conditional), unlabelled) for t in at.tolist()
    ]
    profile = _logarithm(_summary(at, rows))
    return Estimate(profile.value.mean().item(), (profile.error.square().sum().sqrt() / _LEVELS).item())


def _logarithm(profile: LossProfile) -> LossProfile:
    """1 + log of a profile; log of a mean is low by half its relative variance, which is given back."""
    relative = profile.error / profile.value
    return LossProfile(profile.times, 1 + profile.value.log() + relative.square() / 2, relative)


def _summary(times: Tensor, rows: list[Tensor]) -> LossProfile:
    values = torch.stack(rows)
    return LossProfile(times.cpu().double(), values.mean(1), values.std(1) / values.shape[1] ** 0.5)


def _sample(
    data: DataSet, t: Tensor, generator: Generator | None, conditional: bool
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    x0, labels = data.sample_labelled(len(t), generator)
    return x0, labels if conditional else None, draw_noise(x0, generator), t


def _draw(
    oracle: ExactDenoiser, t: Tensor, generator: Generator | None, conditional: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    x0, labels, eps, t = _sample(oracle.data, t, generator, conditional)
    alpha, sigma = _levels(oracle, t, x0)
    return alpha * x0 + sigma * eps, t, labels


def _levels(denoiser: ExactDenoiser | NetworkDenoiser, t: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    alpha, sigma = (a.reshape(-1, *[1] * (x.ndim - 1)) for a in denoiser.schedule.alpha_sigma(t))
    return alpha, sigma


def _chunked(denoiser: NetworkDenoiser, x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None) -> Tensor:
    device, parts = denoiser.device, []
    with torch.no_grad():
        for a in range(0, len(x_t), _ROWS):
            i = slice(a, a + _ROWS)
            own = None if labels is None else labels[i].to(device)
            parts.append(denoiser.predict_at(x_t[i].to(device), alpha[i].to(device), sigma[i].to(device), own).cpu())
    return torch.cat(parts)
