"""The loss at each t: the exact floor, and what a network loses above it. What the Lab's "At t" reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from ..denoisers import ExactDenoiser, NetworkDenoiser

TIMES = 41
FLOOR_ROWS = 512  # samples at each time
EXCESS_ROWS = {"points": 128, "images": 8}  # less: measured again and again while training


def times() -> Tensor:
    """Where the loss is measured, (TIMES,) float64; below the first no network is trained."""
    import torch

    from ..objectives import T_MIN

    return torch.linspace(T_MIN, 1, TIMES, dtype=torch.float64)


def floor_at_t(oracle: ExactDenoiser, prediction: str, options: dict[str, Any]) -> list[float]:
    """The irreducible loss at each of `times`; `options` are generator and conditional."""
    from ..objectives import floor_profile

    return floor_profile(oracle, prediction, times(), n=FLOOR_ROWS, **options).value.tolist()  # type: ignore[no-any-return]


def excess_at_t(denoiser: NetworkDenoiser, oracle: ExactDenoiser, seed: int) -> list[float]:
    """What `denoiser` loses above the floor at each of `times`: as a prediction of its kind, the squared distance of its x_0 to
    the oracle's. One batch for all times, since every call keeps the training thread waiting."""
    import torch

    data = oracle.data
    rows = EXCESS_ROWS["images" if data.is_image else "points"]
    generator = torch.Generator().manual_seed(seed)
    t = times().repeat_interleave(rows)
    x0, labels = data.sample_labelled(len(t), generator)
    labels = None if denoiser.classes is None else labels
    beside = (-1, *[1] * (x0.ndim - 1))
    alpha, sigma = (a.reshape(beside) for a in oracle.schedule.alpha_sigma(t))
    x_t = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator)
    with torch.no_grad():
        exact = oracle(x_t, t, labels).mean
        shown, *levels = (a.to(denoiser.device, torch.float32) for a in (x_t, alpha, sigma))
        said = denoiser.predict_at(shown, levels[0], levels[1], None if labels is None else labels.to(shown.device))
        away = denoiser.x0_at(said.cpu().double(), x_t, alpha, sigma, t) - exact
    excess = (denoiser.gain_at(alpha, sigma, t) * away).square().flatten(1).mean(1)
    return excess.unflatten(0, (TIMES, rows)).mean(1).tolist()  # type: ignore[no-any-return]
