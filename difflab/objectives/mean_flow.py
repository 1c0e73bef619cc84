"""Mean-flow training: an average velocity must grow as the velocity says (Geng et al. 2025).

Differentiating (t - s) u = int_s^t v dr along the flow gives the MeanFlow identity (ibid., eq. 6)

    u(x_t, t, s) = v(x_t, t) - (t - s) du/dt,   du/dt = v . grad_x u + d_t u,

which only the average velocity solves. Training holds u to its right side, without a gradient through it, and with the
velocity of one pair, alpha' x_0 + sigma' eps, for v. The right side is linear in that velocity, so that its mean given x_t is
exact: at the exact u the gradient of the squared loss has mean 0. With an oracle as the `teacher` v is known, and the loss is
0 there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..checks import brief, check_generator, is_number, is_whole
from ..denoisers import Denoiser
from ..denoisers.base import Checked, beside, check_same_frame, noise_level
from ..denoisers.mean_flow import MeanFlowDenoiser
from ..predictions import from_x0
from .given import check_batch, check_given, check_pair
from .noised import draw_noise


def mean_flow_loss(
    model: MeanFlowDenoiser,
    x0: Tensor,
    labels: Tensor | None = None,
    *,
    t: Tensor,
    s: Tensor,
    generator: Generator | None = None,
    eps: Tensor | None = None,
    teacher: Denoiser | None = None,
) -> Tensor:
    """|u - (v - (t - s) du/dt)|^2 of each row, (n,), with gradients through the first u alone.

    Args:
        model: u.
        x0: (n, *shape) on the model's device; labels: (n,) int64 or None.
        t, s: (n,) float times, 0 < t and s <= t; where they are equal this is flow matching.
        eps: as x0, drawn from `generator` unless given.
        teacher: a denoiser of the same schedule, whose velocity is taken for v; asked with the labels if there are any.

    Raises TypeError for another model or teacher; ValueError for shapes that do not fit, and a teacher of another schedule.
    """
    if not isinstance(model, MeanFlowDenoiser):
        raise TypeError(f"A mean flow is trained on a MeanFlowDenoiser, but got {brief(model)}.")
    check_generator(generator)
    check_batch(x0, labels, model.shape, model.classes, model.vector)
    check_pair(x0, t, s)
    check_given(x0, None, eps)
    if eps is None:
        eps = draw_noise(x0, generator)
    alpha, sigma = noise_level(model.schedule, t, x0)
    alpha_rate, sigma_rate = (beside(rate, x0) for rate in model.schedule.rates(t))
    x_t = alpha * x0 + sigma * eps
    if teacher is None:
        v = alpha_rate * x0 + sigma_rate * eps
    else:
        check_same_frame(model, teacher, "The teacher")
        with torch.no_grad():
            mean = Checked(teacher)(x_t, t, labels).mean
            v = from_x0("velocity", mean, x_t, alpha, sigma, rates=(alpha_rate, sigma_rate))

    def u(x: Tensor, time: Tensor) -> Tensor:
        return model.average_velocity(x, time, s, labels)

    average, along = torch.func.jvp(u, (x_t, t), (v, torch.ones_like(t)))  # type: ignore[misc]
    due = v - beside(t - s, x0) * along
    return (average - due.detach()).square().flatten(1).sum(1)


@dataclass(frozen=True)
class MeanFlowTraining:
    """What `train_few_step` minimises for a `MeanFlowDenoiser`.

    Args:
        apart: share of a batch in which s < t; in the rest s = t, plain flow matching (ibid., table 1a: 0.25).
        mean, std: t and s are the larger and the smaller of two draws, each sigmoid(N(mean, std^2)).
        power: p of the weight 1 / (loss + c)^p by which each row's loss is divided, as a constant (ibid., eq. 22); 0 is the
            squared loss, 1 makes outliers harmless.
        floor: c.
        teacher: see `mean_flow_loss`.

    Raises ValueError for numbers that cannot be.
    """

    apart: float = 0.25
    mean: float = -0.4
    std: float = 1.0
    power: float = 1.0
    floor: float = 1e-3
    teacher: Denoiser | None = None

    def __post_init__(self) -> None:
        if not is_number(self.apart) or not 0 <= self.apart <= 1:
            raise ValueError(f"apart must be a share from 0 to 1, but got {self.apart!r}.")
        if not is_number(self.mean):
            raise ValueError(f"mean, of the logits of times, must be a number, but got {self.mean!r}.")
        for name, above in (("std", True), ("power", False), ("floor", True)):
            value = getattr(self, name)
            if not is_number(value) or value < 0 or (above and value == 0):
                raise ValueError(
                    f"{name} must be a number {'above 0' if above else 'of 0 or more'}, but got {value!r}."
                )
        if self.teacher is not None:
            Checked(self.teacher)

    def times(
        self, n: int, generator: Generator | None = None, *, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """(t, s), each (n,) float32 on `device`, s <= t; the first floor(apart n) rows are those that are apart."""
        check_generator(generator)
        if not is_whole(n, 0):
            raise ValueError(f"Times are drawn for a whole number of rows, 0 or more, but got {brief(n)}.")
        source = generator.device if generator is not None else device
        z = torch.randn(2, n, generator=generator, device=source).to(device)
        two = (self.mean + self.std * z).sigmoid()
        t, s = two.amax(0), two.amin(0)
        together = torch.arange(n, device=device) >= int(self.apart * n)
        return t, torch.where(together, t, s)

    def loss(
        self,
        model: MeanFlowDenoiser,
        x0: Tensor,
        labels: Tensor | None = None,
        *,
        progress: float = 1.0,
        generator: Generator | None = None,
    ) -> Tensor:
        """The mean loss of a batch x0 (n, *shape), a scalar with gradients. `generator` draws times, then noise.

        `progress`, the share of the training that is done, changes nothing here. As `mean_flow_loss`.
        """
        if not isinstance(model, MeanFlowDenoiser):
            raise TypeError(f"A mean flow is trained on a MeanFlowDenoiser, but got {brief(model)}.")
        check_batch(x0, labels, model.shape, model.classes, model.vector)
        t, s = self.times(len(x0), generator, device=x0.device)
        square = mean_flow_loss(model, x0, labels, t=t, s=s, generator=generator, teacher=self.teacher)
        if self.power:
            square = square / (square.detach() + self.floor) ** self.power
        return square.mean()
