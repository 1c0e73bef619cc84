"""The loss at each t: the exact floor, and what a network loses above it. What LossFloor and the Lab's "At t" read.

Whatever a network predicts and however levels are weighed, its expected loss at t is a factor of the level alone times the
squared error of x_0,

    loss(t) = factor(t) (E mean_d Var[x_0,d | x_t] + E |mean - exact mean|^2 / D) = floor(t) + excess(t),

so that floor and excess are measured once, of x_0, and every face and weighting is a row of factors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from ..denoisers import Denoiser, ExactDenoiser, NetworkDenoiser
    from ..objectives import LossProfile
    from ..schedules import Schedule

TIMES = 41
FLOOR_ROWS = 512  # samples at each time
MMSE_ROWS = (128, 8192)  # fewest and most of x_0's error, which is shown with its own
_BUDGET = 2e7  # densities that it may cost: half a second
_NUMBERS = 2e6  # coordinates of all samples: large images are many of them
EXCESS_ROWS = {"points": 128, "images": 8}  # less: measured again and again while training

FACES = ("eps", "x0", "v", "score")
#: how levels are weighed: "uniform" leaves a face's squared error as it is; the others are the same on every face
WEIGHTINGS = ("uniform", "elbo", "min-snr", "p2", "edm", "sigmoid", "truncated-snr", "snr")


def times() -> Tensor:
    """Where the loss is measured, (TIMES,) float64; below the first no network is trained."""
    import torch

    from ..objectives import T_MIN

    return torch.linspace(T_MIN, 1, TIMES, dtype=torch.float64)


def floor_at_t(oracle: ExactDenoiser, prediction: str, options: dict[str, Any]) -> list[float]:
    """The irreducible loss at each of `times`; `options` are generator and conditional."""
    from ..objectives import floor_profile

    return floor_profile(oracle, prediction, times(), n=FLOOR_ROWS, **options).value.tolist()  # type: ignore[no-any-return]


def mmse_at_t(oracle: ExactDenoiser, generator: Generator, conditional: bool) -> LossProfile:
    """The floor of x_0's squared error at each of `times`: every other floor is a factor of the level times this one."""
    from ..data import FiniteSet
    from ..objectives import floor_profile

    data, (fewest, most) = oracle.data, MMSE_ROWS
    parts = len(data) if isinstance(data, FiniteSet) else 8  # what every x_t is held against
    rows = int(min(max(min(_BUDGET / parts, _NUMBERS / data.dim) / TIMES, fewest), most))
    return floor_profile(oracle, "x0", times(), n=rows, generator=generator, conditional=conditional)


def factors(schedule: Schedule, sigma_data: float) -> dict[str, Tensor]:
    """What turns the squared error of x_0 into each loss at `times`, (TIMES,) float64: of every face as it is, by its name, and
    of every weighting but the uniform one, by its."""
    import torch

    from ..objectives import weighting_from
    from ..objectives.weightings import factor
    from ..predictions import error_gain

    t = times()
    alpha, sigma = schedule.alpha_sigma(t)
    faces = {face: error_gain(face, alpha, sigma, check=False).square() for face in FACES}
    weighed = {
        name: factor(weighting_from(name, sigma_data or 1.0), schedule, torch.ones_like(t), t, sigma_data=sigma_data)
        for name in WEIGHTINGS
        if name != "uniform"
    }
    return faces | weighed


def excess_at_t(denoiser: NetworkDenoiser, oracle: ExactDenoiser, seed: int) -> list[float]:
    """What `denoiser` loses above the floor at each of `times`, as a prediction of its kind."""
    t = times()
    gain = denoiser.gain_at(*oracle.schedule.alpha_sigma(t), t)
    return (gain.square() * x0_excess_at_t(denoiser, oracle, seed).value).tolist()  # type: ignore[no-any-return]


def x0_excess_at_t(denoiser: Denoiser, oracle: ExactDenoiser, seed: int, rows: int | None = None) -> LossProfile:
    """The squared distance of what `denoiser` says of x_0 to what the oracle says, at each of `times` from `rows` samples.

    One batch for all times, since every call keeps the training thread waiting. What a network says is not clipped here: the
    loss it is trained by is not.
    """
    import torch

    from ..denoisers import NetworkDenoiser
    from ..objectives import LossProfile

    data = oracle.data
    rows = rows or EXCESS_ROWS["images" if data.is_image else "points"]
    generator = torch.Generator().manual_seed(seed)
    t = times().repeat_interleave(rows)
    x0, labels = data.sample_labelled(len(t), generator)
    labels = None if getattr(denoiser, "classes", None) is None else labels
    beside = (-1, *[1] * (x0.ndim - 1))
    alpha, sigma = (a.reshape(beside) for a in oracle.schedule.alpha_sigma(t))
    x_t = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator)
    with torch.no_grad():
        exact = oracle(x_t, t, labels).mean
        if isinstance(denoiser, NetworkDenoiser):
            shown, *levels = (a.to(denoiser.device, torch.float32) for a in (x_t, alpha, sigma))
            said = denoiser.predict_at(shown, levels[0], levels[1], None if labels is None else labels.to(shown.device))
            mean = denoiser.x0_at(said.cpu().double(), x_t, alpha, sigma, t)
        else:
            mean = denoiser(x_t, t, labels).mean
    squared = (mean - exact).square().flatten(1).mean(1).double().unflatten(0, (TIMES, rows))
    return LossProfile(times(), squared.mean(1), squared.std(1) / rows**0.5)
