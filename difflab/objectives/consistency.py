"""Consistency training: neighbouring points of one path should end in one place (Song et al. 2023; Song & Dhariwal 2023).

    L = E w d(f(x_t, t), f(x_s, s)),   s just below t, the second f held fixed,

where x_s lies on the path of x_t. In *training* both are made of one (x_0, eps), which leads along the flow on average only:
f(x_s, s) then has a variance that no f removes, and the gradient at the exact f vanishes as (t - s)^2, beside that of a wrong
f, which does as (t - s). In *distillation* x_s is one DDIM step of a teacher down from x_t (Song et al. 2023, Alg. 2): with an
oracle as the teacher the loss itself vanishes at the exact f, as (t - s)^4 for squared distances.

Here are the choices of the second paper (iCT): d = sqrt(|.|^2 + c^2) - c with c = 0.00054 sqrt(D), w = 1 / (difference of the
noise levels), levels drawn log-normally, and a number of levels that doubles as training goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..checks import brief, check_generator, is_number, is_seen, is_whole
from ..denoisers import Denoiser
from ..denoisers.base import Checked, check_same_frame, noise_level
from ..denoisers.consistency import ConsistencyDenoiser
from ..schedules import Schedule
from ..schedules.base import level_times
from .given import check_batch, check_given, check_pair
from .noised import draw_noise

_MOST_LEVELS, _MOST_HUBER = 2**20, 10**6


def consistency_loss(
    model: ConsistencyDenoiser,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    t: Tensor,
    s: Tensor,
    generator: Generator | None = None,
    eps: Tensor | None = None,
    huber: float = 0.0,
    teacher: Denoiser | None = None,
) -> Tensor:
    """d(f(x_t, t), f(x_s, s)) of each row, (n,), unweighted, with gradients through the first f alone.

    Args:
        model: f.
        x0: (n, *shape) on the model's device; labels: (n,) int64 or None.
        t, s: (n,) float times, s < t.
        eps: as x0, drawn from `generator` unless given.
        huber: c of the distance sqrt(|.|^2 + c^2) - c; 0 is |.|^2 itself.
        teacher: a denoiser of the same schedule, whose flow is followed from x_t to x_s; it is asked with the labels if
            there are any. None takes x_s of the same (x_0, eps).

    Raises TypeError for another model or teacher; ValueError for shapes that do not fit, times that do not fall, a negative c,
    and a teacher of another schedule.
    """
    if not isinstance(model, ConsistencyDenoiser):
        raise TypeError(f"Consistency is trained on a ConsistencyDenoiser, but got {brief(model)}.")
    check_generator(generator)
    check_batch(x0, labels, model.shape, model.classes, model.vector)
    check_pair(x0, t, s)
    check_given(x0, None, eps)
    if not is_number(huber) or not 0 <= huber <= _MOST_HUBER:
        raise ValueError(
            f"huber, the c of the distance, must be a number of 0 or more, at most {_MOST_HUBER:,}, but got {brief(huber)}."
        )
    if t.device.type == "cpu" and not bool((s < t).all()):
        raise ValueError("Consistency compares a time t with one below it: every s must be smaller than its t.")
    if eps is None:
        eps = draw_noise(x0, generator)
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (noise_level(model.schedule, time, x0) for time in (t, s))
    x_t = alpha_t * x0 + sigma_t * eps
    ahead = model.end_at(x_t, t, labels)
    with torch.no_grad():
        if teacher is None:
            x_s = alpha_s * x0 + sigma_s * eps
        else:
            check_same_frame(model, teacher, "The teacher")
            mean = Checked(teacher)(x_t, t, labels).mean
            x_s = alpha_s * mean + sigma_s / sigma_t * (x_t - alpha_t * mean)
        behind = model.end_at(x_s, s, labels)
        # at the data f is x_s whatever the network says, nan included
        behind = torch.where(sigma_s == 0, x_s, behind)
    square = (ahead - behind).square().flatten(1).sum(1)
    return (square + huber**2).sqrt() - huber if huber else square


@dataclass(frozen=True)
class ConsistencyTraining:
    """What `train_few_step` minimises for a `ConsistencyDenoiser`: iCT.

    Args:
        coarse: noise levels at the beginning.
        fine: at the end; the number doubles in between (Song & Dhariwal 2023, eq. 14).
        mean, std: levels are drawn so that log(sigma / (alpha sigma_data)) is about N(mean, std^2) (ibid., eq. 13: their
            -1.1 is -0.4 beside a sigma_data of 0.5).
        huber: c of the distance in units of sqrt(D); 0 is the squared distance.
        teacher: of consistency distillation, see `consistency_loss`.

    Raises ValueError for numbers that cannot be, and, when asked, for a schedule that ends at alpha = 0, where levels
    sigma / alpha have no end.
    """

    coarse: int = 10
    fine: int = 1280
    mean: float = -0.4
    std: float = 2.0
    huber: float = 0.00054
    teacher: Denoiser | None = None

    def __post_init__(self) -> None:
        for name in ("coarse", "fine"):
            value = getattr(self, name)
            if not is_whole(value, 2) or value > _MOST_LEVELS:
                raise ValueError(
                    f"{name} must be a whole number of noise levels, 2 to {_MOST_LEVELS:,}, but got {value!r}."
                )
        if self.fine < self.coarse:
            raise ValueError(f"fine must be at least coarse, but got {self.fine} and {self.coarse}.")
        if not is_number(self.mean):
            raise ValueError(f"mean, of the log of noise levels, must be a number, but got {self.mean!r}.")
        for name, least in (("std", "above 0"), ("huber", "of 0 or more")):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= _MOST_HUBER or (value == 0 and name == "std"):
                raise ValueError(f"{name} must be a number {least}, at most {_MOST_HUBER:,}, but got {brief(value)}.")
        if self.teacher is not None:
            Checked(self.teacher)

    def count(self, progress: float) -> int:
        """How many noise levels there are when a share `progress` in [0, 1] of the training is done."""
        if not is_number(progress) or not 0 <= progress <= 1:
            raise ValueError(f"progress is the share of the training that is done, 0 to 1, but got {brief(progress)}.")
        doublings = math.log2(self.fine / self.coarse)
        return min(self.fine, self.coarse * 2 ** math.floor(progress * (doublings + 1)))

    def pairs(self, schedule: Schedule, count: int, sigma_data: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(t, s, probability, weight) of each pair of neighbours among `count` levels and the data, (count,) float64."""
        if not isinstance(schedule, Schedule):
            raise TypeError(f"Noise levels are those of a Schedule such as EDM(), but got {brief(schedule)}.")
        if not is_whole(count, 2) or count > _MOST_LEVELS:
            raise ValueError(f"There are 2 to {_MOST_LEVELS:,} noise levels, but got {brief(count)}.")
        if not is_number(sigma_data) or sigma_data < 0:
            raise ValueError(f"sigma_data must be a number of 0 or more, but got {brief(sigma_data)}.")
        if schedule.reaches_zero_snr:
            raise ValueError(
                f"{schedule.name} ends at alpha = 0, where the noise level sigma / alpha is infinite: train consistency under"
                " EDM() or another schedule that ends below it."
            )
        times = level_times(schedule, count)
        alpha, sigma = schedule.alpha_sigma(times)
        level = sigma / alpha / (sigma_data or 1.0)
        cdf = torch.special.ndtr((level.log() - self.mean) / self.std)
        if is_seen(cdf, lambda cdf: ~(cdf[-1:] > cdf[:1])):
            raise ValueError(
                f"The levels of {schedule} all lie beyond log levels of N({self.mean:g}, {self.std:g}^2): give another mean"
                " or a wider std."
            )
        return times[1:], times[:-1], cdf.diff() / (cdf[-1] - cdf[0]), 1 / level.diff()

    def loss(
        self,
        model: ConsistencyDenoiser,
        x0: Tensor,
        labels: Tensor | None = None,
        *,
        progress: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """The mean loss of a batch x0 (n, *shape), a scalar with gradients; `progress` as of `count`.

        `generator` draws levels, then noise. As `consistency_loss`.
        """
        if not isinstance(model, ConsistencyDenoiser):
            raise TypeError(f"Consistency is trained on a ConsistencyDenoiser, but got {brief(model)}.")
        check_batch(x0, labels, model.shape, model.classes, model.vector)
        check_generator(generator)
        times = self.pairs(model.schedule, self.count(progress), model.sigma_data)
        t, s, probability, weight = (a.to(x0.device, torch.float32) for a in times)
        source = generator.device if generator is not None else x0.device
        i = torch.multinomial(probability.to(source), len(x0), replacement=True, generator=generator).to(x0.device)
        huber = self.huber * math.sqrt(x0[0].numel() if len(x0) else 1)
        distance = consistency_loss(
            model, x0, labels, t=t[i], s=s[i], generator=generator, huber=huber, teacher=self.teacher
        )
        return (weight[i] * distance).mean()
