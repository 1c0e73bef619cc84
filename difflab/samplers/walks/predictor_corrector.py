"""Predictor-corrector: after each step down in noise a few Langevin steps where it arrived, to mend the law that it left.

Song et al. 2021, section 4.2 and Algs. 2 to 5. The predictor solves the reverse SDE; the corrector walks at the new level, by a
step that is given as a signal-to-noise ratio r: the score's push is to be r times as long as the noise's,

    a = 2 (r |z| / |score|)^2,   x <- x + a score + sqrt(2 a) z.

Published code takes both norms as means over the batch, so that a sample depends on the others in its batch. In the limit of
a large batch they are expectations, and those are known beforehand: E|z|^2 = D, and E|score|^2 <= D / sigma^2, nearly equal
where noise says more of x than the data do. With them a = 2 (r sigma)^2: Langevin, stable for any data while r < 1.

Norms of each row by itself are something else: the step is then longer where the score is short and where the noise is long.
However small r is, that leads not to p but to |score|^2 p^(D / (D + 2)), which is nearly the same in many dimensions only: of a
Gaussian the variance is (1 + 2 / D)^2 times too large, 9 in one dimension and 1.001 in CIFAR-10's 3,072.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...checks import brief, is_number, is_whole
from ...denoisers import Denoiser
from ...schedules import Schedule
from .. import grids
from ..base import Sampler, State
from ..chains.bridge import bridge
from ..knobs import check_choice
from .density import of_rows


@dataclass(frozen=True)
class PredictorCorrector(Sampler):
    """Song et al. 2021, Algs. 2 and 3 with the correctors of Algs. 4 and 5, on any schedule.

    Args:
        predictor: "ancestral", q(x_s | x_t, x_0); or "reverse diffusion" (ibid., appendix E), x <- (2 - q) x + beta score +
            sqrt(beta) z with q = alpha_t / alpha_s and beta the variance of the forward step, the published choice, which is
            farther off on coarse grids (where alpha_t = 0 there is no x_0 in it, and that step is ancestral).
        snr: of a corrector's step, the size of its drift over that of its noise, between 0 and 1; published for CIFAR-10: 0.16.
        corrections: Langevin steps at each new level, 0 or more; 0 is the predictor alone.
        norms: "expected", those of noise and score as they are on average; or "row", each row's own.

    The last step to 0 returns E[x_0 | x], the predictor's mean without noise. Alg. 5's factor alpha_i in a (1 - beta_i in
    published code, nearly 1 in a long chain) is left out. `order` is that of the predictor: each correction adds its own bias,
    of the order of r^2 sigma^2, as Langevin does.

    Raises ValueError for a knob out of range.
    """

    predictor: str = "ancestral"
    snr: float = 0.16
    corrections: int = 1
    norms: str = "expected"
    order: ClassVar[int] = 1
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_choice("predictor", self.predictor, "ancestral", "reverse diffusion")
        if not is_number(self.snr) or not 0 < self.snr < 1:
            raise ValueError(
                "The corrector's signal-to-noise ratio must lie above 0, and below 1, where its steps are stable for any data,"
                f" but got {brief(self.snr)}."
            )
        if not is_whole(self.corrections, 0):
            raise ValueError(f"Corrections are a whole number of steps, 0 or more, but got {brief(self.corrections)}.")
        check_choice("norms", self.norms, "expected", "row")

    @property
    def evaluations_per_step(self) -> int:
        return 1 + self.corrections

    @property
    def label(self) -> str:
        norms = "" if self.norms == "expected" else " by row"
        return f"Predictor-corrector ({self.predictor}, {self.corrections} x Langevin at SNR {self.snr:g}{norms})"

    def default_grid(self, schedule: Schedule, evaluations: int) -> Tensor:
        return grids.uniform(schedule, 1 + max(0, evaluations - 1) // self.evaluations_per_step)  # the last step is one

    def step(self, denoiser: Denoiser, state: State, s: float) -> State:
        x0 = denoiser(state.x, state.t).mean
        if s == 0:
            return state.moved(x0, s, denoised=x0)
        z = state.draw(denoiser.schedule, s)
        c_x, c_0, std = self.prediction(denoiser.schedule, state.t, s)
        x, draws = torch.add(state.x * c_x, x0, alpha=c_0).add_(z, alpha=std), [z]
        for j in range(self.corrections):
            x0 = denoiser(x, s).mean
            draws.append(state.noise.step(x, state.index, j + 1))
            x = self._corrected(denoiser.schedule, x, s, x0, draws[-1])
        z = draws[0] if len(draws) == 1 else torch.stack(draws)
        return state.moved(x, s, denoised=x0, evaluations=1 + self.corrections, z=z)

    def prediction(self, schedule: Schedule, t: float, s: float) -> tuple[float, float, float]:
        """c_x, c_0 and std of the predictor's x_s = c_x x_t + c_0 E[x_0 | x_t] + std z, s > 0."""
        b = bridge(schedule, t, s)
        if self.predictor == "ancestral" or b.alpha_t == 0:
            return b.c_x, b.c_0, math.sqrt(b.var)
        share = b.beta / b.sigma_t**2  # of the score, (alpha_t x_0 - x) / sigma_t^2
        return 2 - b.alpha_t / b.alpha_s - share, share * b.alpha_t, math.sqrt(b.beta)

    def _corrected(self, schedule: Schedule, x: Tensor, s: float, x0: Tensor, z: Tensor) -> Tensor:
        level = schedule.level(s)
        push = level.alpha * x0 - x  # sigma^2 score
        if self.norms == "expected":
            part = 2 * self.snr**2  # a / sigma^2
            return torch.add(x, push, alpha=part).add_(z, alpha=math.sqrt(2 * part) * level.sigma)
        noise, score = (of_rows(v).norm(dim=1).reshape(-1, *[1] * (x.ndim - 1)) for v in (z, push / level.sigma))
        ratio = self.snr * noise / score.clamp(min=torch.finfo(x.dtype).tiny)  # sqrt(a / 2) / sigma
        return x + 2 * ratio.square() * push + 2 * level.sigma * ratio * z
